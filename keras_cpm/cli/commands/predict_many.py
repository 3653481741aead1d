"""`keras-cpm predict-many`: poses in photographs by the million."""

import click

from ..console import counting, echo
from ..options import COUNT


@click.command("predict-many")
@click.argument("photographs", nargs=-1, required=True)
@click.option(
    "--out",
    required=True,
    help="Folder for Parquet files, a row a person; new, or begun by the same command. Or its URL.",
)
@click.option("--model", help="MODEL, or the folder of a SavedModel; without it, the shipped one.")
@click.option(
    "--people",
    type=click.Choice(["whole", "auto"]),
    default="whole",
    show_default=True,
    help="Who is there, where no table has boxes: one person who fills the photograph, or people "
    "that a person network finds.",
)
@click.option("--person-model", help="With --people auto: the bundle of the person network.")
@click.option(
    "--workers",
    type=COUNT,
    help="Processes, each with the model; one for each core, of this machine or of the cluster, "
    "unless given.",
)
@click.option(
    "--cluster",
    metavar="ADDRESS",
    help="Of a cluster of Ray, HOST:PORT, or auto on one of its machines; without it, this machine "
    "works alone.",
)
def predict_many(photographs, out, people, person_model, **options):
    """Finds the poses in PHOTOGRAPHS: files, folders, globs, URLs, and tables of paths, .parquet or
    .csv, with a column path and, for a person a row, x0, y0, x1, y1. The same command again goes on
    where it stopped.
    """
    if person_model and people != "auto":
        raise click.UsageError("--person-model needs --people auto.")
    from ...inference.bulk import predict_many as predict

    with counting("photographs") as tell:
        counts = predict(
            photographs, out, people=people, person_model=person_model, tell=tell, **options
        )
    echo(
        f"{counts['photographs']} photographs, {counts['people']} people, {counts['errors']} rows "
        f"with an error, {counts['kept']} photographs kept from before: {out}"
    )

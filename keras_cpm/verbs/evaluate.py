"""`keras-cpm evaluate`: a model, or prediction files, scored on records."""

import click

from ..flags import COUNT, PATH
from ..terminal import load_tensorflow, print_scores, progress, write_json


@click.command()
@click.argument("model")
@click.argument("records", type=PATH)
@click.option(
    "--alpha",
    type=float,
    multiple=True,
    help="Thresholds; may be given again. Default 0.2, pckh 0.5.",
)
@click.option("--metric", type=click.Choice(["pck", "pckh"]), default="pck", show_default=True)
@click.option(
    "--baseline", type=PATH, help="Training records: adds the row of their constant mean pose."
)
@click.option("--flip", is_flag=True, help="Also look at the mirror image.")
@click.option(
    "--scale", "scales", type=float, multiple=True, help="Zooms to average; may be given again."
)
@click.option("--draw", type=PATH, help="Folder for drawings of the first predictions.")
@click.option("--count", type=COUNT, default=12, show_default=True, help="Predictions to draw.")
@click.option("--json", "json_path", type=PATH, help="Write the table as JSON, in percent.")
def evaluate(model, records, alpha, metric, baseline, flip, scales, draw, count, json_path):
    """Scores MODEL on RECORDS: PCK per part and per stage, in percent."""
    load_tensorflow()
    from .. import bundle, evaluation, pictures
    from ..data.jsonl import read_records
    from ..predictor import Predictor

    loaded = read_records(records)
    network, spec = bundle.load(model)
    looks = {"scales": scales or (1.0,), "flip": flip}
    result = evaluation.evaluate(
        network,
        loaded,
        spec,
        metric=metric,
        baseline_records=read_records(baseline) if baseline else (),
        progress=progress("predicting"),
        **looks,
    )
    scores = {}
    for threshold in alpha or ((0.5,) if metric == "pckh" else (0.2,)):
        table = result.scores(threshold)
        print_scores(table)
        for row, entry in table.items():
            scores.setdefault(row, {}).update(entry)
    write_json(json_path, scores)
    if draw:
        picture = pictures.draw_predictions(Predictor(network, spec, **looks), loaded[:count], draw)
        click.echo(f"Drawn: {picture}")

"""`keras-cpm reproduce`: the experiments of the paper."""

from pathlib import Path

import click

from ..console import echo, load_tensorflow
from ..options import COUNT, PATH
from ..outputs import guard, overwrite

_FIGURES = (
    *("fig1", "fig4", "fig5", "fig6a", "fig6b", "fig6c", "fig7"),
    *("center-map", "targets", "stride", "scales", "context"),
)


@click.command()
@click.argument("figure", type=click.Choice(_FIGURES))
@click.option(
    "--out",
    type=PATH,
    default=Path("runs/reproduce"),
    show_default=True,
    help="Folder of the picture, its numbers and the drawn people.",
)
@click.option(
    "--data",
    type=PATH,
    multiple=True,
    help="Records to train on, as `prepare` writes them; may be given again. Drawn people "
    "otherwise.",
)
@click.option("--test", type=PATH, multiple=True, help="Records of other people, for --data.")
@click.option(
    "--model", help="MODEL for fig1, fig7, scales and context, instead of one trained for it."
)
@click.option("--people", type=COUNT, help="How many to draw, or of --data to take.")
@click.option("--epochs", type=COUNT, help="Of each training.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option(
    "--seeds",
    type=COUNT,
    default=1,
    show_default=True,
    help="Trainings of each network, from --seed on; what they differ by is noise. Not for "
    "figures that show beliefs, gradients or forests, nor for scales and context.",
)
@overwrite
def reproduce(figure, data, test, overwrite, **options):
    """Runs the experiment behind a FIGURE of the paper on a small network; minutes, offline.

    \b
    fig1    one part's beliefs, stage by stage
    fig4    PCK over the receptive field
    fig5    gradients with and without intermediate supervision
    fig6a   PCK of the network and of the Pose Machine (extra `forest`)
    fig6b   PCK of the four training schemes
    fig6c   PCK of the stages
    fig7    beliefs of elbows and wrists, stage by stage
    \b
    center-map  PCK with and without it, of people beside others
    targets     two sets of targets against one, of people beside others
    stride      PCK of stride 8 and stride 4
    scales      one scale and seven where the given one is wrong
    context     which part's map helps the next stage to find an elbow
    """
    load_tensorflow()
    from ...data.jsonl import read_records
    from ...paper import experiments

    records, test_records = (
        [record for path in paths for record in read_records(path)] for paths in (data, test)
    )
    read = [*data, *test, *(record.image for record in (*records, *test_records))]
    written = {name: options[name] for name in ("out", "people", "seed")}
    outputs = [("--out", path) for path in experiments.files(figure, **written)]
    guard(outputs, [*read, *([options["model"]] if options["model"] else [])], overwrite)
    echo(
        experiments.reproduce(
            figure, records=records, test_records=test_records, say=echo, **options
        )
    )

"""`keras-cpm demo`: the whole journey on drawn people."""

from pathlib import Path

import click

from ..flags import PATH
from ..terminal import load_tensorflow


@click.command()
@click.option(
    "--out",
    type=PATH,
    default=Path("demo"),
    show_default=True,
    help="Folder for everything it makes.",
)
def demo(out):
    """Trains on drawn people, evaluates, draws and exports: the whole journey in minutes, offline."""
    load_tensorflow()
    from ..demo import run_demo

    run_demo(out)

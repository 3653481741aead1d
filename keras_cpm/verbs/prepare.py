"""`keras-cpm prepare`: a data set to a file of records."""

import click

from ..flags import COUNT, PATH
from ..terminal import load_tensorflow, progress

_SPLITS = ("train", "test", "extended")


@click.command()
@click.argument("dataset", type=click.Choice(["lsp", "synthetic"]))
@click.argument("root", type=PATH)
@click.argument("out", type=PATH)
@click.option(
    "--split", type=click.Choice(_SPLITS), default="train", show_default=True, help="Part of LSP."
)
@click.option("--first", type=COUNT, help="Keep the records from this one on, counted from 1.")
@click.option("--last", type=COUNT, help="Keep the records up to this one.")
@click.option(
    "--count", type=COUNT, default=1000, show_default=True, help="Pictures to draw (synthetic)."
)
@click.option(
    "--figure",
    type=click.Choice(["person", "hand", "quadruped"]),
    default="person",
    show_default=True,
)
@click.option(
    "--seed", type=int, default=0, show_default=True, help="Of the drawn figures (synthetic)."
)
def prepare(dataset, root, out, split, first, last, count, figure, seed):
    """Writes the records OUT.jsonl of a data set.

    \b
    lsp        ROOT holds lsp_dataset/ and lspet_dataset/; --split extended is all of the second.
    synthetic  draws figures into the folder ROOT.
    """
    load_tensorflow()
    from ..data.jsonl import write_records

    if dataset == "lsp":
        from ..data.lsp import load_lsp

        records = load_lsp(root, split, progress=progress("reading sizes"))
    else:
        from ..data import figures, synthetic

        chosen = getattr(figures, figure.upper())
        records = synthetic.draw_records(
            root, count, figure=chosen, seed=seed, progress=progress("drawing")
        )
    records = records[(first or 1) - 1 : last]
    write_records(records, out)
    click.echo(f"{len(records)} records in {out}")
    if dataset == "synthetic":
        click.echo(
            "Train on them with --flip-probability 0: shade, not shape, tells left from right."
        )

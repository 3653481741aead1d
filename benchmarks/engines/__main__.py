"""`python -m benchmarks.engines`: the network in several engines, on this machine."""

import click

from keras_cpm.cli.console import print_bench, write_json
from keras_cpm.cli.options import COUNT, PATH


@click.command()
@click.argument("model", required=False)
@click.option("--train", is_flag=True, help="Steps of training instead of inference.")
@click.option("--engines", help="Names with commas; all that are installed unless given.")
@click.option("--rounds", type=COUNT, default=7, show_default=True, help="Times of each engine.")
@click.option("--threads", type=COUNT, help="Of every engine; all cores unless given.")
@click.option(
    "--malloc",
    type=click.Choice(["both", "with", "without"]),
    default="both",
    show_default=True,
    help="With or without settings of the memory allocator, see keras_cpm/allocator.py.",
)
@click.option("--json", "json_path", type=PATH, help="Write the tables as JSON.")
def bench(model, engines, json_path, **options):
    """Times MODEL, or the paper's 6-stage network, on the processor of this machine; takes minutes.

    \b
    engines     keras_cpm, savedmodel, small-tiles, tensorflow, pytorch, onnxruntime, openvino
    --train     keras_cpm, tensorflow, pytorch, keras_cpm-bfloat16, tensorflow-bfloat16
    """
    from .run import run_bench

    names = [name.strip() for name in engines.split(",")] if engines else None
    result = run_bench(
        model, engines=names, progress=lambda line: click.echo(line, err=True), **options
    )
    write_json(json_path, result)
    print_bench(result)

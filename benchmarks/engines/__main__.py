"""`python -m benchmarks.engines`: the network in several engines, on this machine."""

import click

from keras_cpm.cli.console import write_json
from keras_cpm.cli.options import COUNT, PATH, in_flags

from .report import print_tables


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("model", required=False)
@click.option("--train", is_flag=True, help="Steps of training instead of inference.")
@click.option(
    "--batch", type=COUNT, default=2, show_default=True, help="Images of a training step."
)
@click.option("--engines", help="Names with commas; all that are installed unless given.")
@click.option("--rounds", type=COUNT, default=7, show_default=True, help="Times of each engine.")
@click.option("--threads", type=COUNT, help="Of every engine; all cores unless given.")
@click.option(
    "--malloc",
    type=click.Choice(["both", "with", "without"]),
    default="both",
    show_default=True,
    help="With or without settings of the memory allocator, see keras_cpm/cli/allocator.py.",
)
@click.option("--json", "json_path", type=PATH, help="Write the tables as JSON.")
def bench(model, engines, json_path, **options):
    """Times MODEL, or the paper's 6-stage network, on the processor of this machine; takes minutes.

    \b
    engines     keras_cpm, savedmodel, small-tiles, tensorflow, pytorch, onnxruntime, openvino
    --train     keras_cpm, tensorflow, pytorch, pytorch-compiled, keras_cpm-bfloat16,
                tensorflow-bfloat16
    """
    from .run import run_bench

    names = [name.strip() for name in engines.split(",")] if engines else None
    try:
        result = run_bench(
            model, engines=names, say=lambda line: click.echo(line, err=True), **options
        )
    except (ValueError, OSError, RuntimeError) as error:
        command = click.get_current_context().command
        raise click.ClickException(in_flags(str(error), command)) from error
    write_json(json_path, result)
    print_tables(result)


if __name__ == "__main__":
    bench(prog_name="python -m benchmarks.engines")

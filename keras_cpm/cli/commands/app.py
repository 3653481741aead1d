"""`keras-cpm app`: a page for people who do not write code."""

import click

from ..console import echo, load_tensorflow


@click.command()
@click.option("--model", help="MODEL; without it, the shipped one.")
@click.option(
    "--host",
    help="Address to listen at: this machine alone unless given, 0.0.0.0 for every network that it "
    "is in.",
)
@click.option(
    "--port", type=click.IntRange(0, 65535), help="The first free one from 7860 unless given."
)
@click.option(
    "--share",
    is_flag=True,
    help="Also a public address for a week; photographs then pass through servers of gradio's "
    "company.",
)
def app(model, host, port, share):
    """Serves a page that finds everybody's pose in a photograph, from a file or a camera, until
    Ctrl-C.

    It needs no network. There is no password: whoever reaches the address may use it.
    """
    load_tensorflow()
    from ...inference.person_finder import load_finder
    from ...inference.predictor import Predictor
    from ...models import bundle
    from ...serving.app import launch_app

    predictor = Predictor(*bundle.load(model or bundle.default_bundle()))
    page = launch_app(predictor, load_finder(), host=host, port=port, share=share)
    for address in filter(None, (page.local_url, page.share_url)):
        echo(f"Open {address} in a browser; Ctrl-C ends it.")
    page.block_thread()

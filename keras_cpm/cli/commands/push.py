"""`keras-cpm push`: a bundle to Hugging Face's hub."""

import click

from ..console import echo, load_tensorflow


@click.command()
@click.argument("model")
@click.argument("address", metavar="hf://OWNER/NAME")
@click.option("--license", help="Of the model, as the hub names it, such as apache-2.0.")
@click.option("--tag", "tags", multiple=True, help="For whoever searches; may be repeated.")
@click.option("--private", is_flag=True, help="A repository that is made is hidden from others.")
def push(model, address, license, tags, private):
    """Writes MODEL with its README.md to the hub; hf://OWNER/NAME is then a MODEL for everybody.

    Say who you are with `hf auth login` once.
    """
    from ...models import hub

    # before anything heavy
    hub.parts(address)
    load_tensorflow()
    from ...models.push import push

    written = push(model, address, license=license, tags=tags, private=private)
    echo(f"Written: {written}")

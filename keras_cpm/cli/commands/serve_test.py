"""`keras-cpm serve-test`: whether a running server is right, and how fast."""

import sys

import click

from ..console import echo, load_tensorflow
from ..options import PATH


@click.command("serve-test")
@click.argument("url")
@click.argument("artefact", type=PATH)
@click.option("--name", default="cpm", show_default=True, help="Of the model on the server.")
@click.option(
    "--requests",
    type=click.IntRange(min=0),
    default=20,
    show_default=True,
    help="Each client sends; 0 measures no latency.",
)
@click.option(
    "--header",
    "headers",
    multiple=True,
    metavar="NAME:TEXT",
    help='Sent with every request, such as "Authorization: Bearer ..."; needs TLS.',
)
@click.option("--authority", type=PATH, help="PEM file of who may sign the server's certificate.")
@click.option(
    "--identity",
    type=PATH,
    nargs=2,
    help="Certificate and key, PEM files, that say who this client is.",
)
def serve_test(url, artefact, name, requests, headers, authority, identity):
    """Asks the server at URL for the golden vectors of ARTEFACT, the SavedModel that it was given.

    URL is grpc://HOST:8500 or http://HOST:8501; grpcs:// or https:// with TLS. Then measures
    latency at 1 to 64 concurrent clients. Exits with 1 where a keypoint is elsewhere. Of ARTEFACT
    only spec and golden vectors are read; its SavedModel, which is a program, is not run here.
    """
    pairs = [header.partition(":") for header in headers]
    credentials = {
        "headers": {name.strip(): value.strip() for name, _, value in pairs},
        "authority": authority,
        "identity": identity,
    }
    load_tensorflow()
    from ...export import golden
    from ...export.artefact import Artefact
    from ...serving import probe
    from ...serving.client import Client

    def make():
        return Client(url, Artefact(artefact).spec, model=name, timeout=300, **credentials)

    client = make()
    moved = probe.displacement(client, artefact)
    right = probe.is_right(moved)
    verdict = "ok    " if right else "FAILED"
    echo(f"{verdict} golden: largest displacement {moved:.4f} px of {client.model} at {url}")
    client.close()
    image = golden.read(Artefact(artefact))[0].inputs["image"][0]
    for concurrent in probe.CONCURRENT if requests and right else ():
        took = probe.latency(make, image, concurrent, requests)
        echo(
            f"{concurrent:2d} clients: median {took['median']:7.1f} ms, "
            f"95 % below {took['p95']:7.1f} ms, {took['per_second']:6.1f} poses a second"
        )
    sys.exit(not right)

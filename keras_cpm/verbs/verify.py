"""`keras-cpm verify`: an export proves itself."""

import sys

import click

from ..flags import PATH
from ..terminal import silent_stderr


@click.command()
@click.argument("artefact", type=PATH)
def verify(artefact):
    """Tests the export ARTEFACT, a .tflite file or the folder of a SavedModel, on this machine.

    Checksums, signatures, and golden vectors that lie beside it. Exits with 1 where one fails. For a .tflite
    file any LiteRT runtime is enough.
    """
    from ..verification import verify as prove

    with silent_stderr():
        checks = prove(artefact)
    for check in checks:
        click.echo(f"{'ok    ' if check.passed else 'FAILED'} {check.name}: {check.seen}")
    sys.exit(not all(check.passed for check in checks))

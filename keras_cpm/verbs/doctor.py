"""`keras-cpm doctor`: what this machine lacks."""

import click


@click.command()
def doctor():
    """Says which versions are here and what is missing, with one line to mend each."""
    from ..doctor import diagnose

    healthy = True
    for line, fine in diagnose():
        click.echo({True: "ok      ", None: "-       ", False: "mend    "}[fine] + line)
        healthy &= fine is not False
    raise SystemExit(0 if healthy else 1)

"""`--engine` and `--verbose`: what answers, and the networks that it loads."""

import contextlib

import click

from .console import echo, load_tensorflow, silent_stderr

_NAMES = {"keras": "Keras", "litert": "LiteRT"}


def engine_options(command):
    """Adds the two options to a command."""
    engine = click.option(
        "--engine",
        type=click.Choice(["auto", "keras", "litert"]),
        default="auto",
        show_default=True,
        help="What runs the networks: Keras, or LiteRT, which gives the same and is ready seconds "
        "sooner; auto takes the one that is done first, and Keras where LiteRT is not installed.",
    )
    verbose = click.option("--verbose", is_flag=True, help="Say which engine answers.")
    return engine(verbose(command))


@contextlib.contextmanager
def opened(model, person_model, *, finds, many, engine, verbose, scales, flip, **_):
    """Yields the `Predictor` of a model, and network and spec of a person network or `None`.

    Args:
        model, person_model: names of bundles; the shipped ones without.
        finds: whether a person network is needed.
        many: whether there are many photographs to look at, or a video.
        engine, verbose, scales, flip: options of the command.
    """
    from ..inference import engine as engines
    from ..inference.predictor import Predictor
    from ..models import bundle

    names = [model or bundle.default_bundle()]
    if finds:
        names.append(person_model or bundle.default_person_bundle())
    # LiteRT says that it is there
    with silent_stderr():
        networks = engines.load_by_litert(names, engine, many=many)
    by_litert = networks is not None
    if not by_litert:
        load_tensorflow()
        networks = [bundle.load(name) for name in names]
    if verbose:
        echo(f"Engine: {_NAMES['litert' if by_litert else 'keras']}", err=True)
    with engines.computing(by_litert, load_tensorflow):
        predictor = Predictor(*networks[0], scales=scales or (1.0,), flip=flip)
        yield predictor, networks[1] if finds else None

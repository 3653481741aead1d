"""`keras-cpm`: every command parses its flags, calls one public function and prints one table.

Nothing heavy is imported before a command runs, so `--help` answers at once.
"""

import errno
import os
import warnings

import click

from .. import __version__
from ..models import keras_settings
from . import allocator
from .commands.app import app
from .commands.check_data import check_data
from .commands.demo import demo
from .commands.doctor import doctor
from .commands.evaluate import evaluate
from .commands.explain import explain
from .commands.export import export
from .commands.import_caffe import import_caffe
from .commands.inspect import inspect
from .commands.pack import pack
from .commands.predict import predict
from .commands.predict_many import predict_many
from .commands.prepare import prepare
from .commands.push import push
from .commands.reproduce import reproduce
from .commands.serve_test import serve_test
from .commands.train import train
from .commands.verify import verify
from .console import clean, echo
from .options import in_flags

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class _Commands(click.Group):
    """Turns the errors that users can mend into one sentence."""

    def format_commands(self, ctx, formatter):
        # whole sentences, where click would cut them
        with formatter.section("Commands"):
            formatter.write_dl(
                [
                    (name, self.commands[name].get_short_help_str(500))
                    for name in self.list_commands(ctx)
                ]
            )

    def resolve_command(self, ctx, args):
        name, command, rest = super().resolve_command(ctx, args)
        if command is not doctor and not {*rest} & {*ctx.help_option_names}:
            try:
                keras_settings.check()
            except ValueError as error:
                raise click.ClickException(str(error)) from error
        return name, command, rest

    def invoke(self, ctx):
        # before anything large is allocated
        allocator.apply()
        try:
            with warnings.catch_warnings():
                warnings.showwarning = _show_warning
                return super().invoke(ctx)
        except (click.exceptions.Exit, click.Abort):  # RuntimeErrors to click
            raise
        except BrokenPipeError:  # of whoever reads what we print: click ends in silence
            raise
        except click.ClickException as error:
            error.message = clean(error.message)
            raise
        except (ValueError, ImportError, OSError, RuntimeError) as error:
            if os.environ.get("KERAS_CPM_TRACEBACK"):
                raise
            text = str(error)
            # of what others write into, such as a log
            if getattr(error, "errno", None) in _FULL:
                text = f"{text}: a disk is full; make room, and run the same again."
            raise click.ClickException(
                clean(in_flags(text, self.commands[ctx.invoked_subcommand]))
            ) from error


def _show_warning(message, *_):
    echo(f"Warning: {message}", err=True)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main():
    """Convolutional Pose Machines for Keras: train, evaluate, predict and export pose networks.

    Start with `keras-cpm demo`, which needs no data. MODEL is a bundle's folder, the name of a
    shipped one, or hf://OWNER/NAME. KERAS_CPM_TRACEBACK=1 shows where an error came from.
    """


for command in (
    demo,
    prepare,
    check_data,
    pack,
    train,
    evaluate,
    predict,
    predict_many,
    app,
    explain,
    export,
    verify,
    serve_test,
    import_caffe,
    push,
    inspect,
    reproduce,
    doctor,
):
    # also for whoever asks a command without `main`
    command.context_settings = main.context_settings
    main.add_command(command)

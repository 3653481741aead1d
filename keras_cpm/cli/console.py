"""What people read on the terminal: tables, progress, and not TensorFlow's start-up messages."""

import contextlib
import functools
import os
import re
import sys
import time

import click

from ..images import marks
from ..models import keras_settings

# What moves the cursor, colours, rings or turns the direction of writing, and the bytes of file
# names that are no text.
_STEERING = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def echo(text, **options):
    """Prints text in which names from files and servers may stand: as `click.echo`, but clean."""
    click.echo(clean(text), **options)


def clean(text):
    """Text without the characters that steer a terminal: they are written out.

    Example:
        >>> from keras_cpm.cli.console import clean
        >>> print(clean("left\\x1b[2Jwrist"))
        left\\x1b[2Jwrist
    """
    return _STEERING.sub(lambda found: _written_out(ord(found[0])), text)


def _written_out(code):
    # Python's way to carry a byte of a file name that is no UTF-8
    if 0xDC80 <= code <= 0xDCFF:
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


def load_tensorflow():
    """Imports TensorFlow without its start-up messages.

    Where another backend of Keras computes, TensorFlow only reads data, and leaves GPUs to that.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with silent_stderr():
        import tensorflow as tf

        if keras_settings.backend() != "tensorflow":
            tf.config.set_visible_devices([], "GPU")
        # the last messages come with the first operation
        tf.zeros([])


def without_tensorflow(command):
    """The command, in which NumPy computes, so that nobody waits for TensorFlow; what only that
    knows loads it all the same.
    """

    @functools.wraps(command)
    def run(*args, **options):
        from ..pose import arithmetic

        with arithmetic.by_numpy(load_tensorflow):
            return command(*args, **options)

    return run


@contextlib.contextmanager
def silent_stderr():
    """Keeps what compiled libraries say on stderr from the terminal."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def progress(title):
    """A wrapper for iterables that shows a bar on stderr."""
    from rich.console import Console
    from rich.progress import track

    return lambda items: track(items, title, console=Console(stderr=True), transient=True)


@contextlib.contextmanager
def counting(what):
    """Yields a function of (done, total, bad), which shows on stderr how far it is, how fast, and
    how long it takes: a bar, or where nobody watches a line a minute.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console, first, said = Console(stderr=True), [], [time.monotonic()]
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[at]}"))
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=None, at="starting", visible=console.is_terminal)

        def tell(done, total, bad):
            now = time.monotonic()
            # what it takes to begin says nothing of how fast it goes
            first[:] = first or [now, done]
            rate, at = (done - first[1]) / max(now - first[0], 1e-3), f"{bad} bad"
            if rate:
                left = (total - done) / rate / 60
                at = f"{rate:.1f} a second, {left:.0f} minutes left, {at}"
            bar.update(task, completed=done, total=total, at=at)
            if not console.is_terminal and now > said[0] + 60:
                said[0] = now
                echo(f"{done} of {total} {what}, {at}", err=True)

        yield tell


def print_scores(table):
    """Prints what `Evaluation.scores` returns, a row a stage or a file, a column a kind of part."""
    metric = next(iter(next(iter(table.values()))))
    rows = {
        row: {"total": entry[metric]["total"]} | entry[metric]["columns"]
        for row, entry in table.items()
    }
    print_table(f"{metric} in percent", rows)


def print_table(title, rows):
    """Prints {row: {column: number or `None`}}, all rows with the same columns."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    view = Table(title=escape(clean(title)))
    view.add_column("")
    for name in next(iter(rows.values())):
        view.add_column(escape(clean(name)), justify="right")
    for row, entry in rows.items():
        view.add_row(escape(clean(row)), *(_cell(value, "{:.2f}") for value in entry.values()))
    Console(width=None if sys.stdout.isatty() else 160).print(view)


def print_pose(result):
    """Prints what `Pose.to_dict` returns, a row a part."""
    for part, point in result["keypoints"].items():
        echo(f"{part:18s} x {point['x']:8.2f}  y {point['y']:8.2f}  score {point['score']:.3f}")


def print_comparisons(rows, where):
    """Prints what `compare_all` returns, a row an export."""
    from ..export.displacement import SURE

    keras = rows[0]
    echo(
        f"Displacement from the Keras model, {len(keras.scores)} {where}, "
        f"{keras.displacements.size} keypoints with a score of at least {SURE}"
    )
    line = "{:18s} {:>12s} {:>12s} {:>9s} {:>10s}  {}"
    echo(line.format("", "median, px", "largest, px", "MB", "ms", ""))
    for row in rows:
        facts = row.to_dict()
        cells = (_cell(facts["median"], "{:.4f}"), _cell(facts["largest"], "{:.4f}"))
        size, time = f"{row.size / 1e6:.2f}", f"{row.milliseconds:.1f}"
        tied = f"{facts['ties']} between equal peaks" if facts["ties"] else ""
        echo(line.format(row.name, *cells, size, time, tied if row.within else "TOO FAR"))


def print_parts(table):
    """Prints what `compare.parts_table` returns: a line a part, for each export."""
    for name, entries in table.items():
        total = entries["total"]
        pck, keras = _cell(total["pck"], "{:.2f}"), _cell(total["keras_pck"], "{:.2f}")
        echo(f"\n{name}: PCK@0.2 {pck}, Keras {keras}")
        for part, one in entries.items():
            if part != "total":
                median, far = _cell(one["median"], "{:.3f}"), _cell(one["p95"], "{:.3f}")
                pck, keras = _cell(one["pck"], "{:.1f}"), _cell(one["keras_pck"], "{:.1f}")
                echo(
                    f"  {part:18s} median {median:>7s} px  95 % below {far:>7s} px  "
                    f"PCK {pck:>5s}  Keras {keras:>5s}"
                )


def _cell(value, form):
    return "-" if value is None else form.format(value)


def write_json(path, value):
    """Writes `value` for programs, see `marks.write_values`; nothing where `path` is `None`."""
    if path is not None:
        marks.write_values(path, value)

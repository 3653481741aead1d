"""What commands write, and what they must not write over."""

import contextlib
import os
from collections import Counter
from pathlib import Path

import click

from ..images import marks, shards
from ..pose import output

# files of a bundle that a command reads
_OF_A_MODEL = ("model.keras", "spec.json", "network.json")

overwrite = click.option(
    "--overwrite",
    is_flag=True,
    help="Also replace files that keras-cpm did not write; those that it wrote are replaced "
    "without, and what a command reads never is.",
)


def guard(outputs, inputs, overwrite):
    """Refuses outputs that would cost the user a file.

    Args:
        outputs: list of (flag, or name of an argument, path of a file or `None`).
        inputs: paths that the command reads: files, names or folders of models, members of shards.
        overwrite: whether files that we did not write may be replaced.

    Raises:
        click.UsageError: an output is an input, also by another name of the same file; it is there
            and not ours, is a link, a folder, or another output.
    """
    # what is not there is no input
    there = any(path is not None and os.path.lexists(path) for _, path in outputs)
    read = {_identity(path) for one in inputs if there for path in _files_of(one)} - {None}
    seen = set()
    for flag, path in outputs:
        if path is None:
            continue
        place = os.path.abspath(path)
        reason = (
            (place in seen and "which another output of this command goes to")
            or (_identity(path) in read and "which this command reads")
            or (not overwrite and not _is_replaceable(path) and "which keras-cpm did not write")
        )
        if reason:
            remedy = "or add --overwrite" if reason.endswith("write") else "or another folder"
            # an argument, OUT, has no flag that somebody has typed
            writer = flag if flag.startswith("-") else "The command"
            raise click.UsageError(
                f"{writer} would write over {path}, {reason}; name another file, {remedy}."
            )
        seen.add(place)


@contextlib.contextmanager
def writing(path, written, failures):
    """What cannot be written does not cost the other outputs."""
    try:
        yield
    except OSError as error:
        failures.append(str(error))
    else:
        written.extend([path] if path else [])


def drawing_files(draw, images, part=None):
    """Where the drawings of each image go: no two into one file.

    Args:
        draw: path of a folder, or of a file for one image.
        images: list of paths.
        part: as in `visualization.results.draw_prediction`.

    Returns:
        list of lists of `Path`, the pose of an image first.

    Example:
        >>> from pathlib import Path
        >>> from keras_cpm.cli.outputs import drawing_files
        >>> [path.name for (path,) in drawing_files(Path("out"), ["a.jpg", "a.png", "a.1.jpg"])]
        ['a.2.png', 'a.3.png', 'a.1.png']
    """
    if len(images) == 1 and draw.suffix and not draw.is_dir():
        return [_with_part(draw, part)]

    def at(stem):
        return _with_part(draw / f"{stem}.png", part)

    stems = [Path(image).stem for image in images]
    count, numbers, found = Counter(map(_folded, stems)), Counter(), []
    owner = {_folded(f"{s}.png"): i for i, s in enumerate(stems) if count[_folded(s)] == 1}
    for number, stem in enumerate(stems):
        paths = at(stem) if count[_folded(stem)] == 1 else []
        while not paths or any(owner.get(_folded(p.name), number) != number for p in paths):
            numbers[stem] += 1
            paths = at(f"{stem}.{numbers[stem]}")
        owner |= {_folded(path.name): number for path in paths}
        found.append(paths)
    return found


def _with_part(pose, part):
    if not part:
        return [pose]
    return [pose, output.beside(pose, part), output.beside(pose, part, "stages")]


def _folded(name):
    # some file systems do not tell A from a
    return name.casefold()


def _files_of(one):
    """The files that are read where a command names one thing."""
    place = shards.split(one)
    if place is not None:
        return [place[0]]
    return [one, *(Path(one) / name for name in _OF_A_MODEL if os.path.isdir(one))]


def _identity(path):
    """What is the same for every name of a file; `None` where there is none."""
    try:
        state = os.stat(path)
    except OSError:
        return None
    return (state.st_dev, state.st_ino)


def _is_replaceable(path):
    """Nothing is there, a stream, or a file of ours; a link could lead anywhere."""
    if output.is_stream(path) or not os.path.lexists(path):
        return True
    try:
        return not os.path.islink(path) and marks.is_ours(path)
    except OSError:
        return False

"""Whether the training that a folder began is the one that is asked for, and where it goes on."""

import dataclasses
import json
import warnings

from ..data.augment import AugmentSpec
from ..data.digest import digest
from ..pose import output
from . import checkpoints, processes

LOG_FILE = "log.csv"
# settings of which only a digest is kept
_DIGESTS = ("records", "validation_records")


def found(job):
    """The state of the training in the folder and its arrays; a fresh state for a new one.

    Process 0 looks, and tells the others.

    Args:
        job: what `train` is asked for.

    Raises:
        ValueError: another training began there, or another process is asked for another.
    """
    settings = json.loads(json.dumps(_settings(job)))

    def look():
        state, arrays = _in_folder(job.directory, settings)
        return {"state": state, "asked": settings}, arrays

    told, arrays = processes.from_first(look)
    for name, value in told["asked"].items():
        if settings[name] != value:
            raise ValueError(
                f"All processes must train alike: give this one the `{name}` of process 0. "
                f"Received: {settings[name]!r}, process 0: {value!r}"
            )
    return told["state"], arrays


def _settings(job):
    """What must not change between the parts of one training."""
    fields = dataclasses.asdict(job.recipe)
    # more epochs or another time limit are what a resumed training is for
    del fields["max_minutes"]
    if not job.recipe.scheme.startswith("stagewise"):
        del fields["epochs"]
    return {
        **fields,
        **(dataclasses.asdict(job.augment) if job.augment else {"augment": None}),
        **json.loads(job.spec.to_json()),
        "number of records": len(job.records),
        "records": digest(job.records),
        "validation_records": digest(job.validation_records),
    }


def _in_folder(directory, settings):
    loaded = checkpoints.load(directory)
    if loaded is None:
        return {"epoch": 0, "best": 0.0, "settings": settings}, None
    state, arrays = loaded
    # a setting that an earlier version did not have was off
    began_with = dataclasses.asdict(AugmentSpec()) | state["settings"]
    for name, value in settings.items():
        if name in _DIGESTS:
            _check_digest(directory, name, value, state["settings"].get(name))
        elif began_with.get(name) != value:
            raise ValueError(
                f"The training in {directory} began with another `{name}`; go on with the "
                f"same, or name another `directory`. Received: {value!r}, began with: "
                f"{began_with.get(name)!r}"
            )
    _shorten_log(directory / LOG_FILE, state["epoch"])
    return state, arrays


def _check_digest(directory, name, value, began):
    if began is None:
        warnings.warn(
            f"The training in {directory} began before its `{name}` were remembered; whether they "
            "are the same is not known.",
            stacklevel=2,
        )
    elif began != value:
        raise ValueError(
            f"The training in {directory} began with other `{name}`: labels, their order, or names "
            "or sizes of photographs have changed since; go on with the same, or name another "
            f"`directory`. Received: {value}, began with: {began}"
        )


def _shorten_log(path, epochs):
    """Drops the line of an epoch that was logged, but will be repeated."""
    lines = path.read_bytes().splitlines(keepends=True) if path.is_file() else []
    finished = [str(epoch).encode() for epoch in range(epochs)]
    kept = lines[:1] + [line for line in lines[1:] if line.split(b",")[0] in finished]
    if kept != lines or not path.is_file():
        output.write_bytes(path, b"".join(kept))

"""Poses in photographs by the million: Ray Data looks at blocks of photographs on many cores and
machines, and each block becomes one file of the answer.

A block's name comes from its content (see `blocks`) and its file appears whole: so whatever dies,
and whatever is then done twice, every photograph is in the answer once. That is why no checkpoint
of Ray's is needed beside it: the answer is the checkpoint.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ..images.one_writer import one_writer
from ..pose import output
from .blocks import Block, blocks_of, store_of
from .looking import Looker

# Parquet's readers pass over files whose names begin like this
_SETTINGS, _LOCK = "_settings.json", "_lock"
# So many workers may die one after the other as they start.
_STARTS = 3
Tell = Callable[[int, int, int], None]


def predict_many(
    photographs: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    model: str | Path | None = None,
    people: str = "whole",
    person_model: str | Path | None = None,
    workers: int | None = None,
    cluster: str | None = None,
    tell: Tell | None = None,
) -> dict[str, int]:
    """Finds poses in any number of photographs, on all cores or on a cluster of Ray.

    Whatever died, the same call goes on: photographs that `out` has are not looked at again, and
    none is in it twice. `out` becomes a folder of Parquet files, a row a person: `path`, `person`
    (1, 2 ...), `keypoints` (P x [x, y], image frame, pixels), `scores` (P), `person_score`, `box`
    (x0, y0, x1, y1: where the table said it is, otherwise around its sure parts), `error`. A
    photograph without people, or a bad one, has one row of person 0, a bad one with its reason.

    Args:
        photographs: what `blocks.blocks_of` takes: photographs, folders, globs, tables of paths,
            URLs. Relative paths begin in the current folder; a cluster's machines must see it.
        out: a new folder, or that of the same call before; a path that all machines see, or a URL.
        model: name or folder of a bundle, or folder of a SavedModel that `export_saved_model`
            wrote; the shipped one without it.
        people: "whole", the person fills the photograph, or "auto", people are found. Where a table
            has boxes, these are the people.
        person_model: bundle that finds people, for "auto" and a bundle.
        workers: processes, each of which holds the model; without it one for each core, of
            this machine or of a cluster.
        cluster: address of a cluster of Ray, HOST:PORT or "auto"; without it, one starts on this
            machine and ends with the call.
        tell: called now and then with three counts: photographs looked at, how many there are to
            look at, and bad ones.

    Returns:
        dict of counts: "photographs" that were looked at, "people" found in them, "errors" (rows
        with a reason), and "kept", the photographs that `out` had before.

    Raises:
        ImportError: without the extra `bulk`.
        FileNotFoundError, ValueError: one sentence that names the input that is not there, the
            model, or `out`, where it holds something else.

    Example:
        >>> import tempfile, keras_cpm
        >>> folder = tempfile.mkdtemp()
        >>> records = keras_cpm.draw_records(f"{folder}/people", 4)
        >>> keras_cpm.predict_many(f"{folder}/people", f"{folder}/poses")  # doctest: +SKIP
        {'photographs': 4, 'people': 4, 'errors': 0, 'kept': 0}
    """
    _check(people, workers)
    inputs = [photographs] if isinstance(photographs, (str, Path)) else list(photographs)
    folder = str(out) if "://" in str(out) else os.path.abspath(out)
    settings = {"model": _identity(model), "people": people, "person": _identity(person_model)}
    with _alone(folder):
        _claim(folder, settings)
        todo, total, kept = _pending(inputs, folder)
        counts = {"photographs": 0, "people": 0, "errors": 0}
        if total:
            arguments = {"folder": folder, "root": os.getcwd(), "people": people}
            arguments |= {"model": _place(model), "person_model": _place(person_model)}
            with _ray(cluster):
                for done in _looked_at(todo, arguments, workers, cluster):
                    if done["refusal"]:
                        raise ValueError(done["refusal"])
                    counts = {name: count + done[name] for name, count in counts.items()}
                    if tell:
                        tell(counts["photographs"], total, counts["errors"])
        if "://" not in folder:
            # of workers that were killed as they wrote
            output.sweep(folder)
            for path in Path(folder).glob(".*.attempts"):
                output.remove(path)
    return {**counts, "kept": kept}


def _check(people, workers):
    if people not in ("auto", "whole"):
        raise ValueError(f'`people` must be "auto" or "whole". Received: people={people!r}')
    if workers is not None and workers < 1:
        raise ValueError(f"`workers` must be at least 1. Received: workers={workers!r}")
    try:
        import pyarrow  # noqa: F401
        import ray.data  # noqa: F401
    except ImportError:
        raise ImportError(
            "Prediction of many photographs needs Ray: pip install 'keras-cpm[bulk]'"
        ) from None


def _place(model):
    """A folder by its full path, a shipped bundle by its name."""
    return os.path.abspath(model) if model is not None and os.path.isdir(model) else model


def _identity(model):
    """What tells two models apart: the content of a folder, or a name."""
    if model is None or not os.path.isdir(model):
        return str(model)
    digest = hashlib.sha256()
    for path in sorted(path for path in Path(model).rglob("*") if path.is_file()):
        digest.update(path.relative_to(model).as_posix().encode() + b"\0")
        digest.update(path.read_bytes())
    return digest.hexdigest()


@contextlib.contextmanager
def _alone(folder):
    if "://" in folder:
        yield
        return
    with one_writer(folder, _LOCK, what="prediction", argument="out"):
        output.sweep(folder)
        yield


def _claim(folder, settings):
    """Refuses a folder of something else, or of other settings; writes ours into a new one."""
    from pyarrow import fs

    store, path = store_of(folder)
    there = store.get_file_info(fs.FileSelector(path, allow_not_found=True))
    names = {Path(one.path).name for one in there} - {_LOCK}
    if _SETTINGS in names:
        with store.open_input_stream(f"{path}/{_SETTINGS}") as file:
            before = json.loads(file.read())
        changed = [name for name in settings if before.get(name) != settings[name]]
        if changed:
            raise ValueError(
                f"`out` holds poses of another {changed[0]}; name another folder, or give what was "
                f"given before. Received: {folder}"
            )
    elif names:
        raise ValueError(
            f"`out` must be a new folder, or one of a prediction before. Received: {folder}, which "
            f"holds {min(names)}"
        )
    else:
        with store.open_output_stream(f"{path}/{_SETTINGS}") as file:
            file.write(json.dumps(settings).encode())


def _pending(inputs, folder) -> tuple[Callable[[], Iterator[Block]], int, int]:
    """The blocks to look at, how many photographs are in them, and how many the folder has.

    Blocks are read twice rather than held: there may be millions.
    """
    from pyarrow import fs, parquet

    store, path = store_of(folder)
    files = store.get_file_info(fs.FileSelector(path))
    have = {Path(one.path).stem for one in files if one.path.endswith(".parquet")}
    of_others, total = set(have), 0
    for block in blocks_of(inputs):
        of_others.discard(block.name)
        total += len(block.paths)
    # these come from inputs that were others then, such as a folder that has grown since
    answered: set[str] = set()
    for name in of_others:
        table = parquet.read_table(f"{path}/{name}.parquet", columns=["path"], filesystem=store)
        answered.update(table["path"].to_pylist())

    def todo():
        for block in blocks_of(inputs):
            left = block.without(answered) if block.name not in have else None
            if left and left.paths and left.name not in have:
                yield left

    count = sum(len(block.paths) for block in todo()) if have else total
    if not total:
        raise ValueError(f"There is no photograph in {', '.join(map(str, inputs[:3]))}.")
    return todo, count, total - count


@contextlib.contextmanager
def _ray(cluster):
    """A connection to a cluster: what is there already, at an address, or on this machine."""
    # neither reports home, nor messages of its own processes on the terminal
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    import ray

    logging.getLogger("ray.data").setLevel(logging.ERROR)
    ours = not ray.is_initialized()
    if ours:
        quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
        try:
            if cluster:
                _reach(cluster)
                ray.init(address=cluster, **quiet)
            else:
                # not one that a variable of the environment names
                ray.init(address="local", include_dashboard=False, **quiet)
        # Ray has no kind of its own
        except Exception as error:
            says = (str(error) or type(error).__name__).splitlines()[0]
            if cluster:
                raise ValueError(
                    f"`cluster` must be the address of a cluster of Ray, HOST:PORT or auto, of "
                    f"which this machine has the token. Received: {cluster} ({says})"
                ) from error
            raise RuntimeError(
                "Ray did not start, perhaps as this machine is too busy; run the same again. Ray "
                f"says: {says}"
            ) from error
    try:
        yield
    finally:
        if ours:
            ray.shutdown()


def _reach(cluster):
    """Ray itself asks for minutes where nobody answers."""
    if cluster != "auto":
        host, _, port = cluster.rpartition(":")
        socket.create_connection((host, int(port)), timeout=10).close()


def _looked_at(todo, arguments, workers, cluster):
    """The counts of one block after the other, in any order."""
    import ray

    cores = int(ray.cluster_resources().get("CPU", 1))
    workers = workers or max(1, cores)
    # a worker takes a core of a cluster, and its part of a machine of its own
    threads = 1 if cluster else max(1, cores // workers)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    # a worker that dies as it starts is replaced, as one is that dies at work; Ray counts one as
    # dead, too, that it no longer wanted before it ran
    context.max_consecutive_actor_init_deaths = _STARTS
    # a block of ours is one of Ray's, so that workers are given one after the other
    items = [{"block": json.dumps(vars(block))} for block in todo()]
    looked = ray.data.from_items(items, override_num_blocks=len(items)).map_batches(
        Looker,
        batch_size=1,
        batch_format="pyarrow",
        fn_constructor_kwargs={**arguments, "threads": threads},
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=workers, initial_size=workers),
        # a cluster that grows has none yet
        num_cpus=1 if cluster else min(1, cores / workers),
    )
    for batch in looked.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
        yield from batch.to_pylist()

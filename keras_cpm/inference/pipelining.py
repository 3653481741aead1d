"""Items are read, worked on and written at the same time, in order."""

import contextlib
import queue
import threading

# Items that wait between two steps; what is decoded too early takes memory.
_WAITING = 8
_END = object()


def pipelined(frames, work, write, *, live=False):
    """Runs `work` on every item while the next are read and the last are written.

    Args:
        frames: iterable; read in a thread of its own.
        work: function of an item.
        write: function of what `work` returns; called in order, in a thread of its own.
        live: whether an item that still waits when the next is read is dropped, as of a camera,
            whose newest frame matters.

    Returns:
        The number of items that were worked on.

    Raises:
        What any of the three raises; the others are stopped.

    Example:
        >>> from keras_cpm.inference.pipelining import pipelined
        >>> written = []
        >>> pipelined(range(3), lambda item: item + 1, written.append), written
        (3, [1, 2, 3])
    """
    read, done, failures = queue.Queue(_WAITING), queue.Queue(_WAITING), []
    stop = threading.Event()

    def reading():
        try:
            for item in frames:
                if live:
                    _drop(read)
                if not _put(read, item, stop):
                    return
        except BaseException as error:
            failures.append(error)
        _put(read, _END, stop)

    def writing():
        try:
            while (item := done.get()) is not _END:
                write(item)
        except BaseException as error:
            failures.append(error)
            stop.set()

    threads = [threading.Thread(target=target, daemon=True) for target in (reading, writing)]
    for thread in threads:
        thread.start()
    count = 0
    try:
        while not stop.is_set() and (item := _get(read, stop)) is not _END:
            _put(done, work(item), stop)
            count += 1
    finally:
        failed = stop.is_set()
        if not failed:
            _put(done, _END, stop)
        threads[1].join()
        stop.set()
        threads[0].join()
    if failures:
        raise failures[0]
    return count


def _put(waiting, item, stop):
    while not stop.is_set():
        try:
            waiting.put(item, timeout=0.1)
            return True
        except queue.Full:
            continue
    return False


def _drop(waiting):
    with contextlib.suppress(queue.Empty):
        waiting.get_nowait()


def _get(waiting, stop):
    while not stop.is_set():
        try:
            return waiting.get(timeout=0.1)
        except queue.Empty:
            continue
    return _END

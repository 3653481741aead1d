"""Items come and go in order, while others wait, and nothing keeps a thread."""

import threading
import time

import pytest

from keras_cpm.inference.pipelining import pipelined


def test_items_are_worked_on_in_order_while_others_wait():
    started, written = [], []
    assert pipelined(range(50), lambda i: started.append(i) or 2 * i, written.append) == 50
    assert started == list(range(50)) and written == [2 * i for i in range(50)]


def test_what_is_not_needed_yet_is_not_read():
    read, gate = [], threading.Event()

    def frames():
        for number in range(100):
            read.append(number)
            if number == 20:
                gate.set()
            yield number

    def work(item):
        if item == 0:
            assert not gate.wait(0.5), "all frames were read before the first was done"
        return item

    pipelined(frames(), work, lambda item: None)


def test_of_a_camera_only_the_newest_waits():
    """While the first is worked on, the others come; the last of them is what is worked on next."""
    all_read, worked = threading.Event(), []

    def frames():
        yield "first"
        while not worked:
            time.sleep(0.001)
        yield from ("second", "third", "fourth")
        all_read.set()

    def work(item):
        worked.append(item)
        assert all_read.wait(10)
        return item

    written = []
    assert pipelined(frames(), work, written.append, live=True) == 2
    assert worked == written == ["first", "fourth"]


@pytest.mark.parametrize("where", ["reading", "working", "writing"])
def test_an_error_ends_it_and_is_raised(where):
    def fail(here, item):
        if where == here and item == 20:
            raise ValueError(f"{here} {item}")
        return item

    before = threading.active_count()
    with pytest.raises(ValueError, match=f"{where} 20"):
        pipelined(
            (fail("reading", i) for i in range(1000)),
            lambda item: fail("working", item),
            lambda item: fail("writing", item),
        )
    assert threading.active_count() == before

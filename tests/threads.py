"""Many threads that ask one object the same questions at the same time."""

import threading
from concurrent.futures import ThreadPoolExecutor


def answers_of_threads(ask, questions, *, threads=8, calls=4):
    """Asks in every thread `calls` questions, each thread in another order.

    Returns:
        list of (number of the question, answer) of all threads.
    """
    start = threading.Barrier(threads)

    def asking(thread):
        start.wait()
        numbers = [(7 * thread + call) % len(questions) for call in range(calls)]
        return [(number, ask(questions[number])) for number in numbers]

    with ThreadPoolExecutor(threads) as pool:
        return [pair for pairs in pool.map(asking, range(threads)) for pair in pairs]

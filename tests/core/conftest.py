"""Threads that are run and joined, and what came of them."""

import threading

import pytest


@pytest.fixture
def in_threads(leaves_nothing_behind):
    """Runs callables, one thread each, and gives what each returned or raised."""

    def run(*bodies):
        results = [None] * len(bodies)

        def work(number, body):
            try:
                results[number] = body()
            except BaseException as raised:
                results[number] = raised

        threads = [threading.Thread(target=work, args=pair, daemon=True) for pair in enumerate(bodies)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return results

    return run

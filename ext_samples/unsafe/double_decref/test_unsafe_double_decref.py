"""What was put into the box is as it was when it is taken out, and its maker still has it."""

import pytest
import unsafe_double_decref as sample

import ftcheck

TIMES = 1000


@pytest.mark.ftcheck
def test_values_are_whole():
    box = sample.Box()

    def put():
        made = [[number] for number in range(TIMES)]
        for value in made:
            box.put(value)
        made += [[-1] for _ in range(TIMES)]  # in memory that was given back
        assert all(value == [number] for number, value in enumerate(made[:TIMES]))

    ftcheck.concurrently(put, put)

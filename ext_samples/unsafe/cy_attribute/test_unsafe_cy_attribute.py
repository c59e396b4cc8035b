"""The light that two threads add to one image is all in its total."""

import pytest
import unsafe_cy_attribute as sample

import ftcheck

PIXELS = bytes(range(100))
TIMES = 8000


@pytest.mark.ftcheck
def test_no_light_is_lost():
    light = sample.Light()

    def add():
        for _ in range(TIMES):
            light.add(PIXELS)

    ftcheck.concurrently(add, add)
    assert light.read() == 2 * TIMES * sum(PIXELS)

"""Two threads that ask for the same name get it, and it is the same."""

import itertools

import pytest
import safe_interned as sample

import ftcheck

NUMBERS = itertools.count()


@pytest.mark.ftcheck
def test_names():
    numbers = [next(NUMBERS) % sample.NAMES for _ in range(20)]  # each is made once in a process
    seen = []
    ftcheck.concurrently(lambda: seen.append([sample.name(number) for number in numbers]), threads=2)
    for one, other in zip(*seen, strict=True):
        assert one is other

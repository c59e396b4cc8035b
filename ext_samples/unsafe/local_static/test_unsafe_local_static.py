"""There is one table of each size: two threads that ask at the same time get the same one."""

import itertools

import pytest
import unsafe_local_static as sample

import ftcheck

NUMBERS = itertools.count()


@pytest.mark.ftcheck
def test_both_threads_get_the_same_table():
    size = next(NUMBERS) % sample.SIZES  # each is made once in a process
    tables = []
    ftcheck.concurrently(lambda: tables.append(sample.get(size)), threads=2)
    first, second = tables
    assert first == second

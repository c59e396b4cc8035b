"""There is one table: two threads that ask at the same time get the same object."""

import pytest
import safe_lazy_static as sample

import ftcheck


@pytest.mark.ftcheck
def test_both_threads_get_the_same_table():
    tables = []
    sample.invalidate()
    ftcheck.concurrently(lambda: tables.append(sample.get_table()), threads=2)
    first, second = tables
    assert first is second

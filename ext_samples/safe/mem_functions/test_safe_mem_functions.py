"""All parts of the record belong to the same name, whenever one looks."""

import pytest
import safe_mem_functions as sample

import ftcheck

TIMES = 5000


@pytest.mark.ftcheck
def test_record_is_whole():
    def write():
        for _ in range(TIMES):
            sample.set("somebody")
            sample.set("another one with a longer name")

    def read():
        for _ in range(2 * TIMES):
            assert sample.is_whole()

    ftcheck.concurrently(write, read)

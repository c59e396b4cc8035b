"""No name is given twice, and every name that was given is counted."""

import pytest
import unsafe_static_counter as sample

import ftcheck

NAMES = 5000


@pytest.mark.ftcheck
def test_names_are_unique():
    names = []

    def take():
        names.extend([sample.next_name() for _ in range(NAMES)])

    before = sample.names_given()
    ftcheck.concurrently(take, take)
    assert len(set(names)) == 2 * NAMES
    assert sample.names_given() - before == 2 * NAMES

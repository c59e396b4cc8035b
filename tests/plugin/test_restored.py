"""The standard streams that a test exchanges are put back, in whatever order its copies do so."""

import sys

import pytest

from ftcheck.plugin.running import _streams_restored


@pytest.mark.parametrize("name", ["stdin", "stdout", "stderr"])
def test_two_copies_that_exchange_the_same_stream(name):
    """Each keeps what it found and puts it back; the second one has found the first one's."""
    original = getattr(sys, name)
    with _streams_restored():
        found_by_first = getattr(sys, name)
        setattr(sys, name, "of the first")
        found_by_second = getattr(sys, name)
        setattr(sys, name, found_by_first)
        setattr(sys, name, found_by_second)
        assert getattr(sys, name) == "of the first"
    assert getattr(sys, name) is original

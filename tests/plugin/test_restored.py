"""What a test exchanges for its own time is put back, in whatever order its copies do so."""

import linecache
import sys

import pytest

from ftcheck.plugin.running import _patched_globals_restored


@pytest.mark.parametrize(("module", "name"), [(linecache, "getlines"), (sys, "displayhook")])
def test_two_copies_that_exchange_the_same_global(module, name):
    """Each keeps what it found and puts it back; the second one has found the first one's."""
    original = getattr(module, name)
    with _patched_globals_restored():
        found_by_first = getattr(module, name)
        setattr(module, name, "of the first")
        found_by_second = getattr(module, name)
        setattr(module, name, "of the second")
        setattr(module, name, found_by_first)
        setattr(module, name, found_by_second)
        assert getattr(module, name) == "of the first"
    assert getattr(module, name) is original

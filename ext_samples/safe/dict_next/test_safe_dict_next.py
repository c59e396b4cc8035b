"""The total of a cache counts each entry once, while another thread moves entries to the end."""

import pytest
import safe_dict_next as sample

import ftcheck

ENTRIES = 500
SIZE = 7


@pytest.mark.ftcheck
def test_no_entry_is_counted_twice():
    cache = dict.fromkeys(map(str, range(ENTRIES)), SIZE)
    names = list(cache)

    def use():
        for name in names * 20:
            cache[name] = cache.pop(name)  # the least recently used entry stays in front

    def measure():
        for _ in range(400):
            # At most the one entry that is being moved is out of the dict.
            assert (ENTRIES - 1) * SIZE <= sample.total_size(cache) <= ENTRIES * SIZE

    ftcheck.concurrently(use, measure)

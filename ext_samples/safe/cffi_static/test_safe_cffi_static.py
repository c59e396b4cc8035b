"""All text that is fed is counted."""

import pytest
from safe_cffi_static import lib

import ftcheck

TEXT = b"the quick brown fox jumps over the lazy dog " * 1000
TIMES = 100


@pytest.mark.ftcheck
def test_all_text_is_counted():
    def feed():
        for _ in range(TIMES):
            lib.feed(TEXT, len(TEXT))

    lib.reset()
    ftcheck.concurrently(feed, feed)
    assert lib.fed() == 2 * TIMES * len(TEXT)

"""Every use of a shared meter is counted."""

import pytest
import unsafe_cffi_cdata as sample

import ftcheck

TIMES = 4000


@pytest.mark.ftcheck
def test_every_use_is_counted():
    meter = sample.Meter()

    def use():
        for _ in range(TIMES):
            meter.add(64)

    ftcheck.concurrently(use, use)
    assert meter.read() == (2 * TIMES, 2 * TIMES * 64)

"""A checksum that two threads update contains all their bytes."""

import pytest
import safe_object_field as sample

import ftcheck

BLOCK = bytes(range(100))
TIMES = 8000


def checksum_of(times):
    checksum = sample.Checksum()
    for _ in range(times):
        checksum.update(BLOCK)
    return checksum.value()


EXPECTED = checksum_of(2 * TIMES)  # whichever thread a block comes from


@pytest.mark.ftcheck
def test_every_byte_is_in_the_checksum():
    checksum = sample.Checksum()

    def update():
        for _ in range(TIMES):
            checksum.update(BLOCK)

    ftcheck.concurrently(update, update)
    assert checksum.value() == EXPECTED

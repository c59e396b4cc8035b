"""A checksum is that of one of the frames, however often another thread replaces the frame."""

import pytest
import safe_borrowed_ref as sample

import ftcheck

SIZE = 4096
TIMES = 800


def frame(number):
    return bytes([number % 8]) * SIZE


@pytest.mark.ftcheck
def test_checksum_is_of_one_frame():
    valid = {sample.checksum([frame(number)], 0) for number in range(8)}
    frames = [frame(0)]

    def replace():
        for number in range(TIMES):
            frames[0] = frame(number)

    def read():
        for _ in range(TIMES):
            assert sample.checksum(frames, 0) in valid

    ftcheck.concurrently(replace, read)

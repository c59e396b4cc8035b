"""Buffers that two threads make at the same time do not share their memory."""

import pytest
import safe_free_list as sample

import ftcheck

BUFFERS = 1000


@pytest.mark.ftcheck
def test_every_buffer_keeps_its_bytes():
    kept = []

    def fill(name):
        for number in range(BUFFERS):
            text = b"%s %d" % (name, number)
            kept.append((sample.Buffer(text), text))

    ftcheck.concurrently(lambda: fill(b"mine"), lambda: fill(b"yours"))
    assert all(buffer.read() == text for buffer, text in kept)

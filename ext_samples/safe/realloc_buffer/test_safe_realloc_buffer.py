"""A text of nothing but x has no other character, even while it grows."""

import pytest
import safe_realloc_buffer as sample

import ftcheck

TEXTS = 4
BEGUN = 500
SIZE = 3000
READS = SIZE // 20


@pytest.mark.ftcheck
def test_text_is_nothing_but_x():
    texts = [sample.Text() for _ in range(TEXTS)]
    for text in texts:
        for _ in range(BEGUN):  # so that to read takes as long as to append
            text.append()

    def append():
        for text in texts:
            for _ in range(SIZE):
                text.append()
                [b"y" * size for size in (250, 760, 1530)]  # where the text was before

    def read():
        for text in texts:
            for _ in range(READS):
                assert text.wrong() == 0

    ftcheck.concurrently(append, read)

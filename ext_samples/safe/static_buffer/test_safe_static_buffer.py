"""Each thread gets its own text back."""

import threading

import pytest
import safe_static_buffer as sample


@pytest.mark.ftcheck
def test_my_text_comes_back():
    milliseconds = threading.get_ident() % 1_000_000_007
    seconds, rest = divmod(milliseconds, 1000)
    mine = f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}.{rest:03}"
    for _ in range(8000):
        assert sample.duration(milliseconds) == mine

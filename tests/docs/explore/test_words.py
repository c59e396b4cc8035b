import pytest
from hypothesis import given
from hypothesis import strategies as st
from words import WordCount

import ftcheck

words = st.lists(st.text(max_size=3), max_size=4)


@pytest.mark.ftcheck(explore=True)
@given(words, words)
def test_counts(first, second):
    counter = WordCount()

    def add_all(words):
        for word in words:
            counter.add(word)

    ftcheck.concurrently(lambda: add_all(first), lambda: add_all(second))
    assert sum(counter.counts.values()) == len(first) + len(second)

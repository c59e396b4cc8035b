"""overlap.py: which stamps overlap, against comparing every pair; how many calls fill a time."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftcheck.stress.overlap import calls_for, overlapped

stamps = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12), st.integers(0, 2)), max_size=6)


@given(stamps)
def test_overlap_is_that_some_two_bodies_share_a_moment(several):
    ran = [(start, end) for start, end, calls in several if calls and end > start]
    assert overlapped(several) == any(max(a[0], b[0]) < min(a[1], b[1]) for a, b in combinations(ran, 2))


@pytest.mark.parametrize(
    ("several", "together"),
    [
        ([], False),
        ([(0, 10, 1)], False),
        ([(0, 10, 1), (10, 20, 1)], False),
        ([(0, 10, 1), (9, 20, 1)], True),
        ([(0, 100, 1), (10, 20, 1), (30, 40, 1)], True),
        ([(0, 10, 1), (0, 10, 0)], False),
        ([(5, 5, 1), (0, 10, 1)], False),
    ],
)
def test_cases(several, together):
    assert overlapped(several) is together


@given(
    st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 50)), max_size=4), st.integers(1, 10**7)
)
def test_the_slowest_body_fills_the_time_and_no_more(drawn, target):
    several = [(start, start + length, calls) for start, length, calls in drawn]
    slowest = max((max(1, length / calls) for _, length, calls in drawn if calls), default=None)
    calls = calls_for(several, target)
    assert 1 <= calls <= 20_000
    if slowest is None:
        assert calls == 1
    else:
        assert calls == 1 or calls * slowest <= target * (1 + 1e-9)
        assert calls == 20_000 or (calls + 1) * slowest > target * (1 - 1e-9)

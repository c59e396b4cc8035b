"""Hypothesis tests in threads: each thread runs its own examples, and what is found once is found."""

import datetime

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import DeadlineExceeded, FlakyFailure

from ftcheck.plugin.given import adapt, seen_once


class Examples:
    """Not collected: called here as a class of tests would be, with an instance for each thread."""

    @settings(max_examples=3)
    @given(st.integers())
    def runs(self, number):
        assert number == number


def test_several_instances_are_no_mistake():
    """Without it the second instance's call fails Hypothesis' health check."""
    adapt(Examples().runs)
    Examples().runs()
    Examples().runs()


def test_no_explain_phase():
    """It traces the whole process, one thread at a time, and warns in the others; all other phases stay."""

    @settings(phases=[Phase.generate, Phase.shrink, Phase.explain])
    @given(st.integers())
    def fails(number): ...

    adapt(fails)
    assert set(fails._hypothesis_internal_use_settings.phases) == {Phase.generate, Phase.shrink}


def test_other_functions_are_left_alone():
    def plain(): ...

    adapt(plain)
    assert not vars(plain)


def test_what_was_seen_once():
    """The exception itself, with the data, and a traceback that begins in the test."""
    calls = []

    @settings(database=None, max_examples=5)
    @given(st.integers())
    def fails_once(number):
        calls.append(number)
        if len(calls) == 1:
            raise KeyError("seen once")

    with pytest.raises(FlakyFailure) as caught:
        fails_once()
    [seen] = seen_once(caught.value)
    assert seen_once(caught.value) == [seen]
    assert type(seen) is KeyError
    assert seen.__traceback__.tb_frame.f_code.co_name == "fails_once"
    data, remark = seen.__notes__  # also after the second call
    assert data.startswith("Failing test case: fails_once(\n    number=")
    assert "did not fail in this way" in remark


def test_what_hypothesis_itself_raises_stays_as_it_is():
    slow = DeadlineExceeded(datetime.timedelta(1), datetime.timedelta(0))
    assert seen_once(FlakyFailure("unreliable timings", [slow])) == []
    assert not seen_once(ExceptionGroup("another", [KeyError()]))
    assert not seen_once(KeyError())

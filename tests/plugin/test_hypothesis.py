"""Hypothesis tests in threads: each thread runs its own examples on an instance of its own."""

from hypothesis import given, settings
from hypothesis import strategies as st

from ftcheck.plugin.running import _let_hypothesis_have_instances


class Examples:
    """Not collected: called here as a class of tests would be, with an instance for each thread."""

    @settings(max_examples=3)
    @given(st.integers())
    def runs(self, number):
        assert number == number


def test_several_instances_are_no_mistake():
    """Without it the second instance's call fails Hypothesis' health check."""
    _let_hypothesis_have_instances(Examples().runs)
    Examples().runs()
    Examples().runs()


def test_other_functions_are_left_alone():
    def plain(): ...

    _let_hypothesis_have_instances(plain)
    assert not vars(plain)

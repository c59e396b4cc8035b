"""``ftcheck.interleavings()`` in pytest: without a marker, with one, and under ``--ftcheck``."""

import re

import pytest

SUITE = """
import ftcheck, pytest, threading
from hypothesis import example, given, settings, strategies as st

quick = settings(database=None, max_examples=200, derandomize=True, deadline=None)

class Account:
    def __init__(self):
        self.total = 0
    def add(self, amount):
        if amount > 10:
            total = self.total
            self.total = total + amount
        else:
            with LOCK:
                self.total += amount

LOCK = threading.Lock()
amounts = st.integers(0, 1000)

@quick
@given(amounts, amounts, ftcheck.interleavings(threads=2, within=10))
def test_fails(first, second, interleaving):
    account = Account()
    interleaving.run(lambda: account.add(first), lambda: account.add(second))
    assert account.total == first + second

@quick
@example(11, 0, ftcheck.Interleaving("1p4-2"))
@given(amounts, amounts, ftcheck.interleavings(threads=2))
def test_example(first, second, interleaving):
    account = Account()
    interleaving.run(lambda: account.add(first), lambda: account.add(second))
    assert account.total == first + second

@quick
@given(st.integers(0, 10), st.integers(0, 10), ftcheck.interleavings(threads=2))
def test_holds(first, second, interleaving):
    account = Account()
    interleaving.run(lambda: account.add(first), lambda: account.add(second))
    assert account.total == first + second

def test_plain():
    account = Account()
    ftcheck.Interleaving("1p4-2").run(lambda: account.add(1), lambda: account.add(2))
    assert account.total == 3
"""
MARKED = SUITE.replace("@quick\n", "@pytest.mark.ftcheck(explore=True)\n@quick\n", 1)


@pytest.fixture(scope="module")
def plain(mini):
    return mini({"test_hand.py": SUITE}, plugins=True)


@pytest.mark.parametrize("name", ["test_fails", "test_example"])
def test_the_failing_example_shows_data_and_interleaving(plain, name):
    text = plain.text(name)
    assert re.search(r"interleaving=ftcheck\.Interleaving\('1p4-2'\)", text)
    assert "switch to thread 2" in text
    assert "self.total → 0" in text
    assert "Flaky" not in text
    assert plain.outcomes(name)["call"] == "failed"


@pytest.mark.parametrize("name", ["test_holds", "test_plain"])
def test_what_holds_passes(plain, name):
    assert plain.outcomes(name)["call"] == "passed"


def test_in_an_explored_test_it_is_refused(mini):
    run = mini({"test_hand.py": MARKED}, "-k", "test_fails", plugins=True)
    assert "call ftcheck.concurrently() there, or take the marker off this test" in run.out
    assert run.verdict("test_fails") == "failure"


def test_under_the_parallel_engine_it_runs_alone(mini):
    run = mini({"test_hand.py": SUITE}, "--ftcheck", "--ftcheck-threads=2", "--ftcheck-rounds=5", plugins=True)
    assert run.verdict("test_holds") == "not checked"
    assert "brings a schedule of its own (ftcheck.Interleaving.run)" in run.out
    assert run.verdict("test_fails") == "failure"

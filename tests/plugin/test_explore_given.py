"""``@given`` tests under ``explore=True``: data and schedule in one example, made small together."""

import re

import pytest

SUITE = """
import threading
import ftcheck
import pytest
from hypothesis import given, settings, strategies

lock = threading.Lock()


class Account:
    def __init__(self):
        self.total = 0

    def add(self, amount):
        if amount > 10:
            total = self.total
            self.total = total + amount
        else:
            with lock:
                self.total += amount


class Locked(Account):
    def add(self, amount):
        with lock:
            self.total += amount


amounts = strategies.integers(0, 1000)
quick = settings(max_examples=25, database=None)


@pytest.mark.ftcheck(explore=True)
@quick
@given(amounts, amounts)
def test_fails(first, second):
    account = Account()
    ftcheck.concurrently(lambda: account.add(first), lambda: account.add(second))
    assert account.total == first + second


@pytest.mark.ftcheck(explore=True)
@quick
@given(amounts, amounts)
def test_holds(first, second):
    account = Locked()
    ftcheck.concurrently(lambda: account.add(first), lambda: account.add(second))
    assert account.total == first + second


@pytest.mark.ftcheck(explore=True)
@quick
@given(strategies.lists(strategies.integers(), min_size=2))
def test_every_run_of_an_example_gets_its_own_data(items):
    size = len(items)
    ftcheck.concurrently(items.pop, items.pop)
    assert len(items) == size - 2


@pytest.mark.ftcheck(explore=True)
@quick
@given(amounts)
def test_fails_without_threads(amount):
    assert amount < 7


@pytest.mark.ftcheck(explore=True)
class TestMethods:
    @quick
    @given(amounts)
    def test_method(self, amount):
        account = Locked()
        ftcheck.concurrently(lambda: account.add(amount), lambda: account.add(1))
        assert account.total == amount + 1
"""


@pytest.fixture(scope="module")
def run(mini):
    return mini({"test_data.py": SUITE}, "--ftcheck-seed=3", plugins=True)


def test_a_race_is_found_and_its_data_made_small(run):
    """11 is the least amount that is not added under the lock, and the other one need not matter: any of 0 to 10."""
    assert run.verdict("test_fails") == "failure"
    text = run.text("test_fails")
    found = dict(re.findall(r"(first|second)=(\d+)", text))
    assert sorted(map(int, found.values()))[1] == 11
    assert sorted(map(int, found.values()))[0] <= 1
    assert "Flaky" not in text


def test_it_shows_the_interleaving_and_how_to_replay_it(run):
    finding = run.finding("test_fails")
    assert finding["replay"].startswith("ft2.")
    assert "switch to thread" in finding["detail"]
    assert "1 preemption" in finding["headline"]


def test_what_holds_passes_with_all_interleavings_of_all_examples(run):
    assert run.verdict("test_holds") == "passed"
    coverage = run.test("test_holds")["coverage"]
    assert coverage["interleavings"]["complete"]
    assert coverage["interleavings"]["number"] >= 2 * 25


@pytest.mark.parametrize("name", ["test_every_run_of_an_example_gets_its_own_data", "test_method"])
def test_passes(run, name):
    assert run.verdict(name) == "passed"


def test_what_needs_no_threads_fails_as_well(run):
    assert run.verdict("test_fails_without_threads") == "failure"
    assert "amount = 7" in run.text("test_fails_without_threads")


def test_nothing_is_called_flaky(run):
    assert "flaky" not in run.out.lower()

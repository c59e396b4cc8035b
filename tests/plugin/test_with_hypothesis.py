"""Hypothesis: profiles, seeds and databases reach the threads, and each of them runs a ``@given`` test's examples."""

import pytest

CONFTEST = """
import hypothesis

hypothesis.settings.register_profile("seven", max_examples=7, database=None, deadline=None)
hypothesis.settings.register_profile("three", max_examples=3, database=None, deadline=None)
hypothesis.settings.load_profile("seven")
"""
SUITE = """
import collections, threading
import pytest
from hypothesis import HealthCheck, given, settings, strategies
from meeting import meet

@pytest.fixture(autouse=True)
def once():
    '''So a body is called exactly once per thread and round.'''

quiet = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
seen = collections.defaultdict(lambda: collections.defaultdict(list))

@quiet
@given(strategies.integers())
def test_given(number):
    seen["given"][threading.get_ident()].append(number)

def test_counts(monkeypatch):
    with open("counts.txt", "w") as file:
        file.write(" ".join(str(len(numbers)) for numbers in seen["given"].values()))

@quiet
@given(strategies.integers())
def test_same_seed(number):
    seen["seed"][threading.get_ident()].append(number)

def test_seeds_were_the_same(monkeypatch):
    first, second = seen["seed"].values()
    assert first == second

@quiet
@given(strategies.integers(min_value=0))
def test_fails_and_shrinks(number):
    assert number < 10

@quiet
@given(strategies.data())
def test_interactive(data):
    assert isinstance(data.draw(strategies.booleans()), bool)

class TestMethods:
    @quiet
    @given(strategies.integers())
    def test_method(self, number):
        assert threading.current_thread() is not threading.main_thread()

@pytest.mark.parametrize("kind", [int, str])
@quiet
@given(data=strategies.data())
def test_with_parameter(kind, data):
    assert isinstance(data.draw(strategies.from_type(kind)), kind)

@quiet
@given(strategies.integers())
def test_with_fixture(tmp_path, number):
    assert tmp_path.exists()
"""
FILES = {"conftest.py": CONFTEST, "test_given.py": SUITE}
ARGUMENTS = ("-p", "hypothesispytest", "--ftcheck", "--ftcheck-threads=2", "--ftcheck-rounds=1", "--ftcheck-timeout=120")
QUICK = ("--ftcheck-classify=0", "--ftcheck-isolate=no")


@pytest.fixture(scope="module")
def seeded(mini):
    """A run with a seed for Hypothesis and the profile of ``conftest.py``."""
    return mini(FILES, *ARGUMENTS, "--ftcheck-classify=0", "--hypothesis-seed=11")


def counts(run):
    """How many examples each thread ran."""
    return (run.folder / "counts.txt").read_text(encoding="utf-8").split()


@pytest.mark.parametrize(
    "name",
    [
        "test_given",
        "test_same_seed",
        "test_interactive",
        "TestMethods::test_method",
        "test_with_parameter[int]",
        "test_with_parameter[str]",
        "test_with_fixture",
    ],
)
def test_passes(seeded, name):
    """Hypothesis runs in several threads at once, and complains of nothing."""
    assert seeded.verdict(name) in ("passed", "not checked"), seeded.text(name)
    assert seeded.test(name)["coverage"]["threads"] == 2  # of one round it is chance whether it overlaps


def test_seed_reaches_the_threads(seeded):
    """With --hypothesis-seed each thread draws the same examples."""
    assert seeded.verdict("test_seeds_were_the_same") == "not checked", seeded.text("test_seeds_were_the_same")


def test_failure_is_shrunk(seeded):
    """A failing example is minimised in a thread as elsewhere, and shown."""
    assert seeded.verdict("test_fails_and_shrinks") == "failure"
    assert "number=10" in seeded.text("test_fails_and_shrinks")


def test_profiles(seeded, mini):
    """The profile of conftest.py, or of the command line, in every thread; in a worker and in process."""
    assert counts(seeded) == ["7", "7"]
    chosen = mini(FILES, *ARGUMENTS, *QUICK, "--hypothesis-profile=three", "-k", "test_given or counts")
    assert counts(chosen) == ["3", "3"]

"""What Hypothesis owns of a plain explored test: example database, profile, seed. And that all works without it.

The race that the database is tested with is so small that every search comes to it, whatever its seed.
"""

import pytest

BODY = """
import ftcheck
import pytest

class Counter:
    def __init__(self):
        self.value = self.other = 0

    def increment(self):
        self.value += 1

    def work(self):
        for _ in range(20):
            self.other = 1
        self.increment()

@pytest.mark.ftcheck(explore=True)
def test_race():
    counter = Counter()
    ftcheck.concurrently(counter.increment, counter.increment)
    assert counter.value == 2

@pytest.mark.ftcheck(explore=True)
def test_long():
    counter = Counter()
    ftcheck.concurrently(counter.work, counter.work, counter.work)
    assert counter.value == 3

@pytest.mark.ftcheck(explore=True)
def test_copies(tmp_path):
    assert tmp_path

@pytest.mark.ftcheck(explore=True)
def test_holds():
    counter = Counter()
    def work():
        for _ in range(10):
            counter.value = 1
    ftcheck.concurrently(work, work, work)

@pytest.mark.ftcheck(explore=True, schedules=7)
def test_seven():
    test_holds()
"""
REPAIRED = BODY.replace("        self.value += 1\n", "        with LOCK:\n            self.value += 1\n").replace(
    "import pytest\n", "import pytest, threading\nLOCK = threading.Lock()\n", 1
)
PROFILES = """
from hypothesis import settings
from hypothesis.database import DirectoryBasedExampleDatabase
settings.register_profile("small", max_examples=5, database=DirectoryBasedExampleDatabase("elsewhere"))
settings.register_profile("none", database=None)
settings.register_profile("fixed", derandomize=True, database=None, max_examples=8)
"""
HERE = ("--ftcheck-isolate=no", "-p", "hypothesispytest")


def files(body=BODY):
    return {"test_body.py": body, "conftest.py": PROFILES}


def rounds(run, name):
    return run.test(name)["coverage"]["rounds"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("mini")


@pytest.fixture(scope="module")
def first(mini, folder):
    return mini(files(), *HERE, folder=folder)


@pytest.fixture(scope="module")
def second(first, mini, folder):
    """Isolated in a worker, which has the same database."""
    return mini(files(), "--ftcheck", "-p", "hypothesispytest", folder=folder)


def test_the_first_run_searches(first):
    assert rounds(first, "test_race") > 1
    assert "from the example database" not in first.out
    assert (first.folder / ".hypothesis" / "examples").is_dir()


def test_the_second_run_begins_with_what_failed(first, second):
    finding = second.finding("test_race")
    assert finding["headline"] == "AssertionError: assert 1 == 2 (schedule 1, from the example database, 1 preemption)"
    assert finding["replay"] == first.finding("test_race")["replay"]
    assert "switch to thread" in finding["detail"]
    assert rounds(second, "test_race") == 1


def test_what_is_repaired_is_forgotten(second, mini, folder):
    """Its token does not fit any more, so it is deleted, and the test explored; the next run does not know it."""
    run = mini(files(REPAIRED), *HERE, "-k", "test_race", folder=folder)
    assert run.verdict("test_race") == "passed"
    assert rounds(run, "test_race") > 1
    run = mini(files(), *HERE, "-k", "test_race", folder=folder)
    assert "from the example database" not in run.out
    assert run.verdict("test_race") == "failure"


@pytest.mark.parametrize("option", ["--hypothesis-profile=none", "--hypothesis-seed=3", "--ftcheck-seed=3"])
def test_no_database_is_respected(mini, folder, option):
    """``database=None``; and a run with a seed of its own leaves the database alone, as Hypothesis does itself."""
    for _ in range(2):
        run = mini(files(), *HERE, option, "-k", "test_race")
        assert run.verdict("test_race") == "failure"
        assert "from the example database" not in run.out
        assert not list(run.folder.glob(".hypothesis/examples/*"))


def test_the_database_of_the_profile(mini, tmp_path):
    for again in (False, True):
        run = mini(
            files(), *HERE, "--hypothesis-profile=small", "--ftcheck-schedules=500", "-k", "test_race", folder=tmp_path
        )
        assert ("from the example database" in run.out) is again
    assert list(tmp_path.glob("elsewhere/*"))


def test_max_examples_scales_the_number_of_schedules(mini, first):
    """Four for each, unless somebody has said how many."""
    assert rounds(first, "test_holds") == 400
    assert rounds(first, "test_seven") == 7
    run = mini(files(), *HERE, "--hypothesis-profile=small", "-k", "holds or seven")
    assert (rounds(run, "test_holds"), rounds(run, "test_seven")) == (20, 7)
    run = mini(files(), *HERE, "--hypothesis-profile=small", "--ftcheck-schedules=30", "-k", "holds or seven")
    assert (rounds(run, "test_holds"), rounds(run, "test_seven")) == (30, 7)
    run = mini(files(), *HERE, "--hypothesis-profile=small", "--ftcheck", "--ftcheck-explore", "-k", "holds")
    assert "up to 20 controlled interleavings per test" in run.out


def test_seeds(mini):
    """The same schedules with the same ``--hypothesis-seed``, and under ``derandomize`` always; not so otherwise."""

    def searched(*options):
        run = mini(files(), *HERE, *options, "-k", "long or holds")
        return [run.test(name)["coverage"]["interleavings"]["decisions"] for name in ("test_long", "test_holds")]

    three = searched("--ftcheck-seed=3")
    assert searched("--hypothesis-seed=3") == three
    assert searched("--ftcheck-seed=3", "--hypothesis-seed=77") == three
    assert searched("--hypothesis-seed=text") == searched("--hypothesis-seed=text") != three
    fixed = searched("--hypothesis-profile=fixed")
    assert searched("--hypothesis-profile=fixed") == fixed
    assert searched("--hypothesis-profile=fixed", "--ftcheck-seed=3") != fixed


def test_without_hypothesis(mini):
    """Where it is not installed everything works, and nothing is kept."""
    blocked = {"test_body.py": BODY, "conftest.py": "import sys\nsys.modules['hypothesis'] = None\n"}
    for _ in range(2):
        run = mini(blocked, "--ftcheck-isolate=no")
        assert run.verdict("test_race") == "failure"
        assert rounds(run, "test_holds") == 400
        assert "from the example database" not in run.out
        assert not (run.folder / ".hypothesis").exists()

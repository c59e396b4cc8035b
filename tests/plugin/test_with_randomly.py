"""pytest-randomly shuffles and seeds; so it does under ftcheck, whose own seed is another."""

import pytest

SUITE = """
import random
import pytest
from meeting import meet

@pytest.fixture(autouse=True)
def once():
    '''So a body is called exactly once per thread and round.'''

def draw(name):
    meet(name)
    with open("drawn.txt", "a") as file:
        file.write(f"{name} {random.random()!r}\\n")

def test_a(): draw("a")
def test_b(): draw("b")
def test_c(): draw("c")
def test_d(): draw("d")
def test_e(): draw("e")
"""
ARGUMENTS = ("--ftcheck", "--ftcheck-threads=2", "--ftcheck-rounds=2", "--ftcheck-classify=0")


def drawn(run):
    """What each test drew, in the order of the tests, and sorted: which thread draws first is chance."""
    values = {}
    for line in (run.folder / "drawn.txt").read_text(encoding="utf-8").splitlines():
        name, value = line.split()
        values.setdefault(name, []).append(float(value))
    return {name: sorted(numbers) for name, numbers in values.items()}


@pytest.fixture(scope="module")
def runs(mini):
    """The same seed in a worker, in process, and without ftcheck; and another seed."""

    def run(seed, *arguments):
        suite = SUITE if "--ftcheck" in arguments else SUITE.replace("meet(name)", "pass")
        return mini({"test_random.py": suite}, "-p", "randomly", f"--randomly-seed={seed}", "-v", *arguments)

    return {
        "worker": run(5, *ARGUMENTS, "--ftcheck-seed=77"),
        "process": run(5, *ARGUMENTS, "--ftcheck-isolate=no"),
        "plain": run(5),
        "other": run(6, *ARGUMENTS, "--ftcheck-isolate=no"),
    }


def test_order(runs):
    """The order comes from its seed alone."""
    orders = {name: list(drawn(run)) for name, run in runs.items()}
    assert orders["worker"] == orders["process"] == orders["plain"] != ["a", "b", "c", "d", "e"], orders


def test_seeded_before_each_test(runs):
    """Each test begins with the generator freshly seeded, and its threads draw from that one generator."""
    assert all(run.status == 0 for run in runs.values()), runs
    assert drawn(runs["worker"]) == drawn(runs["process"]) != drawn(runs["other"])
    assert {len(values) for values in drawn(runs["worker"]).values()} == {2 * 2}
    for name, (first,) in drawn(runs["plain"]).items():
        assert first in drawn(runs["worker"])[name]


def test_our_seed_is_our_own(runs):
    """Neither takes the other's seed."""
    runs["worker"].lines.fnmatch_lines(["Using --randomly-seed=5", "ftcheck: *seed 77,*"])
    assert runs["worker"].record["run"]["seed"] == 77


def test_seed_that_nobody_gave(mini):
    """Our seed is drawn from the system, not from the generator that pytest-randomly has seeded."""
    body = {"test_one.py": "def test_one(): pass"}
    seeds = {
        mini(body, "-p", "randomly", "--randomly-seed=5", "--ftcheck", "--ftcheck-isolate=no").record["run"]["seed"]
        for _ in range(4)
    }
    # All four alike by chance: 1e-18.
    assert len(seeds) > 1

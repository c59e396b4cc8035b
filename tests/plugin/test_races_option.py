"""``--ftcheck-races``: which tests have a list, where it is said, and what it leaves as it was."""

import json

import pytest

BODY = """
import threading

import pytest

import ftcheck

class Counter:
    def __init__(self):
        self.value = 0
        self.last = None

    def add(self, who=None):
        self.last = who
        self.value += 1

@pytest.mark.ftcheck(MARK)
def test_fails():
    counter = Counter()
    ftcheck.concurrently(lambda: counter.add("a"), lambda: counter.add("b"))
    assert counter.value == 2

@pytest.mark.ftcheck(MARK)
def test_holds():
    counter, lock = Counter(), threading.Lock()
    def body():
        with lock:
            counter.add()
    ftcheck.concurrently(body, body)
    assert counter.value == 2

@pytest.mark.ftcheck(MARK)
def test_last_writer_wins():
    settings = {}
    def put(value):
        settings["mode"] = value
    ftcheck.concurrently(lambda: put(1), lambda: put(2))

def test_unmarked():
    counter = Counter()
    counter.add()
"""
QUICK = ("--ftcheck-isolate=no", "-p", "no:randomly", "--ftcheck-seed=3")


def listed(run):
    """(name, lines, mark) of each pair, by test; None: it has no list."""
    found = {}
    for test in run.record["run"]["tests"]:
        explored = (test["coverage"] or {}).get("interleavings")
        pairs = explored and explored["candidates"] and explored["candidates"]["pairs"]
        found[test["test"].partition("::")[2]] = (
            pairs
            if pairs is None
            else [
                (pair["first"]["name"], pair["first"]["location"]["line"], pair["second"]["location"]["line"], pair["mark"])
                for pair in pairs
            ]
        )
    return found


def line(text):
    return BODY.splitlines().index(text) + 1


VALUE, LAST, MODE = (
    line("        self.value += 1"),
    line("        self.last = who"),
    line('        settings["mode"] = value'),
)
HELD = "both orders explored, the check held"
EXPECTED = {
    "test_fails": [("self.value", VALUE, VALUE, "confirmed"), ("self.last", LAST, LAST, HELD)],
    "test_holds": [],
    "test_last_writer_wins": [('settings["mode"]', MODE, MODE, HELD)],
}


@pytest.fixture(scope="module")
def marked(mini):
    """By marker, in this process, without any option."""
    return mini({"test_body.py": BODY.replace("MARK", "races=True")}, *QUICK)


@pytest.fixture(scope="module")
def everything(mini):
    """By the command line, all tests, in a worker process, with a JSON file."""
    typed = ("--ftcheck", "--ftcheck-races", "--ftcheck-threads=2", "--ftcheck-seed=3", "--ftcheck-json=report.json")
    return mini({"test_body.py": BODY.replace("MARK", "")}, *typed)


def test_by_marker(marked):
    assert listed(marked) == EXPECTED
    assert marked.verdicts() == {
        "test_body.py::test_fails": "failure",
        "test_body.py::test_holds": "passed",
        "test_body.py::test_last_writer_wins": "passed",
    }


def test_by_command_line_it_implies_exploring(everything):
    """The copies of the last test share nothing."""
    assert listed(everything) == EXPECTED | {"test_unmarked": []}
    assert everything.status == 1


def test_the_summary_lists_them(everything):
    everything.lines.fnmatch_lines(
        [
            "*ftcheck: 2 threads, up to 400 controlled interleavings per test*",
            "1. failure  test_body.py::test_fails",
            "race candidates of test_body.py::test_fails: 2 pairs in * of them to reverse a pair (all interleavings)",
            "  confirmed: with this pair reversed, the failing test passes",
            "    self.value",
            f"      test_body.py:{VALUE} in Counter.add  reads and writes, in two threads*",
            "  both orders explored, the check held",
            "    self.last",
            "race candidates of test_body.py::test_holds: none in * schedules (all interleavings)",
            "race candidates of test_body.py::test_last_writer_wins: 1 pair in * (all interleavings)",
        ]
    )
    assert "2 race candidates (1 confirmed)" in everything.out


def test_the_json_report_has_them(everything):
    data = json.loads((everything.folder / "report.json").read_text(encoding="utf-8"))
    by_test = {test["test"]: test["coverage"]["interleavings"]["candidates"] for test in data["tests"]}
    assert [pair["mark"] for pair in by_test["test_body.py::test_fails"]["pairs"]] == ["confirmed", HELD]
    assert by_test["test_body.py::test_holds"]["limit"] == "complete"
    assert data["run"]["settings"]["races"] is True


def test_what_is_run_again_is_run_in_the_same_way(everything):
    assert "--ftcheck-races" in everything.record["run"]["rerun"].split()


def test_by_ini_file_and_not_for_a_test_that_is_not_explored(mini):
    files = {
        "pytest.ini": "[pytest]\nftcheck_races = yes\n",
        "test_body.py": BODY.replace("MARK", "explore=False, rounds=2", 1).replace("MARK", ""),
    }
    run = mini(files, *QUICK)
    assert listed(run)["test_fails"] is None
    assert listed(run)["test_holds"] == []


def test_without_it_nothing_is_listed(mini):
    run = mini({"test_body.py": BODY.replace("MARK", "explore=True")}, *QUICK)
    assert set(listed(run).values()) == {None}
    assert "race candidate" not in run.out


def test_where_threads_stop_at_lines_it_is_said_that_nothing_was_looked_for(mini):
    """Options of different places are no usage error."""
    run = mini({"test_body.py": BODY.replace("MARK", "points='lines'")}, *QUICK, "--ftcheck-races", "-k", "test_holds")
    assert "race candidates of test_body.py::test_holds: not looked for" in run.out


def test_a_replay_lists_nothing(mini, marked):
    token = next(test["findings"][0]["replay"] for test in marked.record["run"]["tests"] if test["findings"])
    files = {"test_body.py": BODY.replace("MARK", "races=True")}
    run = mini(files, *QUICK, "test_body.py::test_fails", f"--ftcheck-replay={token}")
    assert run.verdicts() == {"test_body.py::test_fails": "failure"}
    assert listed(run) == {"test_fails": None}


GIVEN = """
import ftcheck
import pytest
from hypothesis import given, settings, strategies as st

class Counter:
    value = 0

    def add(self, number):
        self.value += number

@pytest.mark.ftcheck(races=True)
@settings(max_examples=20, derandomize=True, database=None)
@given(st.integers(1, 3))
def test_given(number):
    counter = Counter()
    ftcheck.concurrently(lambda: counter.add(number), lambda: counter.add(number))
    CHECK
"""


@pytest.mark.parametrize(("check", "mark"), [("assert counter.value == 2 * number", "confirmed"), ("", HELD)])
def test_the_examples_of_a_given_test_have_one_list(mini, check, mark):
    run = mini({"test_body.py": GIVEN.replace("CHECK", check)}, *QUICK, plugins=True)
    assert listed(run) == {"test_given": [("self.value", 10, 10, mark)]}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--ftcheck-races", "--ftcheck-explore=no"], "the command line: races contradicts explore=no"),
        (["--ftcheck-races", "--ftcheck-points=lines"], "the command line: races contradicts points=lines"),
        (["--ftcheck-races", "--ftcheck-rounds=5"], "the command line: races contradicts rounds"),
        (["--ftcheck-races", "--ftcheck-noise=0.5"], "the command line: races contradicts noise"),
        (["--ftcheck-races=perhaps"], "argument --ftcheck-races: ignored explicit argument 'perhaps'"),
    ],
)
def test_what_contradicts_it_is_a_usage_error(mini, options, message):
    run = mini({"test_body.py": "def test_x(): pass"}, *options)
    assert run.status == 4
    assert message in run.err


def test_a_marker_that_contradicts_itself_is_an_error(mini):
    run = mini({"test_body.py": BODY.replace("MARK", "races=True, replay='ft1.x'", 1).replace("MARK", "")}, *QUICK)
    assert "races contradicts replay: one interleaving shows one order of each pair. Explore." in run.err

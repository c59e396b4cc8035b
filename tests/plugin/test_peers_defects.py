"""What other tools call green, hide or get wrong: each is a test here, with the verdict that it should have had.

``peers_suite.py`` is the mini project, and its table ``ROWS`` says what is expected of each test, and which tool gets it
wrong and how. It is run once by ftcheck, and once by pytest-run-parallel itself, so that what is said of that stays true.
What ends the process or turns the GIL on is in ``test_peers_killers.py``.
"""

import sysconfig

import pytest

from .peers_suite import FILES, ONLY_OURS, ROWS

ARGUMENTS = ("--ftcheck", "--ftcheck-threads=4", "--ftcheck-rounds=3", "--ftcheck-timeout=120")
pytest.importorskip("pytest_asyncio", reason="some rows of the table are coroutine tests")


@pytest.fixture(scope="module")
def run(mini):
    """The mini project under ftcheck."""
    return mini(FILES | ONLY_OURS, "-p", "asyncio", "--doctest-modules", *ARGUMENTS)


@pytest.mark.parametrize("name", ROWS)
def test_verdict(run, name):
    """The right verdict, for the right reason, once, in all accounts."""
    row, test = ROWS[name], run.test(name)
    assert test["verdict"] == row.verdict, run.text(name)
    if row.verdict == "passed":
        coverage = test["coverage"]
        assert (coverage["threads"], coverage["rounds"]) == (4, 3)
    if row.verdict == "not checked":
        assert row.words in test["reason"]
    elif row.words:
        assert row.words in run.finding(name)["headline"]
    tags = {"failure": ["failure"], "skipped": ["skipped"], "expected failure": ["skipped"]}.get(row.verdict, [])
    assert run.junit_outcome(name) == tags


def test_one_result_for_each_test(run):
    """One JUnit case per node id, and a last line whose numbers add up to the tests."""
    names = [case.get("name") for case in run.junit.iter("testcase")]
    assert int(run.junit.get("tests")) == len(names) == len(set(names)) == len(run.verdicts())
    last = run.out.splitlines()[-1].strip("= ").rpartition(" in ")[0]
    counts = {what: int(number) for number, _, what in (part.partition(" ") for part in last.split(", "))}
    assert not counts.keys() & {"error", "errors", "warning", "warnings"}, run
    assert sum(counts.values()) == len(names)
    expected = list(run.verdicts().values())
    assert counts["failed"] == expected.count("failure")
    assert counts["not checked"] == expected.count("not checked")
    assert (counts["skipped"], counts["xfailed"], counts["xpassed"]) == (1, 1, 1)
    assert counts["passed"] == expected.count("passed") - 1  # the one that pytest calls xpassed


def test_both_kinds_are_shown(run):
    """All four failures, in the terminal and in the JUnit file."""
    groups = run.groups("test_two_kinds")
    assert {kind: group["count"] for kind, group in groups.items()} == {"KeyError": 6, "ValueError": 6}
    for text in (run.text("test_two_kinds"), run.junit_case("test_two_kinds").findtext("failure")):
        assert "kind A" in text
        assert "kind B" in text


def test_output_of_each_thread(run):
    """What a thread has printed is shown as its own."""
    lines = [(f"*Captured stdout (thread {thread}, round 1) call*", f"hello of ftcheck-{thread}") for thread in range(4)]
    run.lines.fnmatch_lines([line for pair in lines for line in pair], consecutive=True)


@pytest.mark.skipif(not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="with the GIL these operations do not overlap")
@pytest.mark.parametrize(
    ("name", "kind"), [("test_lost_update", "AssertionError"), ("test_dict_changes_while_iterated", "RuntimeError")]
)
def test_race_is_found(run, name, kind):
    """pytest-run-parallel passed both, in both runs: its threads come one after the other.

    A round failed in 9 of 10 cases on two busy CPUs, in 1 of 8 on one: all of 300 pass with a probability of 1e-17.
    """
    assert run.verdict(name) == "failure", run.test(name)
    assert kind in run.groups(name)


def test_hypothesis_is_not_flaky(run):
    """What takes two threads is a failure with its data, at its line; not `FlakyFailure: ... unreliable results`."""
    assert run.verdict("test_tickets") == "failure"
    groups = run.finding("test_tickets")["groups"]
    assert {group["kind"] for group in groups} == {"AssertionError"}
    assert {group["location"]["source"] for group in groups} == {'assert issued["all"].count(ticket) == 1'}
    text = run.text("test_tickets")
    assert "Failing test case: test_tickets(" in text
    assert "Called again with the same data, it did not fail in this way" in text
    assert "hypothesis/core.py" not in text


def test_autouse_recwarn_is_noticed(mini):
    """A suite of which nothing ran concurrently is no success (pytest-run-parallel: for months, in watchdog's CI)."""
    files = {
        "conftest.py": "import pytest\n@pytest.fixture(autouse=True)\ndef no_warnings(recwarn): yield\n",
        "test_serial.py": "def test_one(): pass\ndef test_two(): pass\n",
    }
    run = mini(files, *ARGUMENTS, "--ftcheck-min-concurrent=0.5", "-n2")
    assert run.status == 8
    assert set(run.verdicts().values()) == {"not checked"}
    run.lines.fnmatch_lines(["concurrent: 0 of 2 tests (0%)", "*2  uses recwarn, which*", "ftcheck: nothing was rerun*"])


def test_an_option_is_not_turned_around(mini_many):
    """`--skip-thread-unsafe=False` is true for pytest-run-parallel; a value that is none is refused here."""
    calls = [["--ftcheck=False"], ["--ftcheck", "--ftcheck-isolate=False"], ["--no-ftcheck=False"]]
    for run in mini_many({"test_it.py": "def test_it(): pass\n"}, calls):
        assert run.status == 4, run


# --- is it still so? --------------------------------------------------------------------------------------------------

UPDATE = "pytest-run-parallel has changed: update peers_suite.ROWS, its comments, and the comparison in the README"


@pytest.fixture(scope="module")
def theirs(mini):
    """The same mini project under pytest-run-parallel, without ftcheck."""
    pytest.importorskip("pytest_run_parallel")
    loaded = ("-p", "xdist", "-p", "run-parallel", "-p", "asyncio", "-p", "no:ftcheck")
    return mini(FILES, *loaded, "--doctest-modules", "--parallel-threads=4", "-v", plugins=True, classify=True,
                PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")  # fmt: skip


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row.theirs])
def test_pytest_run_parallel_says_so(theirs, name):
    """Green or skipped where a thread has failed, red where none has."""
    assert theirs.outcomes(name)["call"] == ROWS[name].theirs, UPDATE


def test_pytest_run_parallel_skips_by_the_other_flag(theirs):
    """With FLAG = False in its own module, the test is not run."""
    assert theirs.outcomes("test_flag_is_not_set")["setup"] == "skipped", UPDATE


def test_pytest_run_parallel_counts_subtests(theirs):
    """More tests and failures than there are, by the JUnit file's own count."""
    names = [case.get("name") for case in theirs.junit.iter("testcase")]
    assert int(theirs.junit.get("tests")) > len(names) == len(set(names)), UPDATE


@pytest.mark.parametrize("name", ["test_chdir", "test_patch_four_calls_deep"])
def test_pytest_run_parallel_runs_it_in_threads(theirs, name):
    """It lists what it has not run in parallel; these are not among them."""
    theirs.lines.fnmatch_lines(["*::test_monkeypatch was not run in parallel: *"])
    assert f"{name} was not run in parallel" not in theirs.out, UPDATE

"""``--ftcheck-native``: by which rule the accesses of extensions are ordered, and what a run says of it."""

import json

import pytest

from tests.native.snippets import build, watched_here

pytestmark = watched_here

SOURCE = """
static volatile long total;
static NOINLINE void count(void) { total++; }
static void left(void) { count(); }
static void right(void) { count(); }
"""
TESTS = """
import time

import pytest

import ftcheck
import snippet

def one_after_the_other():
    turns = [0]
    def body(number):
        while turns[0] != number:
            time.sleep(0.001)
        snippet.left()
        turns[0] += 1
        while turns[0] != 2:
            time.sleep(0.001)
    ftcheck.concurrently(lambda: body(0), lambda: body(1))

@pytest.mark.ftcheck(rounds=3)
def test_plain():
    one_after_the_other()

@pytest.mark.ftcheck(rounds=3, MARK)
def test_marked():
    one_after_the_other()
"""
MEETS = """
import pytest

import ftcheck
import snippet

@pytest.mark.ftcheck(rounds=2)
def test_at_the_same_time():
    snippet.again()
    ftcheck.concurrently(snippet.left, snippet.right)
"""
MEETING = """
static volatile long other;
static void left(void) { other++; reach(1); await(2); }
static void right(void) { await(1); other++; reach(2); }
"""
QUICK = ("--ftcheck-isolate=no", "-p", "no:randomly")
SECTION = "possible data races (strict)"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A folder with an extension whose calls do not overlap."""
    folder = tmp_path_factory.mktemp("apart")
    build(folder, SOURCE)
    return folder


@pytest.fixture(scope="module")
def meeting(tmp_path_factory):
    """One whose calls do."""
    folder = tmp_path_factory.mktemp("meeting")
    build(folder, MEETING)
    return folder


def possible(run, name):
    """The list of one test."""
    return run.test(name)["coverage"]["possible"]


def test_strict_lists_what_is_possible_and_fails_nothing(mini, project):
    run = mini({"test_it.py": TESTS.replace(", MARK", "")}, *QUICK, "--ftcheck-native=strict", folder=project)

    assert run.status == 0
    assert run.verdict("test_plain") == run.verdict("test_marked") == "passed"
    pairs = possible(run, "test_plain")["pairs"]
    assert [pair["headline"] for pair in pairs], run
    assert {pair[side]["function"] for pair in pairs for side in ("later", "earlier")} == {"count"}
    assert all("total++" in pair["later"]["source"] for pair in pairs)
    assert all(pair["text"].startswith("possible data race of total") for pair in pairs)
    run.lines.fnmatch_lines([f"{SECTION}: *", "*test_plain", "*of total*", "*snippet.c:* in count*total++*"])


def test_with_v_the_stacks_are_shown(mini, project):
    run = mini({"test_it.py": TESTS.replace(", MARK", "")}, *QUICK, "-v", "--ftcheck-native=strict", folder=project)

    run.lines.fnmatch_lines(
        [f"{SECTION}: *", "*possible data race of total, seen *", "*: write before", "*test_it.py:* (Python)"]
    )


def test_a_marker_says_it_for_one_test(mini, project):
    run = mini({"test_it.py": TESTS.replace("MARK", 'native="strict"')}, *QUICK, folder=project)

    assert run.status == 0
    assert possible(run, "test_plain") is None
    assert possible(run, "test_marked")["pairs"]


def test_by_default_nothing_is_said(mini, project):
    run = mini({"test_it.py": TESTS.replace(", MARK", "")}, *QUICK, folder=project)

    assert run.status == 0
    assert possible(run, "test_marked") is None
    assert SECTION not in run.out


def test_in_a_worker_process_it_is_the_same(mini, project):
    run = mini({"test_it.py": TESTS.replace(", MARK", "")}, "-p", "no:randomly", "--ftcheck-native=strict", folder=project)

    assert run.status == 0
    assert possible(run, "test_marked")["pairs"]
    assert SECTION in run.out


@pytest.mark.parametrize("rule", ["overlap", "strict"])
def test_what_overlaps_is_a_finding_by_both_rules(mini, meeting, rule):
    run = mini({"test_meet.py": MEETS}, *QUICK, f"--ftcheck-native={rule}", folder=meeting)

    assert run.status == 1
    assert run.verdict("test_at_the_same_time") == "data race"
    assert f"{SECTION}:" not in run.out


def test_off_looks_at_nothing(mini, meeting):
    run = mini({"test_meet.py": MEETS}, *QUICK, "--ftcheck-native=off", folder=meeting)

    assert run.verdict("test_at_the_same_time") == "passed"
    assert possible(run, "test_at_the_same_time") is None


@pytest.mark.parametrize(("rule", "verdict"), [("overlap", "data race"), ("strict", "data race"), ("off", "passed")])
def test_in_explored_tests_strict_is_as_overlap(mini, project, rule, verdict):
    explored = MEETS.replace("snippet.again()", "assert snippet").replace("rounds=2", "explore=True, schedules=50")
    run = mini({"test_it.py": explored}, *QUICK, f"--ftcheck-native={rule}", folder=project)

    assert run.verdict("test_at_the_same_time") == verdict
    assert possible(run, "test_at_the_same_time") is None


def test_what_was_possible_is_in_the_json_file(mini, project, tmp_path):
    path = tmp_path / "report.json"
    run = mini({"test_it.py": TESTS.replace(", MARK", "")}, *QUICK, "--ftcheck-native=strict", f"--ftcheck-json={path}",
               folder=project)  # fmt: skip

    assert run.status == 0
    data = json.loads(path.read_text(encoding="utf-8"))
    assert (data["schema"], data["version"]) == ("ftcheck-report", 1)
    assert data["run"]["settings"]["native"] == "strict"
    assert all(test["coverage"]["possible"]["pairs"] for test in data["tests"])


def test_another_rule_is_an_error_that_names_those_there_are(mini, project):
    run = mini({"test_it.py": TESTS.replace(", MARK", "")}, *QUICK, "--ftcheck-native=loose", folder=project)

    assert run.status == 4
    assert "native must be one of overlap, strict, off" in run.out + run.err

"""--ftcheck-json and --junitxml end to end: every verdict of every test, from two workers, once, of the right kind."""

import importlib.resources
import json
import shlex
from collections import Counter

import jsonschema
import pytest

from ftcheck.report.json_report import from_json
from ftcheck.verdicts import Verdict

BODY = """
import os
import pytest
from meeting import meet

def test_holds(): meet()

@pytest.mark.parametrize("text", ["it's $HOME", "<ä & \\u20ac>"])
def test_fails(text, request):
    if meet(text) == 0:
        raise KeyError(text)

def test_dies(): os.abort()
def test_dies_alone(monkeypatch): os.abort()

@pytest.mark.ftcheck(timeout=2)
def test_hangs(request):
    if meet() == 0:
        while True:
            pass

def test_alone(monkeypatch): pass
def test_fails_alone(monkeypatch): assert 0
def test_skipped(): pytest.skip("not today")
@pytest.mark.skip(reason="never")
def test_skipped_before(): pass
@pytest.mark.xfail(reason="known")
def test_expected(request): raise KeyError

@pytest.fixture
def broken(): raise OSError("no set-up")
def test_set_up(broken): pass

@pytest.fixture
def dies(): os.abort()
def test_dies_in_set_up(dies): pass
"""
SHARED = """
import pytest
from meeting import meet

@pytest.fixture(scope="module")
def checked():
    yield
    raise ValueError("the invariant does not hold")

def test_one(checked): meet()
def test_two(checked): meet()
def test_last_fails(checked, request):
    meet()
    raise KeyError("too")
"""
ARGUMENTS = ("--ftcheck", "--ftcheck-threads=2", "--ftcheck-rounds=2", "--ftcheck-timeout=120", "--ftcheck-classify=0")
EXPECTED = {
    "test_holds": ("passed", None, True),
    "test_fails[it's $HOME]": ("failure", "failure", True),
    r"test_fails[<\xe4 & \u20ac>]": ("failure", "failure", True),
    "test_dies": ("crash", "failure", True),
    "test_dies_alone": ("crash", "failure", False),
    "test_hangs": ("hang", "failure", True),
    "test_alone": ("not checked", None, False),
    "test_fails_alone": ("failure", "failure", False),
    "test_skipped": ("skipped", "skipped", True),
    "test_skipped_before": ("skipped", "skipped", False),
    "test_expected": ("expected failure", "skipped", True),
    "test_set_up": ("error", "error", False),
    "test_dies_in_set_up": ("crash", "error", False),
}
"""Name: the verdict, the kind in the JUnit file, whether it ran concurrently."""


@pytest.fixture(scope="module")
def run(mini):
    """Every kind of verdict, in two workers; the folders of the report are made."""
    return mini({"test_all.py": BODY}, *ARGUMENTS, "-n2", "--ftcheck-json=out/put/$NAME.json", NAME="all")


@pytest.fixture(scope="module")
def data(run):
    return json.loads((run.folder / "out" / "put" / "all.json").read_text(encoding="utf-8"))


def of(data, name):
    """One test's entry."""
    [found] = [test for test in data["tests"] if test["test"] == f"test_all.py::{name}"]
    return found


def test_it_is_valid(data):
    text = importlib.resources.files("ftcheck.report").joinpath("report-1.schema.json").read_text(encoding="utf-8")
    jsonschema.validate(data, json.loads(text), jsonschema.Draft202012Validator)


def test_every_test_once(data):
    names = [test["test"] for test in data["tests"]]
    assert sorted(names) == sorted(f"test_all.py::{name}" for name in EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_verdict(run, data, name):
    verdict, _, concurrent = EXPECTED[name]
    assert of(data, name)["verdict"] == verdict == run.verdict(name)
    assert of(data, name)["concurrent"] is concurrent


def test_it_is_what_the_terminal_was_given(run, data):
    """Field by field, by way of the reader."""
    back = from_json((run.folder / "out" / "put" / "all.json").read_bytes())
    assert len(back.tests) == len(run.record["run"]["tests"])
    for test, recorded in zip(back.tests, run.record["run"]["tests"], strict=True):
        assert (test.test, test.verdict.value, test.reason) == (recorded["test"], recorded["verdict"], recorded["reason"])
        assert [one.headline for one in test.findings] == [one["headline"] for one in recorded["findings"]]
        assert [one.detail for one in test.findings] == [one["detail"] for one in recorded["findings"]]
    assert back.ending.exit_status == run.status == 1
    assert back.ending.stopped == ""
    assert back.ending.troubles == ()


def test_counts(data):
    verdicts = Counter(verdict for verdict, _, _ in EXPECTED.values())
    assert data["counts"] == {verdict.value: verdicts[verdict.value] for verdict in Verdict}
    concurrent = [name for name, (verdict, _, ran) in EXPECTED.items() if ran and verdict != "skipped"]
    asked = [name for name, (verdict, _, _) in EXPECTED.items() if verdict != "skipped"]
    assert data["concurrent"] == {"tests": 6, "of": 11, "share": 6 / 11}
    assert (len(concurrent), len(asked)) == (6, 11)


def test_reasons(data):
    assert of(data, "test_alone")["reason"].startswith("uses monkeypatch, which ")
    assert of(data, "test_skipped")["reason"] == "not today"
    assert of(data, "test_skipped_before")["reason"] == "never"
    assert of(data, "test_expected")["reason"] == "known"
    assert of(data, "test_holds")["reason"] == ""


def test_rates(data):
    """How often, and for what ended the process: when."""
    rates = {one["tests"][0].partition("::")[2]: one["rate"] for one in data["findings"] if len(one["tests"]) == 1}
    assert rates["test_fails[it's $HOME]"] == "failed in 2 of 2 rounds"
    assert rates["test_dies"] == "died in round 1"
    assert rates["test_hangs"] == "did not end in round 1"
    assert rates["test_dies_alone"] == rates["test_set_up"] == ""


def test_how_it_was_run(run, data):
    assert data["run"]["isolated"] is True
    assert data["run"]["settings"]["rounds"] == 2
    assert "-n2" in data["run"]["arguments"]
    assert data["machine"]["cpus"] >= 1
    run.lines.fnmatch_lines([f"ftcheck: *seed {data['run']['seed']}, isolated*"])
    for test in data["tests"]:
        words = shlex.split(test["again"])
        assert words[:2] == ["pytest", test["test"]]
        assert {"--ftcheck-threads=2", "--ftcheck-rounds=2", f"--ftcheck-seed={data['run']['seed']}"} <= set(words)


def test_it_is_announced_and_nothing_else_is_left(run):
    run.lines.fnmatch_lines([f"*- generated ftcheck report: {run.folder}/out/put/all.json -*"])
    assert [path.name for path in (run.folder / "out" / "put").iterdir()] == ["all.json"]


# --- JUnit ------------------------------------------------------------------------------------------------------------


def cases(run, name):
    return [case for case in run.junit.iter("testcase") if case.get("name") == name]


def verdicts(case):
    return [one.get("value") for one in case.iter("property") if one.get("name") == "ftcheck_verdict"]


@pytest.mark.parametrize("name", EXPECTED)
def test_junit_kind_and_verdict(run, name):
    """What went wrong in the body is a failure, in a set-up or teardown an error; the verdict stands there once."""
    verdict, kind, _ = EXPECTED[name]
    [case] = cases(run, name)
    assert [child.tag for child in case if child.tag in ("failure", "error", "skipped")] == [kind] * (kind is not None)
    assert verdicts(case) == [verdict]


def test_junit_adds_up(run):
    """One element for each node id; the totals are those of the elements."""
    names = [case.get("name") for case in run.junit.iter("testcase")]
    assert len(names) == len(EXPECTED)
    totals = {key: int(run.junit.get(key)) for key in ("tests", "failures", "errors", "skipped")}
    assert totals == {
        "tests": len(names),
        "failures": len(list(run.junit.iter("failure"))),
        "errors": len(list(run.junit.iter("error"))),
        "skipped": len(list(run.junit.iter("skipped"))),
    }


def test_junit_of_the_suite(run, data):
    """What the run was, once for all tests."""
    properties = run.junit.find("properties")
    assert {one.get("name"): one.get("value") for one in properties} == {
        "ftcheck_interpreter": data["interpreter"],
        "ftcheck_seed": str(data["run"]["seed"]),
        "ftcheck_rerun": data["run"]["rerun"],
        "ftcheck_concurrent": "6 of 11",
    }


def test_junit_coverage(run):
    assert run.junit_properties("test_holds")["ftcheck_coverage"].startswith("2 threads, 2 rounds, 2 overlapped")
    assert "ftcheck_coverage" not in run.junit_properties("test_alone")


# --- a finding about several tests ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shared(mini):
    """Tests that are accused after their reports have gone, in the process that prints."""
    return mini({"test_shared.py": SHARED}, *ARGUMENTS, "--ftcheck-isolate=no", "--ftcheck-json=out.json")


def test_accused_by_a_fixture_that_they_shared(shared):
    """One finding in the file, three tests that name it."""
    data = json.loads((shared.folder / "out.json").read_text(encoding="utf-8"))
    one, two, last = data["tests"]
    [number] = one["findings"]
    assert two["findings"] == [number]
    assert number in last["findings"]
    assert len(data["findings"][number]["tests"]) == 3
    assert len(data["findings"]) == 2
    assert data["concurrent"]["share"] == 1
    assert data["run"]["isolated"] is False
    assert data["run"]["why_not_isolated"] == "--ftcheck-isolate=no"


def test_junit_of_the_accused(shared):
    """pytest has called them passed; the property has the last word. Of the one that failed twice, pytest makes two."""
    for name in ("test_one", "test_two"):
        assert shared.junit_outcome(name) == []
        assert shared.junit_properties(name)["ftcheck_verdict"] == "failure"
    kinds = [[child.tag for child in case if child.tag != "properties"] for case in cases(shared, "test_last_fails")]
    assert kinds == [["failure"], ["error"]]
    assert [verdicts(case) for case in cases(shared, "test_last_fails")] == [["failure"], ["failure"]]

"""pytest-mock, pytest-sugar and pytest-instafail's kind of reporters, and all of the installed plugins at once."""

import importlib.metadata

import pytest

SUITE = """
import os
import pytest
from meeting import meet

def test_passes(): meet()

def test_fails(): raise KeyError(meet())

def test_mocked(mocker):
    mocker.patch("os.getcwd", return_value="elsewhere")
    assert os.getcwd() == "elsewhere"

def test_mocked_at_run_time(request):
    request.getfixturevalue("mocker").patch("os.getcwd", return_value="elsewhere")
    assert os.getcwd() == "elsewhere"

def test_not_mocked_any_more():
    meet()
    assert os.getcwd() != "elsewhere"

def test_crashes(): os.abort()

def test_skips(): pytest.skip("for a reason")

def test_after(): meet()
"""
VERDICTS = {
    "test_passes": "passed",
    "test_fails": "failure",
    "test_mocked": "not checked",
    "test_mocked_at_run_time": "not checked",
    "test_not_mocked_any_more": "passed",
    "test_crashes": "crash",
    "test_skips": "skipped",
    "test_after": "passed",
}
ARGUMENTS = ("--ftcheck", "--ftcheck-threads=2", "--ftcheck-rounds=2", "--ftcheck-timeout=120")
NEEDED = {
    "anyio", "pytest-asyncio", "pytest-cov", "pytest-mock", "pytest-randomly", "pytest-rerunfailures",
    "pytest-run-parallel", "pytest-sugar", "pytest-timeout", "pytest-trio",
}  # fmt: skip


@pytest.fixture(scope="module", params=["two", "all"])
def run(request, mini):
    """With pytest-mock and pytest-sugar, as on a terminal; and with everything that is installed."""
    if request.param == "two":
        return mini({"test_all.py": SUITE}, "-p", "pytest_mock", "-p", "sugar", "--force-sugar", *ARGUMENTS)
    return mini({"test_all.py": SUITE}, *ARGUMENTS, "--force-sugar", "--timeout=60", "--cov", plugins=True)


@pytest.mark.parametrize("name", VERDICTS)
def test_verdicts(run, name):
    """No plugin takes part in a verdict."""
    assert run.verdict(name) == VERDICTS[name], run.text(name)


def test_mock_is_never_in_threads(run):
    """It patches what all threads see; asked for at run time it is noticed by what it does."""
    reason = "uses mocker, which changes objects that all threads see (pytest-mock)"
    assert run.test("test_mocked")["reason"] == reason
    assert run.test("test_mocked_at_run_time")["reason"].startswith("patches an object that all threads see")


def test_output_is_whole(run):
    """pytest-sugar draws the progress in its own way; our header, reports and summary are where they belong."""
    assert run.status == 1
    run.lines.fnmatch_lines(["ftcheck: *isolated in a worker process", "*crash: SIGABRT*", "*= ftcheck =*", "Results (*):"])
    run.lines.fnmatch_lines(["Results (*):", "*3 passed"])  # not those that were not checked
    run.lines.no_fnmatch_line("*INTERNALERROR*")
    assert len(list(run.junit.iter("testcase"))) == len(VERDICTS)


def test_all_of_them_are_installed():
    """The group ``interop`` of pyproject.toml: a missing plugin would make these tests empty."""
    installed = {distribution.name.lower() for distribution in importlib.metadata.distributions()}
    assert installed >= NEEDED

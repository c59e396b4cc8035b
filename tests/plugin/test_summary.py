"""What is printed at the end: counts, each finding with its line of code, and a command that finds it again."""

import re
import shlex
import sys

import pytest

from .minirun import environment, execute

BODY = """
import os
import pytest
from meeting import meet

def test_holds(): meet()

def test_fails(request):
    meet()
    assert 1 == 2, "the first line"

@pytest.mark.parametrize("text", ["it's $HOME", "good"])
def test_quoted(text, request):
    meet(text)
    assert text == "good"

@pytest.mark.ftcheck(threads=3)
def test_other_settings(request):
    meet(parties=3)
    raise KeyError("in three threads")

class TestClass:
    def test_in_class(self, request):
        if meet() == 0:
            raise KeyError("of thread A")
        raise LookupError("of thread B")

def test_alone(monkeypatch): pass
def test_alone_too(monkeypatch): pass
def test_skipped(): pytest.skip("not today")
def test_expected(request): pytest.xfail("known")

@pytest.fixture
def broken(): raise OSError("no set-up")
def test_error(broken): pass

def test_dies(): os.abort()
"""
ARGUMENTS = ("--ftcheck", "--ftcheck-threads=2", "--ftcheck-rounds=2", "--ftcheck-timeout=120", "--ftcheck-seed=11")


@pytest.fixture(scope="module")
def run(mini):
    """A run with every kind of verdict, started as usual."""
    return mini({"sub/test_all.py": BODY, "sub/conftest.py": ""}, *ARGUMENTS)


@pytest.fixture(scope="module")
def in_process(mini_many):
    """The same without the crash, in one process, with other options for the output, and from another folder."""
    base = [*ARGUMENTS, "--ftcheck-isolate=no", "-k", "not dies"]
    calls = {
        "quiet": ["-q"],
        "verbose": ["-v"],
        "colour": ["--color=yes"],
        "auto": ["--color=auto"],
        "nothing": ["-kno_such"],
    }
    runs = mini_many({"test_all.py": BODY}, [[*base, *more] for more in calls.values()])
    return dict(zip(calls, runs, strict=True))


def test_table_of_counts(run):
    """One row per verdict, the worst first."""
    lines = run.out.splitlines()
    begin = next(number for number, line in enumerate(lines) if re.fullmatch(r"=+ ftcheck =+", line))
    rows = [re.match(r" *(\d+)  (\S+( \S+)*?)  +\S", line) for line in lines[begin + 1 : begin + 8]]
    assert [(row[2], int(row[1])) for row in rows if row] == [
        ("crash", 1),
        ("failure", 4),
        ("error", 1),
        ("skipped", 1),
        ("expected failure", 1),
        ("not checked", 2),
        ("passed", 2),
    ]


def test_pytest_s_own_counts_agree(run):
    """The last line counts what pytest counts; tests that were not checked are not among the passed."""
    assert run.status == 1
    last = run.out.splitlines()[-1]
    for words in ("5 failed", "2 passed", "1 skipped", "1 xfailed", "1 error", "2 not checked"):
        assert words in last


def test_finding_shows_the_line(run):
    """Where, in how many threads and rounds, the line of code, what was run."""
    run.lines.fnmatch_lines(
        [
            "*. failure  sub/test_all.py::test_fails",
            "*what*2 of 2 threads, 2 of 2 rounds: AssertionError: the first line",
            "*at*sub/test_all.py:10 in test_fails",
            '*assert 1 == 2, "the first line"',
            "*ran*2 threads, 2 rounds, 2 overlapped*",
        ]
    )


def test_finding_shows_every_kind(run):
    """Several kinds of failure are each shown with their count."""
    run.lines.fnmatch_lines(["*. failure  sub/test_all.py::TestClass::test_in_class"])
    run.lines.re_match_lines_random([r" +2 times +KeyError: 'of thread A'", r" +2 times +LookupError: of thread B"])


def test_crash_comes_first(run):
    run.lines.fnmatch_lines(["1. crash  sub/test_all.py::test_dies"])


def test_reasons(run):
    run.lines.fnmatch_lines(["not checked, because:", "     2  uses monkeypatch, which *"])


def commands(run):
    """The rerun commands, each of which must stand on one line: it is copied into a shell."""
    return re.findall(r"^ +again +(pytest .+)$", run.out, re.MULTILINE)


def test_one_command_per_finding(run):
    words = [shlex.split(command) for command in commands(run)]
    assert [word[1].rpartition("::")[2] for word in words] == [
        "test_dies", "test_fails", "test_quoted[it's $HOME]", "test_other_settings", "test_in_class", "test_error",
    ]  # fmt: skip
    for word in words:
        assert {"--ftcheck", "--ftcheck-threads=2", "--ftcheck-rounds=2", "--ftcheck-seed=11"} <= set(word)


@pytest.mark.parametrize("name", ["test_quoted", "test_other_settings"])
def test_the_command_works(run, name):
    """Given to a shell as it stands, it runs that test, no other, and fails again; with the marker's settings, too."""
    [command] = [command for command in commands(run) if name in command]
    again = f"{shlex.quote(sys.executable)} -m {command} -p no:cacheprovider -p xdist -p ftcheck.plugin"
    done = execute(run.folder, ["sh", "-c", again], environment() | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"})
    assert done.status == 1, done
    threads = 3 if name == "test_other_settings" else 2
    done.lines.fnmatch_lines(["1  failure*", f"*what*{threads} of {threads} threads, 2 of 2 rounds: *", "*= 1 failed in *"])
    assert [" ".join(shlex.split(one)) for one in commands(done)] == [" ".join(shlex.split(command))]


def test_from_another_folder(run):
    """Started in a sub-folder, the commands name the tests as they are called from there."""
    here = run.folder / "sub"
    base = [sys.executable, "-m", "pytest", "-p", "xdist", "-p", "ftcheck.plugin", "-p", "no:cacheprovider"]
    env = environment() | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    env["PYTHONPATH"] += f":{run.folder}"
    done = execute(here, [*base, *ARGUMENTS, "--ftcheck-isolate=no", "-k", "test_fails"], env)
    [command] = commands(done)
    assert shlex.split(command)[1] == "test_all.py::test_fails"


def test_command_at_80_columns(mini):
    """Also on a narrow terminal the command is one line."""
    body = "from meeting import meet\ndef test_a_long_name_" + "x" * 60 + "(request):\n    assert meet() == 5\n"
    run = mini({"test_narrow.py": body}, *ARGUMENTS, "--ftcheck-isolate=no", COLUMNS="80")
    [command] = commands(run)
    assert shlex.split(command)[-1] == "--ftcheck-seed=11"


def test_quiet(in_process):
    """-q: the counts alone."""
    run = in_process["quiet"]
    run.lines.fnmatch_lines(["4  failure*", "*passed*nothing found in 4 rounds of 2 threads, 100% overlapped"])
    assert commands(run) == []
    run.lines.no_fnmatch_line("not checked, because:")


def test_verbose(in_process):
    """-v: each test with its verdict and what it rests on, in pytest's lines and in a list."""
    run = in_process["verbose"]
    run.lines.re_match_lines_random(
        [
            r"test_all.py::test_holds PASSED \(2 threads, 2 rounds, 2 overlapped(, GIL on)?\) .*",
            r"test_all.py::test_fails FAIL(ED|URE) .*",
            r"test_all.py::test_alone NOT CHECKED .*",
            r"passed +test_all.py::test_holds  \(2 threads, 2 rounds, 2 overlapped(, GIL on)?\)",
            r"not checked +test_all.py::test_alone  \(uses monkeypatch, which .*\)",
            r"failure +test_all.py::test_fails .*",
        ]
    )


def test_no_colour_without_a_terminal(run, in_process):
    """No escape codes in a file or a pipe, unless asked for."""
    for plain in (run, in_process["auto"]):
        assert "\x1b" not in plain.out
    assert "\x1b[" in in_process["colour"].out.partition("= ftcheck =")[2]


def test_nothing_selected(in_process):
    """No test, no table; pytest's own status says it."""
    assert in_process["nothing"].status == 5
    in_process["nothing"].lines.no_fnmatch_line("*= ftcheck =*")


def test_junit_properties(run):
    """Verdict and coverage of each test are in the JUnit file."""
    holds = run.junit_properties("test_holds")
    assert holds["ftcheck_verdict"] == "passed"
    assert holds["ftcheck_coverage"].startswith("2 threads, 2 rounds, 2 overlapped")
    assert run.junit_properties("test_fails")["ftcheck_verdict"] == "failure"
    assert run.junit_properties("test_alone") == {"ftcheck_verdict": "not checked"}
    assert (run.junit.get("failures"), run.junit.get("errors"), run.junit.get("skipped")) == ("5", "1", "2")

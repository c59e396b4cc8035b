"""terminal.py: each face of the report against a golden file; ``pytest --update-golden`` writes them anew."""

import dataclasses
import os
import re

import pytest

from ftcheck.coverage import Coverage, Interleavings
from ftcheck.reliance import decide, failed_alone, not_classified
from ftcheck.report.model import Ending, RunReport
from ftcheck.report.terminal import render
from ftcheck.verdicts import FailureGroup, Finding, Location, Rerun, TestVerdict, Verdict

RAN = Coverage(threads=2, rounds=200, overlapped=198, failed=0, calls=400, seconds=0.3, limit="rounds")
FAILED = dataclasses.replace(RAN, rounds=21, overlapped=20, failed=20, limit="failures")
PLACE = Location("src/bank.py", 12, "withdraw", "self.balance -= amount")


def group(kind="AssertionError", message="assert 7 == 8", phase="body", count=20, location=PLACE):
    return FailureGroup(kind, message, phase, count, (0, 1), tuple(range(1, count + 1)), location)


def found(verdict, test, headline, **rest):
    return TestVerdict(test, verdict, RAN, findings=(Finding(verdict, (test,), headline, **rest),))


def passed(name, **changes):
    return TestVerdict(name, Verdict.PASSED, dataclasses.replace(RAN, **changes))


def explored(name, *, complete=False, within=-1):
    seen = Interleavings(complete, 12, 0.25, (1, 2.5, 4), within=within)
    limit = "complete" if complete else "schedules"
    return passed(name, rounds=40, limit=limit, interleavings=seen)


CRASH_DETAIL = """\
--- thread 0, round 3, in the body: got the signal here ---
  File "src/fast.py", line 4, in insert
  File "tests/test_fast.py", line 9, in test_insert

--- thread 1, round 3, in the body ---
  File "src/fast.py", line 8, in lookup

--- faulthandler: the thread that got the signal ---
Fatal Python error: Segmentation fault
"""
REPORTS = {
    "nothing": (),
    "all passed": (
        passed("tests/test_a.py::test_one"),
        passed("tests/test_a.py::test_two", limit="seconds", rounds=100, overlapped=90),
    ),
    "explored one": (explored("tests/test_a.py::test_one", within=1),),
    "explored": (
        explored("tests/test_a.py::test_all", complete=True),
        explored("tests/test_a.py::test_none", within=0),
        explored("tests/test_a.py::test_one", within=1),
        explored("tests/test_a.py::test_two", within=2),
        explored("tests/test_a.py::test_sampled"),
    ),
    "classified": (
        found(
            Verdict.FAILURE,
            "tests/test_bank.py::test_withdraw",
            "2 of 2 threads, 20 of 21 rounds: AssertionError: assert 7 == 8",
            coverage=FAILED,
            reliance=decide(
                [Rerun("alone", 0, 200), Rerun("without the GIL", 1, 21, 20), Rerun("with the GIL", 0, 61, 35)],
            ),
        ),
        found(
            Verdict.CRASH,
            "tests/test_fast.py::test_insert",
            "SIGSEGV at address 0x0 in round 3",
            round=3,
            reliance=decide(
                [
                    Rerun("alone", note="cannot run alone, its bodies wait for each other"),
                    Rerun("without the GIL", 1, 3, 3, "crash"),
                    Rerun("with the GIL", 1, 2, 2, "deadlock"),
                ],
                needs_company=True,
            ),
        ),
        found(
            Verdict.FAILURE,
            "tests/test_bank.py::test_print",
            "AssertionError",
            reliance=failed_alone("uses capsys, which captures the process's output"),
        ),
        found(Verdict.FAILURE, "tests/test_bank.py::test_close", "KeyError", reliance=not_classified("interrupted")),
    ),
    "lost update": (
        found(
            Verdict.FAILURE,
            "tests/test_bank.py::test_withdraw",
            "2 of 2 threads, 20 of 21 rounds: AssertionError: assert 7 == 8",
            groups=(group(),),
            coverage=FAILED,
        ),
        passed("tests/test_bank.py::test_balance"),
    ),
    "two kinds of failure": (
        found(
            Verdict.FAILURE,
            "tests/test_bank.py::test_withdraw[a b]",
            "2 of 2 threads, 20 of 21 rounds: AssertionError: assert 7 == 8",
            groups=(group(count=18), group("KeyError", "'x'", "set-up", 3, None)),
            coverage=FAILED,
        ),
    ),
    "crash": (
        found(Verdict.CRASH, "tests/test_fast.py::test_insert", "SIGSEGV at address 0x0 in round 3", detail=CRASH_DETAIL),
    ),
    "long detail": (
        found(
            Verdict.HANG,
            "tests/test_fast.py::test_insert",
            "round 3: not over after 60.0 s",
            detail="\n".join(f'  File "src/deep.py", line {number}, in f{number}' for number in range(1, 41)),
        ),
    ),
    "every verdict": tuple(
        found(verdict, f"tests/test_{verdict.name.lower()}.py::test", f"what happened: {verdict.value}")
        if verdict.is_finding
        else TestVerdict(f"tests/test_{verdict.name.lower()}.py::test", verdict, RAN, reason="because")
        for verdict in Verdict
    ),
    "accuses many": (
        TestVerdict(
            "t.py::test_0",
            Verdict.ERROR,
            findings=(
                Finding(
                    Verdict.ERROR,
                    tuple(f"t.py::test_{number}" for number in range(9)),
                    "RuntimeError: cannot close",
                    "teardown",
                    groups=(group("RuntimeError", "cannot close", "teardown", 1),),
                ),
            ),
        ),
    ),
    "not checked": tuple(
        TestVerdict(f"t.py::test_{number}", Verdict.NOT_CHECKED, reason=f"reason {number % 14} [of many]")
        for number in range(30)
    ),
    "markup": (
        found(
            Verdict.FAILURE,
            "t.py::test[[red]x[/red]]",
            "KeyError: '[bold]not markup[/bold]'",
            groups=(group(message="[/]"),),
        ),
        TestVerdict("t.py::test[[link]]", Verdict.NOT_CHECKED, reason="[blink]"),
    ),
    "a long line": (
        found(Verdict.FAILURE, f"tests/{'deep/' * 30}test_x.py::test", "ValueError: " + "many words " * 30, coverage=FAILED),
    ),
}


def report(tests, general=()):
    return RunReport("CPython 3.14.0 free-threaded, GIL off, 2 CPUs", True, 1, "--ftcheck --ftcheck-seed=1", tests, general)


def text(tests, general=(), *, width=100, colour=False, verbose=0, where=str):
    return render(report(tests, general), width=width, colour=colour, verbose=verbose, where=where)


@pytest.mark.parametrize("name", REPORTS)
def test_golden(name, golden):
    golden(name.replace(" ", "_"), text(REPORTS[name]))


@pytest.mark.parametrize("verbose", [-1, 1])
def test_golden_verbosity(verbose, golden):
    golden("quiet" if verbose < 0 else "verbose", text(REPORTS["every verdict"], verbose=verbose))


def test_golden_general(golden):
    general = Finding(
        Verdict.GIL_ENABLED,
        ("tests/conftest.py",),
        "importing 'old' turned the GIL on",
        "collection",
        detail="imported at x.py:3",
    )
    golden("general", text(REPORTS["all passed"], (general,)))


@pytest.mark.parametrize("verbose", [-1, 0])
def test_golden_troubles(verbose, golden):
    """What the run itself could not do comes last, and always; also where no test has a verdict."""
    troubles = ("/full/out.json could not be written: No space left on device.", "1 of 3 tests ran concurrently (33%)")
    tests, name = ("nothing", "troubles_quiet") if verbose < 0 else ("not checked", "troubles")
    subject = dataclasses.replace(report(REPORTS[tests]), ending=Ending(8, "", troubles))
    golden(name, render(subject, width=100, colour=False, verbose=verbose, where=str))


def test_golden_rates(golden):
    """How often each kind of finding showed, above the command; the command alone is what is pasted."""
    tests = [
        found(verdict, f"t.py::test_{number}", verdict.value, round=3, detail="stacks")
        for number, verdict in enumerate((Verdict.CRASH, Verdict.HANG, Verdict.DEADLOCK))
    ]
    golden("rates", text((*tests, found(Verdict.FAILURE, "t.py::test_9", "failure", groups=(group(),), coverage=FAILED))))


@pytest.mark.parametrize("name", REPORTS)
@pytest.mark.parametrize("width", [10, 60, 80, 300])
def test_no_line_is_wider_than_asked_but_what_is_to_be_copied(name, width):
    """What is to be copied (ids, commands, stacks) is never folded; 60 columns are the least that a table needs."""
    for line in text(REPORTS[name], width=width).splitlines():
        assert len(line) <= max(60, width) or re.match(r"\d+\. | +\d+  | +again  | +(--- |File )", line)


@pytest.mark.parametrize("name", REPORTS)
def test_colour_adds_nothing_but_escapes(name):
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text(REPORTS[name], colour=True))
    assert [line.rstrip() for line in plain.splitlines()] == text(REPORTS[name]).splitlines()


def test_bad_is_red_and_good_is_green():
    coloured = text(REPORTS["every verdict"], colour=True)
    assert re.search(r"\x1b\[31mcrash *\x1b\[0m", coloured)
    assert re.search(r"\x1b\[32mpassed *\x1b\[0m", coloured)
    assert "\x1b" not in text(REPORTS["every verdict"])


def test_node_ids_are_shown_and_rerun_as_they_must_be_typed_here():
    shown = text(REPORTS["two kinds of failure"], where=lambda node: f"../{node}")
    assert "1. failure  ../tests/test_bank.py::test_withdraw[a b]" in shown
    assert "pytest '../tests/test_bank.py::test_withdraw[a b]' --ftcheck --ftcheck-seed=1" in shown


def test_files_below_the_current_folder_are_shown_relative_to_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    inside, outside = str(tmp_path / "src" / "x.py"), os.path.dirname(tmp_path) + "/other.py"
    for file, shown in ((inside, "src/x.py:1 in f"), (outside, f"{outside}:1 in f"), ("<string>", "<string>:1 in f")):
        place = Location(file, 1, "f")
        assert f"at  {shown}\n" in text(
            (found(Verdict.FAILURE, "t.py::t", "x", groups=(group(location=place),), coverage=RAN),), width=300
        )


def test_code_that_was_compiled_without_a_file_name():
    """``exec(compile(source, "", "exec"))``: the report must not fail on what it has to report."""
    place = Location("", 1, "f")
    assert ":1 in f" in text((found(Verdict.FAILURE, "t.py::t", "x", groups=(group(location=place),)),))


def test_never_says_safe():
    """A pass is what was run, never a promise (DESIGN.md)."""
    for name, tests in REPORTS.items():
        assert not re.search(r"\bsafe\b", text(tests, verbose=1)), name


@pytest.mark.parametrize(
    ("within", "words"),
    [
        (-1, "2 threads, 40 schedules sampled, P("),
        (0, "2 threads, 40 schedules sampled, all with no preemption among them, P("),
        (1, "2 threads, 40 schedules sampled, all with at most 1 preemption among them, P("),
        (2, "2 threads, 40 schedules sampled, all with at most 2 preemptions among them, P("),
    ],
)
def test_up_to_how_many_preemptions_all_was_run(within, words):
    assert explored("a", within=within).coverage.text.startswith(words)

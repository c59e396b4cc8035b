"""The list of race candidates: golden files, JSON there and back, and what a verdict says of it."""

import dataclasses
import json

import jsonschema
import pytest

from ftcheck.candidates import Access, Candidate, Candidates, Mark
from ftcheck.coverage import Coverage, Interleavings, coverage_from_plain
from ftcheck.report.json_report import from_json
from ftcheck.verdicts import Finding, Location, TestVerdict, Verdict, to_plain

from .test_json import report as json_report
from .test_json import schema as schema
from .test_json import written
from .test_terminal import text


def access(line, name, reads, writes, source, function="Counter.add", file="src/counter.py"):
    return Access(name, reads, writes, Location(file, line, function, source))


ADD = access(7, "self.value", True, True, "self.value += 1")
LAST = access(8, "self.last", False, True, "self.last = who")
LOOK = access(31, "counter.last", True, False, "print(counter.last)", "watch", "src/watch.py")
LONG = access(40, "CACHE[name]", True, False, f"return CACHE[name]{'.deeper' * 20}", "get")
PUT = access(44, "CACHE['x']", False, True, "CACHE['x'] = value", "put")
CONFIRMED = Candidate(ADD, ADD, Mark.CONFIRMED)
NOT_EXPLORED = Candidate(LAST, LOOK, Mark.NOT_EXPLORED, "2 schedules made to reverse it, in vain; schedule budget reached")
NOT_MENDED = Candidate(LONG, PUT, Mark.NOT_MENDED, "it could not be reversed in a run that failed")
HELD = Candidate(LAST, LAST, Mark.HELD)
ALL = Candidates((CONFIRMED, NOT_EXPLORED, NOT_MENDED, HELD), 403, 17, "schedules", 2)
MANY = Candidates(tuple(dataclasses.replace(HELD, first=access(n, f"self.x{n}", True, False, "")) for n in range(1, 21)), 5)


def explored(test, listed, verdict=Verdict.PASSED, complete=True, findings=()):
    seen = Interleavings(complete, 5, 0.25, (1, 2.5, 4), candidates=listed)
    limit = "complete" if complete else "schedules"
    return TestVerdict(test, verdict, Coverage(2, 5, 5, 0, 10, 0.1, limit, interleavings=seen), findings=findings)


FOUND = Finding(
    Verdict.FAILURE,
    ("t.py::test_fails",),
    "AssertionError: assert 1 == 2 (schedule 3, 1 preemption, the fewest there are)",
    coverage=explored("", ALL, complete=False).coverage,
    replay="ft1.314t.a.0.becbb3ae~1p6-2",
)
REPORTS = {
    "candidates": (
        explored("t.py::test_fails", ALL, Verdict.FAILURE, complete=False, findings=(FOUND,)),
        explored("t.py::test_none", Candidates((), 5, 0, "complete")),
        explored("t.py::test_lines", Candidates(limit="points")),
        explored("t.py::test_not_asked", None),
    ),
    "candidates many": (explored("t.py::test_many", MANY),),
}


@pytest.mark.parametrize("name", REPORTS)
def test_golden(name, golden):
    golden(name.replace(" ", "_"), text(REPORTS[name]))


def test_golden_verbose(golden):
    golden("candidates_verbose", text(REPORTS["candidates many"], verbose=1))


def test_golden_narrow(golden):
    golden("candidates_narrow", text(REPORTS["candidates"], width=60))


def test_quiet_says_nothing():
    assert "race candidates of" not in text(REPORTS["candidates"], verbose=-1)


def test_a_candidate_is_no_finding():
    """It neither fails a test nor makes it worse than passed."""
    assert "1 test" in text(REPORTS["candidates many"])
    assert "1  passed" in text(REPORTS["candidates many"])


@pytest.mark.parametrize("name", REPORTS)
def test_there_and_back_and_valid(name, schema):
    subject = json_report(REPORTS[name])
    assert from_json(written(subject)) == subject
    jsonschema.validate(json.loads(written(subject)), schema, jsonschema.Draft202012Validator)


@pytest.mark.parametrize("listed", [None, ALL, MANY, Candidates(limit="points")])
def test_from_a_worker_to_the_process_that_prints(listed):
    coverage = explored("t.py::t", listed).coverage
    assert coverage_from_plain(json.loads(json.dumps(to_plain(coverage)))) == coverage


@pytest.mark.parametrize(
    ("listed", "said"),
    [
        (None, "2 threads, all 5 inequivalent interleavings"),
        (Candidates(limit="complete"), "2 threads, all 5 inequivalent interleavings, no race candidates"),
        (
            dataclasses.replace(ALL, pairs=(HELD,)),
            "2 threads, all 5 inequivalent interleavings, 1 race candidate",
        ),
        (ALL, "2 threads, all 5 inequivalent interleavings, 4 race candidates (1 confirmed, 1 not explored)"),
        (Candidates(limit="points"), "2 threads, all 5 inequivalent interleavings, race candidates not looked for"),
    ],
)
def test_it_is_in_the_words_of_the_coverage(listed, said):
    assert explored("t.py::t", listed).coverage.text == said


@pytest.mark.parametrize(("reads", "writes", "said"), [(1, 0, "reads"), (0, 1, "writes"), (1, 1, "reads and writes")])
def test_what_a_line_does(reads, writes, said):
    assert access(1, "x", bool(reads), bool(writes), "").does == said


def test_two_names_for_one_thing_are_both_shown():
    assert (CONFIRMED.name, NOT_EXPLORED.name) == ("self.value", "self.last, counter.last")

"""The list of possible data races: golden files, JSON there and back, and what coverage says of it."""

import dataclasses
import json

import jsonschema
import pytest

from ftcheck.coverage import Coverage, coverage_from_plain
from ftcheck.possible import PossibleRace, PossibleRaces
from ftcheck.report.json_report import from_json
from ftcheck.verdicts import Location, TestVerdict, Verdict, to_plain

from .test_json import report as json_report
from .test_json import schema as schema
from .test_json import written
from .test_terminal import text

WRITE = Location("src/count.c", 18, "add", "total++;")
READ = Location("src/longer_name.c", 7, "peek", "return total;")
TEXT = """\
possible data race of total, seen 2 times:
  thread 2: read
    longer_name.c:7 in peek                     return total;
    holds no lock that is known
  thread 1: write before
    count.c:18 in add                           total++;
    holds PyMutex lock, taken at count.c:17"""
PAIR = PossibleRace(
    "possible data race of total: read at longer_name.c:7 (peek), write at count.c:18 (add)", READ, WRITE, 2, TEXT
)
WITHOUT_SOURCE = PossibleRace("possible data race: ...", Location("fast.so", 0, "?"), Location("fast.so", 0, "?"), 1, "...")
MANY = PossibleRaces(tuple(dataclasses.replace(PAIR, headline=f"possible data race of x{n}") for n in range(20)), 3)


def run(test, listed):
    return TestVerdict(test, Verdict.PASSED, Coverage(2, 5, 5, 0, 10, 0.1, "rounds", possible=listed))


REPORT = (
    run("t.py::test_some", PossibleRaces((PAIR, WITHOUT_SOURCE), 0)),
    run("t.py::test_none", PossibleRaces((), 0)),
    run("t.py::test_not_asked", None),
)


def test_golden(golden):
    golden("possible", text(REPORT))


def test_with_v_their_stacks(golden):
    golden("possible_verbose", text(REPORT, verbose=1))


def test_of_many_some_are_shown(golden):
    golden("possible_many", text((run("t.py::test_many", MANY),)))


def test_quiet_says_nothing():
    assert "possible data races (strict):" not in text(REPORT, verbose=-1)


def test_nothing_to_list_has_no_heading():
    assert "possible data races (strict):" not in text(REPORT[1:])


@pytest.mark.parametrize("listed", [PossibleRaces((PAIR,), 1), PossibleRaces((), 0), None])
def test_comes_back_from_a_worker(listed):
    coverage = run("t", listed).coverage

    assert coverage_from_plain(json.loads(json.dumps(to_plain(coverage)))) == coverage


def test_comes_back_from_a_file(schema):
    subject = json_report(REPORT)

    assert from_json(written(subject)) == subject
    jsonschema.validate(json.loads(written(subject)), schema, jsonschema.Draft202012Validator)


@pytest.mark.parametrize(
    ("listed", "said"),
    [
        (PossibleRaces((PAIR,), 0), "2 threads, 5 rounds, 5 overlapped, 1 possible data race (strict)"),
        (PossibleRaces((), 0), "2 threads, 5 rounds, 5 overlapped, 0 possible data races (strict)"),
        (None, "2 threads, 5 rounds, 5 overlapped"),
    ],
)
def test_coverage_says_how_many(listed, said):
    assert run("t", listed).coverage.text == said

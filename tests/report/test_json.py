"""json_report.py: what is written is read back, fits the schema that is shipped, and what is broken is called so."""

import contextlib
import copy
import dataclasses
import importlib.resources
import json

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftcheck.report.json_report import SCHEMA, VERSION, ReportError, from_json, to_json
from ftcheck.report.model import Ending, Machine, RunReport
from ftcheck.settings import resolve
from ftcheck.verdicts import Finding, Reliance, RelianceKind, Rerun, TestVerdict, Verdict

from ..test_verdicts import coverages, findings
from .test_terminal import REPORTS

MACHINE = Machine("3.14.0", "CPython", True, False, None, 2, "Linux-x86_64", "0.1.0", "9.2.0")
ENDING = Ending(8, "stopping after 1 failures", ("a disk is full",), "2026-01-02T03:04:05+00:00", 1.5)
RELIES = Reliance(
    RelianceKind.GIL_RELIANT, (Rerun("alone", 0, 200), Rerun("with the GIL", 0, 61, 35, "short")), "GIL-reliant"
)
ELSEWHERE = Finding(Verdict.GIL_ENABLED, ("tests/conftest.py",), "the GIL came on", "collection")
ACCUSES = Finding(Verdict.FAILURE, ("t.py::a", "t.py::b"), "it cannot be closed", "teardown", reliance=RELIES)


def report(tests, general=(), **rest):
    return RunReport("CPython 3.14.0 free-threaded", True, 7, "--ftcheck --ftcheck-seed=7", tuple(tests), general, **rest)


def written(subject, **options):
    return json.dumps(to_json(subject, **options))


FULL = report(
    [
        *REPORTS["every verdict"],
        *REPORTS["two kinds of failure"],
        TestVerdict("t.py::a", Verdict.FAILURE, findings=(ACCUSES,), asked=False),
        TestVerdict("t.py::b", Verdict.FAILURE, findings=(ACCUSES,)),
    ],
    (ELSEWHERE,),
    why_not_isolated="-s",
    settings=resolve([{"share": True}]),
    arguments=("--ftcheck", "--ftcheck-share=all"),
    min_concurrent=0.8,
    machine=MACHINE,
    ending=ENDING,
)
SOME = [report(tests) for tests in REPORTS.values()] + [
    FULL,
    dataclasses.replace(FULL, settings=resolve([{"share": ("a", "b"), "rounds": 3}]), machine=None, min_concurrent=None),
]


@pytest.fixture(scope="module")
def schema():
    """The file as it is installed."""
    text = importlib.resources.files("ftcheck.report").joinpath("report-1.schema.json").read_text(encoding="utf-8")
    return json.loads(text)


def test_the_schema_is_one(schema):
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["properties"]["schema"]["const"] == SCHEMA
    assert schema["properties"]["version"]["const"] == VERSION


@pytest.mark.parametrize("subject", SOME)
def test_there_and_back_and_valid(subject, schema):
    text = written(subject)
    assert from_json(text) == subject
    assert from_json(text.encode()) == subject
    jsonschema.validate(json.loads(text), schema, jsonschema.Draft202012Validator)


verdicts = st.builds(
    TestVerdict,
    test=st.text(),
    verdict=st.sampled_from(Verdict),
    coverage=st.none() | coverages,
    reason=st.text(),
    findings=st.lists(findings, max_size=3).map(tuple),
    asked=st.booleans(),
)


@given(st.lists(verdicts, max_size=4), st.lists(findings, max_size=2, unique=True).map(tuple))
def test_there_and_back(tests, general):
    subject = report(tests, general)
    assert from_json(written(subject)) == subject


def test_what_no_encoding_can_carry_is_escaped():
    """A file name that is no UTF-8 reaches node ids as lone surrogates."""
    name = "t.py::test[\udcff]"
    back = from_json(written(report([TestVerdict(name, Verdict.PASSED)])).encode())
    assert back.tests[0].test == "t.py::test[\\udcff]"


def keys(schema, part):
    """Key sets of all objects that a part of the schema allows, by the name of the part."""
    found = {}
    for name, definition in schema["$defs"].items():
        if "properties" in definition:
            found[name] = set(definition["properties"])
    return found[part]


@pytest.mark.parametrize(
    "part", ["machine", "settings", "coverage", "finding", "group", "location", "reliance", "rerun", "test"]
)
def test_every_key_is_in_the_schema(part, schema):
    """And the other way round: nothing is promised that is not written."""
    data = to_json(FULL)
    accusing = next(one for one in data["findings"] if one["reliance"])
    counted = next(one for one in data["findings"] if one["groups"])
    examples = {
        "machine": data["machine"],
        "settings": data["run"]["settings"],
        "coverage": data["tests"][0]["coverage"],
        "finding": accusing,
        "group": counted["groups"][0],
        "location": next(one["location"] for one in counted["groups"] if one["location"]),
        "reliance": accusing["reliance"],
        "rerun": accusing["reliance"]["reruns"][0],
        "test": data["tests"][0],
    }
    assert set(examples[part]) == keys(schema, part)


def test_every_key_of_the_whole_is_in_the_schema(schema):
    data = to_json(FULL)
    assert set(data) == set(schema["properties"])
    assert set(data["run"]) == keys(schema, "run")
    assert set(data["ending"]) == keys(schema, "ending")
    assert set(data["concurrent"]) == set(schema["properties"]["concurrent"]["properties"])


def test_the_words_of_the_schema_are_those_of_the_code(schema):
    assert schema["$defs"]["verdict"]["enum"] == [verdict.value for verdict in Verdict]
    assert schema["$defs"]["reliance"]["properties"]["kind"]["enum"] == [kind.value for kind in RelianceKind]


def test_what_follows_from_the_rest():
    """For those who read the file without this package."""
    data = to_json(FULL, where=lambda nodeid: f"../{nodeid}")
    assert data["counts"] == {verdict.value: FULL.count(verdict) for verdict in Verdict}
    assert data["ending"]["complete"] is False
    share = FULL.concurrent
    assert data["concurrent"] == {"tests": share.part, "of": share.whole, "share": share.part / share.whole}
    crash = data["findings"][0]
    assert crash["again"] == "pytest ../tests/test_crash.py::test --ftcheck --ftcheck-seed=7"
    assert data["tests"][0]["again"] == crash["again"]
    general = data["findings"][data["general"][0]]
    assert (general["tests"], general["again"]) == (["tests/conftest.py"], "")
    assert to_json(report(()))["concurrent"] == {"tests": 0, "of": 0, "share": None}


def test_a_finding_stands_once():
    data = to_json(FULL)
    accused = [test for test in data["tests"] if test["test"] in ACCUSES.tests]
    assert accused[0]["findings"] == accused[1]["findings"]
    assert sum(one["headline"] == ACCUSES.headline for one in data["findings"]) == 1


# --- what cannot be read ----------------------------------------------------------------------------------------------

TEXT = json.dumps(to_json(FULL), indent=1)


@given(st.integers(0, len(TEXT) - 1))
def test_cut_off_anywhere(length):
    with pytest.raises(ReportError, match=r"^out\.json (is empty|ends in the middle|is no JSON)"):
        from_json(TEXT[:length], "out.json")


@pytest.mark.parametrize("length", [len(TEXT) // 4, len(TEXT) // 2, len(TEXT) - 1])
def test_cut_off_is_called_so(length):
    with pytest.raises(ReportError, match=r"ends in the middle: it was cut off while it was written or copied \(line \d+"):
        from_json(TEXT[:length])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty: the run that was to write it did not come to its end, or the disk was full"),
        ("  \n", "is empty"),
        ("<testsuites/>", r"is no JSON \(line 1, column 1"),
        (b"\xff\xfe\x00", "is no JSON"),
        ("NaN", "is no JSON"),
        ("[" * 100_000, "is no JSON|ends in the middle"),
        ("[]", "no report of ftcheck"),
        ("null", "no report of ftcheck"),
        ('{"schema": "coverage", "version": 1}', "no report of ftcheck"),
        (f'{{"schema": "{SCHEMA}"}}', "is of version None of the format"),
        (f'{{"schema": "{SCHEMA}", "version": "1"}}', "is of version '1' of the format"),
        (
            f'{{"schema": "{SCHEMA}", "version": 2}}',
            "is of version 2 of the format, and this ftcheck reads up to 1: read it w",
        ),
        (f'{{"schema": "{SCHEMA}", "version": 1}}', r"is damaged: findings is missing$"),
    ],
)
def test_foreign(text, words):
    with pytest.raises(ReportError, match=words):
        from_json(text)


def paths(data, at=()):
    """Every place in plain data."""
    yield at
    entries = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in entries:
        yield from paths(value, (*at, key))


def at(data, path):
    for key in path:
        data = data[key]
    return data


DATA = to_json(FULL)
PLACES = [path for path in paths(DATA) if path]
DERIVED = {"counts", "concurrent", "rate", "again", "complete"}


@given(st.sampled_from(PLACES), st.sampled_from([None, 3, -1, 1.5, "x", [], {}, [{}], True]))
def test_a_wrong_value_anywhere_is_said_or_does_no_harm(path, value):
    """Never another exception than ours, whatever stands in the file."""
    data = copy.deepcopy(DATA)
    at(data, path[:-1])[path[-1]] = value
    with contextlib.suppress(ReportError):
        assert isinstance(from_json(json.dumps(data)), RunReport)


def test_nothing_that_is_read_may_be_something_else():
    """An object stands nowhere in place of another value, but where each of its keys has a default."""
    read = [path for path in PLACES if not DERIVED & {key for key in path if isinstance(key, str)}]
    accepted = []
    for path in read:
        data = copy.deepcopy(DATA)
        at(data, path[:-1])[path[-1]] = {"?": 1}
        try:
            from_json(json.dumps(data))
        except ReportError:
            continue
        accepted.append(path)
    assert accepted == [("ending",)]
    assert len(read) > 300


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (("run", "seed"), r"run\.seed is missing"),
        (("tests", 3, "verdict"), r"tests\[3\]\.verdict is missing"),
        (("tests", 0, "coverage", "rounds"), r"tests\[0\]\.coverage\.rounds is missing"),
    ],
)
def test_what_is_missing_is_named(path, words):
    data = copy.deepcopy(DATA)
    del at(data, path[:-1])[path[-1]]
    with pytest.raises(ReportError, match=words):
        from_json(json.dumps(data))


def test_a_finding_that_is_not_there():
    for number in (-1, len(DATA["findings"])):
        data = copy.deepcopy(DATA)
        data["tests"][0]["findings"] = [number]
        with pytest.raises(ReportError, match=r"tests\[0\]\.findings names a finding that is not there"):
            from_json(json.dumps(data))


def test_what_a_later_ftcheck_adds_is_ignored():
    """Within a version; and what it writes is still valid."""
    data = copy.deepcopy(DATA)
    for path in [(), *PLACES]:
        value = at(data, path)
        if isinstance(value, dict) and path != ("counts",):
            value["added later"] = {"anything": []}
    assert from_json(json.dumps(data)) == FULL


def test_what_an_earlier_ftcheck_did_not_write_has_its_default():
    data = copy.deepcopy(DATA)
    for finding in data["findings"]:
        del finding["reliance"]
    assert all(finding.reliance is None for finding in from_json(json.dumps(data)).findings)

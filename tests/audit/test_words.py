"""What people and programs read: golden tables, the schema, verdicts of made-up evidence, reports that make a row tested."""

import dataclasses
import importlib.resources
import json
from pathlib import Path

import jsonschema
import pytest

from ftcheck.audit import json_file, readiness, sources, table, tested
from ftcheck.audit.binary import Binary
from ftcheck.audit.model import (
    Audit,
    Called,
    Distribution,
    Imported,
    InSubinterpreter,
    Interpreter,
    Place,
    Readiness,
    Remark,
    Requires,
    Sources,
    worst,
)
from ftcheck.audit.options import AuditError
from ftcheck.audit.slot_bytes import Reading, Slots
from ftcheck.coverage import Coverage
from ftcheck.report import json_report
from ftcheck.report.model import Ending, Machine, RunReport
from ftcheck.static_state import Image, Locking, StaticState
from ftcheck.verdicts import Finding, TestVerdict, Verdict

NOT_USED, USED, SILENT = Slots(1, 2), Slots(0, None), Slots(None, None)


def binary(name, slots=NOT_USED, **more):
    name = name.rpartition(".")[2]
    reading = Reading(slots, "definition") if slots else Reading(None, why="single-phase: only a run decides")
    more = {
        "machine": "x86_64",
        "phase": "multi-phase" if slots else "single-phase",
        "locking": Locking(("PyMutex",)),
    } | more
    return Binary(f"/s/{name}.so", (name,), readings=((name, reading),), **more)


def imported(*requires, gil=None, **more):
    return Imported(bool(requires) if gil is None else gil, tuple(Requires(one, ("pkg",)) for one in requires), **more)


def made(name="m", slots=NOT_USED, **more):
    return readiness.module(name, f"{name}.so", binary(name, slots), **more)


def row(name, *modules, version="1.0", **more):
    return readiness.distribution(Distribution(name, version, Readiness.NOT_CHECKED, modules=modules, **more))


# -- verdicts ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("slots", "called", "seen", "expected"), [
    (NOT_USED, None, None, Readiness.DECLARED),
    (USED, None, None, Readiness.TURNS_GIL_ON),
    (SILENT, None, None, Readiness.TURNS_GIL_ON),
    (None, None, None, Readiness.NOT_CHECKED),
    (None, Called(NOT_USED), None, Readiness.DECLARED),
    (None, Called(SILENT), None, Readiness.TURNS_GIL_ON),
    (NOT_USED, Called(USED), None, Readiness.TURNS_GIL_ON),
    (None, None, imported(), Readiness.DECLARED),
    (None, None, imported("m"), Readiness.TURNS_GIL_ON),
    (NOT_USED, Called(NOT_USED), imported("m"), Readiness.TURNS_GIL_ON),
    (USED, Called(USED), imported(), Readiness.DECLARED),
    (NOT_USED, None, imported("other"), Readiness.DECLARED),
    (NOT_USED, None, imported(gil=True), Readiness.DECLARED),
    (None, None, imported(gil=True), Readiness.NOT_CHECKED),
    (NOT_USED, None, Imported(died="SIGSEGV"), Readiness.FAILED),
    (NOT_USED, None, Imported(problem="ImportError: no"), Readiness.FAILED),
    (None, None, Imported(problem="ModuleNotFoundError: x", missing="x"), Readiness.NOT_CHECKED),
    (USED, None, Imported(problem="ModuleNotFoundError: x", missing="x"), Readiness.TURNS_GIL_ON),
    (NOT_USED, None, Imported(problem="ImportError: partially initialized module"), Readiness.DECLARED),
])  # fmt: skip
def test_from_evidence_to_verdicts(slots, called, seen, expected):
    assert made(slots=slots, called=called, imported=seen).readiness is expected


@pytest.mark.parametrize(("slots", "called", "seen", "contradicts"), [
    (NOT_USED, Called(USED), None, True),
    (NOT_USED, Called(NOT_USED), imported("m"), True),
    (USED, None, imported(), True),
    (NOT_USED, Called(NOT_USED), imported(), False),
    (USED, Called(USED), imported("m"), False),
    (NOT_USED, Called(NOT_USED), imported("other"), False),
])  # fmt: skip
def test_witnesses_that_contradict_each_other_are_said(slots, called, seen, contradicts):
    assert any(one.attention for one in made(slots=slots, called=called, imported=seen).remarks) is contradicts


def test_the_worst_module_decides():
    assert row("x", made("a"), made("b", USED)).readiness is Readiness.TURNS_GIL_ON
    assert row("x", made("a"), made("b", None)).what.startswith("1 of 2 modules")
    assert row("x").readiness is Readiness.PURE
    assert worst([Readiness.PURE, Readiness.FAILED, Readiness.DECLARED]) is Readiness.FAILED


@pytest.mark.parametrize("readiness_", Readiness)
def test_no_verdict_says_safe(readiness_):
    assert "safe" not in readiness_.value


# -- ids -----------------------------------------------------------------------------------------------------------------


def ids(one):
    return {remark.rule for remark in one.all_remarks if remark.rule}


def ids_of(**more):
    return {remark.rule for remark in made(**more).remarks if remark.rule}


@pytest.mark.parametrize(("more", "expected"), [
    ({}, set()),
    ({"slots": Slots(1, 1)}, {"FT007"}),
    ({"slots": Slots(1, 0)}, {"FT007"}),
    ({"slots": Slots(1, None)}, {"FT007"}),
    ({"slots": Slots(0, 2)}, {"FT001"}),
    ({"slots": SILENT}, {"FT001", "FT007"}),
    ({"slots": USED, "imported": imported()}, {"FT007"}),
    ({"slots": NOT_USED, "imported": imported("m")}, {"FT001"}),
    ({"slots": NOT_USED, "imported": imported("other")}, set()),
    ({"slots": None}, {"FT002", "FT007"}),
    ({"slots": None, "imported": imported("m")}, {"FT001", "FT002", "FT007"}),
    ({"slots": None, "called": Called(NOT_USED, "multi-phase")}, set()),
    ({"slots": NOT_USED, "subinterpreter": InSubinterpreter("ImportError", "m")}, {"FT007"}),
    ({"slots": NOT_USED, "subinterpreter": InSubinterpreter("ImportError", "other")}, set()),
    ({"slots": NOT_USED, "subinterpreter": InSubinterpreter()}, set()),
    ({"slots": NOT_USED, "subinterpreter": InSubinterpreter(died="SIGSEGV")}, {"FT007"}),
])  # fmt: skip
def test_what_has_an_id_has_it_here_too(more, expected):
    assert ids_of(**more) == expected


def test_a_slot_that_promises_what_an_import_does_not_keep_needs_attention():
    assert any(one.attention for one in made(subinterpreter=InSubinterpreter(died="SIGSEGV")).remarks)
    assert not any(one.attention for one in made(slots=SILENT, subinterpreter=InSubinterpreter("ImportError", "m")).remarks)


@pytest.mark.parametrize(("classifier", "slots", "expected", "attention"), [
    ("", NOT_USED, {"FT008"}, False),
    ("3 - Stable", NOT_USED, set(), False),
    ("1 - Unstable", Slots(0, 2), {"FT001", "FT008"}, False),
    ("4 - Resilient", Slots(0, 2), {"FT001", "FT008"}, True),
    ("", Slots(0, 2), {"FT001"}, False),
])  # fmt: skip
def test_claims_against_reality(classifier, slots, expected, attention):
    found = row("x", made("x", slots), classifier=classifier)
    assert ids(found) == expected
    assert any(one.attention for one in found.remarks) is attention


@pytest.mark.parametrize(("tags", "expected"), [
    ((), set()),
    (("cp314-cp314t-linux_x86_64",), set()),
    (("cp314-cp314-linux_x86_64",), {"FT005"}),
    (("cp39-abi3-linux_x86_64",), {"FT005"}),
    (("cp315-abi3t-linux_x86_64",), {"FT005"}),
    (("cp39-abi3-linux_x86_64", "cp314-cp314t-linux_x86_64"), set()),
    (("py3-none-linux_x86_64",), set()),
    (("no tag",), set()),
])  # fmt: skip
def test_a_wheel_for_another_abi(tags, expected):
    pure = Distribution("x", "1", Readiness.NOT_CHECKED, tags=tags)
    found = dataclasses.replace(pure, modules=(made("x"),), classifier="3 - Stable")
    assert ids(readiness.distribution(found, "cp314t")) == expected
    assert ids(readiness.distribution(found)) == set()
    assert ids(readiness.distribution(pure, "cp314t")) == set()


# -- the table -----------------------------------------------------------------------------------------------------------

INTERPRETER = Interpreter("/env/bin/python", "3.14.9", True, "cp314t", "linux-x86_64")
ELSEWHERE = InSubinterpreter("ImportError", "pkg.core")


def with_sources(name, seen):
    text = sources._words(seen, f"`ftcheck rules {name}` lists them with their code")
    return row(name, remarks=(Remark("rules", text, bool(seen.gating)),), sources=seen)


AUDITS = {
    "nothing": Audit("the environment /env", INTERPRETER, ()),
    "all_kinds": Audit(
        "the environment /env",
        INTERPRETER,
        (
            row("crashing", made("crash", imported=Imported(died="SIGSEGV", output="Fatal Python error: Segmentation"))),
            Distribution("absent", "2.0", Readiness.NOT_INSTALLABLE, "no cp314t wheel; sdist present", ("2.0: cp313",)),
            row(
                "loud",
                *(made(f"loud.m{n}", USED, called=Called(USED), imported=imported(f"loud.m{n}")) for n in range(7)),
                classifier="4 - Resilient",
                needed_by=("one", "two"),
            ),
            row("partly", made("partly.a"), made("partly.b", None, not_run="it is for aarch64, and this is x86_64")),
            row("fine", made("fine.core", called=Called(NOT_USED), imported=imported()), classifier="3 - Stable"),
            row("drawn", made("drawn.core", imported=imported("loud.m0"))),
            dataclasses.replace(row("tried", made("tried.core")), readiness=Readiness.TESTED, what="nothing found: 9 tests"),
            row("plain", remarks=(Remark("metadata", "installed 2 times here (1.0, 2.0)", attention=True),)),
            row("silent"),
        ),
        troubles=("the folder /env/secret cannot be read: Permission denied",),
        limits=("/env has more than 1,000,000 files: the rest was not looked at",),
        seconds=3.21,
    ),
    "subinterpreters": Audit(
        "the environment /env",
        INTERPRETER,
        (
            row("one", made("one", imported=imported(), subinterpreter=InSubinterpreter()), needed_by=("two",),
                classifier="1 - Unstable"),
            row("two", made("two", USED, imported=imported("two"), subinterpreter=InSubinterpreter("ImportError", "two"))),
            row("three", made("three", USED, imported=imported("three"), subinterpreter=ELSEWHERE)),
        ),
        subinterpreters=True,
    ),
    "rules": Audit(
        "the sdist some-1.0.tar.gz",
        INTERPRETER,
        (
            with_sources(
                "some",
                Sources(
                    (
                        Place("FT103", "src/encode.c", 273, "iter_next", "PyDict_Next without a lock on arg", "A", True),
                        Place("FT302", "tests/helper.c", 7, "", "cache is made when it is first asked for", "A", True),
                        Place("FT101", "src/other.c", 1, "get", "a borrowed reference", "B", False),
                    ),
                    notes=2, suppressed=1, files=51, functions=625, calls=13257, lines=334932, skipped=1,
                    unchecked=("FT307",), seconds=7.64,
                ),
            ),
            with_sources("quiet", Sources(files=1, functions=1, calls=3, lines=18, seconds=0.01)),
            with_sources("long", Sources(problem="reading the sources took more than 300 s: give --rules-timeout more")),
        ),
    ),
    "list": Audit(
        "the list requirements.txt (requirements)",
        Interpreter("", "3.14.9", True, "cp314t"),
        (Distribution("absent", "2.0", Readiness.NOT_INSTALLABLE, "no cp314t wheel; sdist absent", ("2.0: no wheels",)),
         Distribution("in-turn", "3.0", Readiness.NOT_INSTALLABLE, "no cp314t wheel; sdist present", ("3.0: no wheels",),
                      needed_by=("other", "there")),
         Distribution("other", "", Readiness.NOT_INSTALLABLE, "no version for 3.14t fits other >=2 (the list), <2 (there)",
                      needed_by=("there",)),
         Distribution("there", "1.0", Readiness.NOT_CHECKED, "there is a cp314t wheel: install it, or audit the wheel")),
        asked=2,
        requirements=True,
        followed=1,
        limits=("what in-turn 3.0 requires is not known: there is no wheel of it",),
    ),
}  # fmt: skip


@pytest.mark.parametrize("verbose", [False, True])
@pytest.mark.parametrize("name", AUDITS)
def test_the_table(golden, name, verbose):
    text = table.render(AUDITS[name], width=80, colour=False, verbose=verbose)
    assert max(map(len, text.splitlines())) <= 80
    assert "\x1b" not in text
    assert "safe" not in text
    golden(f"{name}{'_verbose' if verbose else ''}", text)


ASKED = Audit(
    "the environment /env",
    INTERPRETER,
    (
        row(
            "asked",
            readiness.module("a.one", "a/one.so", binary("a.one", libc=("strtok",), unsafe_libraries=("libx.so",))),
            made("a.two"),
            classifier="2 - Beta",
            needed_by=("first", "second"),
        ),
        row("pure", needed_by=("first",)),
    ),
)


def test_claims_who_needs_it_and_what_is_not_for_threads_are_in_the_table_and_in_json():
    said = " ".join(table.render(ASKED, width=80, colour=False, verbose=True).split())
    assert "claims 2 - Beta" in said
    assert "asked 1.0 needed by first, second" in said
    assert "pure 1.0 needed by first" in said
    assert "libc: imports strtok: not for threads (where it is called is not known) (a.one)" in said
    assert "library: needs libx.so, which is not for all threads at once (a.one)" in said
    one, _ = json_file.to_json(ASKED)["distributions"]
    assert (one["classifier"], one["needed_by"]) == ("2 - Beta", ["first", "second"])
    assert [module["binary"]["libc"] for module in one["modules"]] == [["strtok"], []]
    assert {remark["kind"] for remark in one["modules"][0]["remarks"]} == {"libc", "library"}
    brief = table.render(ASKED, width=80, colour=False, verbose=False)
    assert "strtok" not in brief
    assert "remarks on 1 more row: --verbose lists them" in brief


def test_colour_is_for_terminals():
    assert "\x1b[" in table.render(AUDITS["all_kinds"], width=80, colour=True, verbose=False)


def test_names_of_others_cannot_write_what_they_like():
    name = "[red]x[/red]\x1b[2J"
    text = table.render(Audit("x", None, (row(name, made("m", USED)),)), width=120, colour=False, verbose=True)
    assert "[red]x[/red]" in text
    assert "\x1b[2J" not in text


# -- JSON ----------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def schema():
    return json.loads(importlib.resources.files("ftcheck.audit").joinpath("audit-1.schema.json").read_text(encoding="utf-8"))


def test_the_schema_is_one(schema):
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["properties"]["schema"]["const"] == json_file.SCHEMA
    assert schema["properties"]["version"]["const"] == json_file.VERSION


def strict(part):
    """The schema, with every key that it does not name forbidden."""
    if isinstance(part, dict):
        closed = {"additionalProperties": False} if "properties" in part and "additionalProperties" not in part else {}
        return {key: strict(value) for key, value in part.items()} | closed
    return [strict(one) for one in part] if isinstance(part, list) else part


@pytest.mark.parametrize("name", AUDITS)
def test_what_is_written_is_what_the_schema_says_and_no_more(schema, name):
    data = json.loads(json.dumps(json_file.to_json(AUDITS[name])))
    jsonschema.validate(data, strict(schema), jsonschema.Draft202012Validator)
    assert data["needs_attention"] is AUDITS[name].needs_attention
    assert sum(data["counts"].values()) == len(data["distributions"])


@pytest.mark.parametrize("change", [{"version": 2}, {"counts": {}}, {"distributions": [{}]}])
def test_the_schema_refuses_what_is_something_else(schema, change):
    data = {**json.loads(json.dumps(json_file.to_json(AUDITS["all_kinds"]))), **change}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(data, schema, jsonschema.Draft202012Validator)


# -- tested --------------------------------------------------------------------------------------------------------------

RAN = Coverage(threads=2, rounds=200, overlapped=198, failed=0, calls=400, seconds=0.3, limit="rounds")
MACHINE = Machine("3.14.9", "CPython", True, False, None, 2, "linux", "0.1", "9")


def report(tmp_path, *tests, name="report.json", **more):
    path = tmp_path / name
    tests = tests or (TestVerdict("t.py::test_one", Verdict.PASSED, RAN),)
    more = {"machine": MACHINE, "ending": Ending()} | more
    run = RunReport("CPython 3.14.9 free-threaded, GIL off, 2 CPUs", True, 1, "--ftcheck", tests, **more)
    path.write_text(json.dumps(json_report.to_json(run)))
    return path


ONE = Audit("x", None, (row("one", made("one.core")), row("two", made("two.core"))))


def test_a_report_makes_a_row_tested(tmp_path):
    found = tested.applied(ONE, [("One", report(tmp_path))])
    assert [one.readiness for one in found.rows] == [Readiness.TESTED, Readiness.DECLARED]
    assert found.rows[0].what.startswith("nothing found: 1 of 1 test ran concurrently")
    assert not found.needs_attention


def test_what_tests_have_found_needs_attention(tmp_path):
    bad = Finding(Verdict.CRASH, ("t.py::test_one",), "SIGSEGV in round 3", round=3)
    path = report(tmp_path, TestVerdict("t.py::test_one", Verdict.CRASH, RAN, findings=(bad,)))
    found = tested.applied(ONE, [("one", path)])
    assert found.rows[0].what.startswith("1 finding:")
    assert found.needs_attention


def test_a_report_may_say_itself_what_it_is_about(tmp_path):
    image = Image("/s/two.so", ("two.core",), False, (), Locking())
    found = tested.applied(ONE, [("", report(tmp_path, statics=StaticState(("all",), 1, (image,))))])
    assert [one.readiness for one in found.rows] == [Readiness.DECLARED, Readiness.TESTED]


@pytest.mark.parametrize(("more", "why"), [
    ({"machine": dataclasses.replace(MACHINE, free_threaded=False)}, "with the GIL"),
    ({"ending": Ending(stopped="interrupted")}, "not complete"),
    ({"tests": (TestVerdict("t.py::t", Verdict.NOT_CHECKED, None, "alone"),)}, "none of its tests ran concurrently"),
    ({"tests": (TestVerdict("t.py::t", Verdict.PASSED, dataclasses.replace(RAN, gil=True)),)}, "the GIL was on"),
])  # fmt: skip
def test_what_does_not_count_does_not_count(tmp_path, more, why):
    path = report(tmp_path, *more.pop("tests", ()), **more)
    found = tested.applied(ONE, [("one", path)])
    assert found.rows[0].readiness is Readiness.DECLARED
    assert why in found.rows[0].remarks[-1].text


def test_what_turns_the_gil_on_is_not_made_better_by_tests(tmp_path):
    loud = Audit("x", None, (row("loud", made("loud.core", USED)),))
    assert tested.applied(loud, [("loud", report(tmp_path))]).rows[0].readiness is Readiness.TURNS_GIL_ON


@pytest.mark.parametrize(("name", "content", "status"), [
    ("three", None, 2), ("", None, 2), ("one", "", 3), ("one", "{}", 3), ("one", "missing", 2),
])  # fmt: skip
def test_reports_that_help_nobody_are_refused(tmp_path, name, content, status):
    path = report(tmp_path) if content is None else tmp_path / "other.json"
    if content not in (None, "missing"):
        path.write_text(content)
    with pytest.raises(AuditError) as failed:
        tested.applied(ONE, [(name, path)])
    assert failed.value.status == status


def test_a_report_of_a_run_in_which_the_gil_came_on_has_an_id(tmp_path):
    on = TestVerdict("t.py::t", Verdict.PASSED, dataclasses.replace(RAN, gil=True))
    for forced, expected in ((None, "FT004"), (True, "")):
        path = report(tmp_path, on, machine=dataclasses.replace(MACHINE, gil_forced=forced))
        (last,) = [one for one in tested.applied(ONE, [("one", path)]).rows[0].remarks if one.kind == "tests"]
        assert (last.rule, last.attention) == (expected, bool(expected))


def test_a_report_of_a_run_with_the_gil_forced_off_has_an_id(tmp_path):
    for forced, expected in ((None, []), (False, ["FT003"])):
        path = report(tmp_path, machine=dataclasses.replace(MACHINE, gil_forced=forced))
        found = tested.applied(ONE, [("one", path)]).rows[0]
        assert [one.rule for one in found.remarks if one.kind == "tests"] == expected
        assert found.readiness is Readiness.TESTED


def test_a_claim_against_which_tests_have_found_something(tmp_path):
    bad = Finding(Verdict.CRASH, ("t.py::test_one",), "SIGSEGV in round 3", round=3)
    path = report(tmp_path, TestVerdict("t.py::test_one", Verdict.CRASH, RAN, findings=(bad,)))
    for claim, expected in (("3 - Stable", ["FT008"]), ("2 - Beta", [])):
        audit = Audit("x", None, (row("one", made("one.core"), classifier=claim),))
        found = tested.applied(audit, [("one", path)]).rows[0]
        assert [one.rule for one in found.remarks if one.rule] == expected


def test_golden_files_are_all_of_a_test():
    names = {f"{name}{more}.txt" for name in AUDITS for more in ("", "_verbose")}
    names |= {"diff.txt", "confirm.txt", "confirm_test.txt"}  # of test_diff.py and test_confirm.py
    assert {one.name for one in (Path(__file__).parent / "golden").iterdir()} == names

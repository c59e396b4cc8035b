"""The report as JSON, for machines: what is written (:func:`to_json`) can be read back (:func:`from_json`).

The format has a version. Within one, things may be added, never removed, renamed or given another meaning; so a reader
ignores what it does not know, and refuses a higher version. ``report-1.schema.json`` beside this file is the same in the
words of JSON Schema. Each finding stands once, in ``findings``, the worst first; tests name theirs by its place there,
because one finding can accuse a thousand tests. ``counts``, ``concurrent``, ``rate`` and ``again`` follow from the rest:
they are there for those who read the file without this module.

Reading follows the annotations of the dataclasses, so a field that is added to one of them needs nothing here.
"""

from __future__ import annotations

import dataclasses
import enum
import json
import types
import typing
from collections.abc import Callable
from typing import Any

from ftcheck.report.model import Ending, Machine, RunReport
from ftcheck.settings import Settings
from ftcheck.static_state import StaticState
from ftcheck.verdicts import Finding, TestVerdict, Verdict, to_plain

SCHEMA = "ftcheck-report"
VERSION = 1


class ReportError(ValueError):
    """A text that is no report, or not one that can be read. The message says what is wrong with it."""


def to_json(report: RunReport, *, where: Callable[[str], str] = str) -> dict[str, Any]:
    """A report as what :func:`json.dumps` takes.

    :param where: a node id as it must be typed in the folder where pytest was started.
    """
    findings = report.findings
    place = {finding: number for number, finding in enumerate(findings)}
    share = report.concurrent
    return {
        "schema": SCHEMA,
        "version": VERSION,
        "interpreter": to_plain(report.interpreter),
        "machine": to_plain(report.machine),
        "run": {
            "arguments": to_plain(report.arguments),
            "seed": report.seed,
            "settings": to_plain(report.settings),
            "isolated": report.isolated,
            "why_not_isolated": report.why_not_isolated,
            "rerun": to_plain(report.rerun),
            "min_concurrent": report.min_concurrent,
        },
        "ending": {**to_plain(report.ending), "complete": not report.ending.stopped},
        "counts": {verdict.value: report.count(verdict) for verdict in Verdict},
        "concurrent": {"tests": share.part, "of": share.whole, "share": share.value},
        "tests": [
            {
                "test": to_plain(test.test),
                "verdict": test.verdict.value,
                "asked": test.asked,
                "concurrent": test.concurrent,
                "reason": to_plain(test.reason),
                "coverage": to_plain(test.coverage),
                "findings": [place[finding] for finding in test.findings],
                "again": to_plain(report.again(where(test.test))),
            }
            for test in report.tests
        ],
        "findings": [
            {
                **to_plain(finding),
                "rate": finding.rate,
                "again": to_plain(report.again(where(finding.tests[0]), finding.replay)),
            }
            for finding in findings
        ],
        "general": [place[finding] for finding in dict.fromkeys(report.general)],
        "statics": to_plain(report.statics),
    }


def from_json(text: str | bytes, name: str = "the report") -> RunReport:
    """The report that was written as this text.

    :param name: how an error names the file.
    :raises ReportError: it was cut off, is something else, was written by a newer version, or something in it is missing
        or of the wrong type.
    """
    data = _parsed(text, name)
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise ReportError(f'{name} is JSON, but no report of ftcheck: it does not begin with "schema": "{SCHEMA}"')
    version = data.get("version")
    if not isinstance(version, int) or version > VERSION:
        raise ReportError(
            f"{name} is of version {version!r} of the format, and this ftcheck reads up to {VERSION}: "
            "read it with the ftcheck that wrote it, or a newer one"
        )
    try:
        return _report(data)
    except _DamagedError as damage:
        raise ReportError(f"{name} is damaged: {damage}") from None


def _parsed(text: str | bytes, name: str) -> Any:
    def refuse(constant: str) -> Any:
        raise ValueError(f"{constant} is no JSON")

    if not text.strip():
        raise ReportError(f"{name} is empty: the run that was to write it did not come to its end, or the disk was full")
    try:
        return json.loads(text, parse_constant=refuse)
    except json.JSONDecodeError as error:
        cut = error.pos >= len(error.doc.rstrip()) or error.msg.startswith("Unterminated string")
        what = "ends in the middle: it was cut off while it was written or copied" if cut else "is no JSON"
        raise ReportError(f"{name} {what} (line {error.lineno}, column {error.colno}: {error.msg})") from None
    except (ValueError, RecursionError) as error:
        raise ReportError(f"{name} is no JSON ({error})") from None


class _DamagedError(Exception):
    """Something is missing or of the wrong type; says where."""


def _report(data: dict[str, Any]) -> RunReport:
    findings = _read(tuple[Finding, ...], _entry(data, "findings", ""), "findings")

    def named(numbers: Any, where: str) -> tuple[Finding, ...]:
        chosen = _read(tuple[int, ...], numbers, where)
        if any(not 0 <= number < len(findings) for number in chosen):
            raise _DamagedError(f"{where} names a finding that is not there")
        return tuple(findings[number] for number in chosen)

    tests = []
    for number, test in enumerate(_read(tuple[dict[str, Any], ...], _entry(data, "tests", ""), "tests")):
        where = f"tests[{number}]"
        mine = named(_entry(test, "findings", f"{where}."), f"{where}.findings")
        tests.append(dataclasses.replace(_read(TestVerdict, {**test, "findings": []}, where), findings=mine))
    run = _read(dict[str, Any], _entry(data, "run", ""), "run")

    def of_run(kind: Any, key: str) -> Any:
        return _read(kind, _entry(run, key, "run."), f"run.{key}")

    return RunReport(
        interpreter=_read(str, _entry(data, "interpreter", ""), "interpreter"),
        isolated=of_run(bool, "isolated"),
        seed=of_run(int, "seed"),
        rerun=of_run(str, "rerun"),
        tests=tuple(tests),
        general=named(_entry(data, "general", ""), "general"),
        why_not_isolated=of_run(str, "why_not_isolated"),
        settings=of_run(Settings | None, "settings"),
        arguments=of_run(tuple[str, ...], "arguments"),
        min_concurrent=of_run(float | None, "min_concurrent"),
        machine=_read(Machine | None, _entry(data, "machine", ""), "machine"),
        ending=_read(Ending, _entry(data, "ending", ""), "ending"),
        statics=_read(StaticState | None, data.get("statics"), "statics"),
    )


def _entry(data: dict[str, Any], key: str, where: str) -> Any:
    if key not in data:
        raise _DamagedError(f"{where}{key} is missing")
    return data[key]


def _read(kind: Any, data: Any, where: str) -> Any:
    """A value of an annotated type out of plain data; keys that nobody knows are ignored.

    :raises _DamagedError: it is not of that type.
    """
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return _one_of(parts, data, where)
    if origin is typing.Literal and any(type(data) is type(part) and data == part for part in parts):
        return data
    if origin is dict and isinstance(data, dict):
        return data
    if origin is tuple and isinstance(data, list):
        kinds = parts[:1] * len(data) if parts[-1] is Ellipsis else parts
        if len(kinds) == len(data):
            return tuple(_read(one, entry, f"{where}[{n}]") for n, (one, entry) in enumerate(zip(kinds, data, strict=True)))
    if kind is types.NoneType and data is None:
        return None
    if kind is float and isinstance(data, (int, float)) and not isinstance(data, bool):
        return float(data)
    if isinstance(kind, type):
        if kind in (str, bool, int) and type(data) is kind:
            return data
        if issubclass(kind, enum.Enum) and data in [member.value for member in kind]:
            return kind(data)
        if dataclasses.is_dataclass(kind) and isinstance(data, dict):
            return _dataclass(kind, data, where)
    shown = json.dumps(data)
    raise _DamagedError(f"{where} cannot be {shown if len(shown) <= 60 else shown[:60] + '...'}")


def _one_of(kinds: tuple[Any, ...], data: Any, where: str) -> Any:
    """The first that fits; where none does, the last one says why not (``None`` is tried first: it says least)."""
    failed: _DamagedError | None = None
    for kind in sorted(kinds, key=lambda one: one is not types.NoneType):
        try:
            return _read(kind, data, where)
        except _DamagedError as damage:
            failed = damage
    assert failed is not None
    raise failed


def _dataclass(kind: Any, data: dict[str, Any], where: str) -> Any:
    hints = typing.get_type_hints(kind)
    values = {}
    for field in dataclasses.fields(kind):
        if field.name in data:
            values[field.name] = _read(hints[field.name], data[field.name], f"{where}.{field.name}")
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise _DamagedError(f"{where}.{field.name} is missing")
    return kind(**values)

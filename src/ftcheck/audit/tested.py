"""What reports of ``pytest --ftcheck-json`` say about distributions: the only thing that makes a row *tested*.

A report knows tests, and not what they are about. So whoever gives it says so (``--tested NAME=REPORT``); or the report has
the static state of modules (``--ftcheck-statics``), and with that the extension modules that were loaded under the tests.
What counts is a complete run of a free-threaded interpreter with tests that really ran concurrently. What was found there
is told, and needs attention.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from packaging.utils import canonicalize_name

from ftcheck.audit.model import Audit, Distribution, Readiness, Remark
from ftcheck.audit.options import AuditError
from ftcheck.audit.readiness import CLAIMS
from ftcheck.coverage import counted
from ftcheck.report.json_report import ReportError, from_json
from ftcheck.report.model import RunReport

_GIL_ON = "the GIL was on"


def applied(audit: Audit, given: Sequence[tuple[str, Path]]) -> Audit:
    """The audit with what the reports say of its rows.

    :param given: names of distributions (empty: as the report says by itself) and reports.
    :raises AuditError: a report cannot be read, or says nothing about any row.
    """
    found = list(audit.rows)
    for name, path in given:
        report = _read(path)
        names = [canonicalize_name(name)] if name else _named(report, audit.rows, path)
        places = [place for place, row in enumerate(found) if canonicalize_name(row.name) in names]
        if not places:
            raise AuditError(f"--tested {name}={path}: there is no distribution {name} among those that were looked at", 2)
        for place in places:
            found[place] = _with(found[place], report, path)
    return replace(audit, rows=tuple(found))


def _read(path: Path) -> RunReport:
    try:
        return from_json(path.read_bytes(), str(path))
    except OSError as error:
        raise AuditError(f"the report {path} cannot be read: {error.strerror or error}", 2) from None
    except ReportError as error:
        raise AuditError(str(error)) from None


def _named(report: RunReport, rows: Sequence[Distribution], path: Path) -> list[str]:
    loaded = {name for image in (report.statics.images if report.statics else ()) for name in image.modules}
    names: list[str] = [
        canonicalize_name(row.name) for row in rows if row.name and any(one.name in loaded for one in row.modules)
    ]
    if not names:
        raise AuditError(
            f"{path} does not say which distributions its tests are about: write --tested NAME={path}, or make it with "
            "--ftcheck-statics=all, which records the extension modules that were loaded", 2
        )  # fmt: skip
    return names


def _with(row: Distribution, report: RunReport, path: Path) -> Distribution:
    share, findings = report.concurrent, report.findings
    ran = f"{share.part} of {counted(share.whole, 'test')} ran concurrently under {report.interpreter}"
    forced = report.machine.gil_forced if report.machine is not None else None
    if why := _does_not_count(report):
        rule = "FT004" if forced is None and why.startswith(_GIL_ON) else ""
        remark = Remark("tests", f"{path.name} does not count: {why}", attention=bool(rule), rule=rule)
        return replace(row, remarks=(*row.remarks, remark))
    remarks = row.remarks
    if forced is False:
        text = f"{path.name} was made with PYTHON_GIL=0, which hides modules that turn the GIL on: leave that out"
        remarks = (*remarks, Remark("tests", text, rule="FT003"))
    if findings and row.classifier in CLAIMS:
        text = f"claims Free Threading :: {row.classifier}, and its tests have findings"
        remarks = (*remarks, Remark("classifier", text, attention=True, rule="FT008"))
    if findings:
        text = f"{counted(len(findings), 'finding')} in {path.name}, the first: {findings[0].headline}"
        remarks = (*remarks, Remark("tests", text, attention=True))
    if row.readiness is not Readiness.DECLARED:
        return replace(row, remarks=(*remarks, Remark("tests", f"{path.name}: {ran}")))
    found = f"{counted(len(findings), 'finding')}" if findings else "nothing found"
    return replace(row, readiness=Readiness.TESTED, what=f"{found}: {ran} ({path.name})", remarks=remarks)


def _does_not_count(report: RunReport) -> str:
    if report.machine is not None and not report.machine.free_threaded:
        return "it was made by an interpreter with the GIL"
    if on := sum(test.coverage is not None and test.coverage.gil for test in report.tests if test.concurrent):
        return f"{_GIL_ON} in {counted(on, 'test')}"
    if report.ending.stopped:
        return f"the run is not complete ({report.ending.stopped})"
    if not report.concurrent.part:
        return "none of its tests ran concurrently"
    return ""

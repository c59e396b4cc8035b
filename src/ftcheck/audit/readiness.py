"""From evidence to verdicts, for a module and for a distribution.

Of a module three witnesses may speak: the interpreter, in a real import; the slots that its ``PyInit_`` gave; the bytes of
its file. The import is the truth, so it decides where it was made. Slots and bytes must agree with it, and with each other:
where they do not, that is said. Without an import, slots decide, and then bytes; a missing ``Py_mod_gil`` slot of a
multi-phase module means that it turns the GIL on (CPython ``Objects/moduleobject.c``: the default is ``Py_MOD_GIL_USED``).
Of a single-phase module nothing decides but an import.

A module whose import turns the GIL on only because of what it imports has declared itself all the same; the one that did it
is named, and has a row where it belongs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ftcheck.audit import noted
from ftcheck.audit.binary import Binary
from ftcheck.audit.model import Called, Distribution, Imported, InSubinterpreter, Module, Readiness, Remark, worst
from ftcheck.audit.slot_bytes import Slots

CLAIMS = frozenset(("3 - Stable", "4 - Resilient"))
"""Classifiers with which what turns the GIL on, or fails in threads, does not go together."""


def module(
    name: str,
    file: str,
    binary: Binary,
    *,
    called: Called | None = None,
    imported: Imported | None = None,
    subinterpreter: InSubinterpreter | None = None,
    not_run: str = "",
    wrong: str = "",
    remarks: Sequence[Remark] = (),
) -> Module:
    """The row of one module.

    :param not_run: why it was not run, where it was not.
    :param wrong: why this interpreter cannot load it at all; empty: it can.
    """
    static = binary.reading(name).slots
    evidence: list[str] = []
    readiness, what = _decide(name, binary, called, imported, static, wrong, not_run, evidence)
    more = list(remarks)
    if called is not None and called.slots is not None and static is not None and called.slots != static:
        more.append(
            Remark("file", f"its bytes say {_said(static)}, its PyInit_ gives {_said(called.slots)}", attention=True)
        )
    if imported is not None and not imported.died and not imported.problem and imported.gil is not None:
        claimed = (called.slots if called is not None else None) or static
        required = any(one.module == name for one in imported.requires)
        if claimed is not None and required == (claimed.gil == 1):
            more.append(Remark("import", f"its slots say {_said(claimed)}, and its import says otherwise", attention=True))
    if binary.libc:
        more.append(Remark("libc", f"imports {', '.join(binary.libc)}: not for threads (where it is called is not known)"))
    more += [Remark("library", f"needs {one}, which is not for all threads at once") for one in binary.unsafe_libraries]
    known = (called.slots if called is not None else None) or static
    phase = (called.phase if called is not None else "") or binary.phase
    more += noted.of_module(name, readiness, binary, known, phase, subinterpreter)
    if not binary.locking.locks and binary.borrowed and not binary.locking.blind and not binary.problem:
        more.append(Remark("locks", f"imports {', '.join(binary.borrowed)}, and no lock that can be seen"))
    return Module(
        name, file, readiness, what, tuple(evidence), binary, called, imported, subinterpreter, not_run, tuple(more)
    )


def _decide(
    name: str,
    binary: Binary,
    called: Called | None,
    imported: Imported | None,
    static: Slots | None,
    wrong: str,
    not_run: str,
    evidence: list[str],
) -> tuple[Readiness, str]:
    if wrong:
        evidence.append(wrong)
        return Readiness.FAILED, wrong
    if binary.problem:
        evidence.append(binary.problem)
        return Readiness.FAILED, binary.problem
    gil: bool | None = None
    if imported is not None:
        if imported.died:
            evidence.append(f"import: {imported.died}")
            return Readiness.FAILED, f"import: {imported.died}"
        own = any(one.module == name for one in imported.requires)
        if imported.problem and not own:
            why = _no_fault_of_its_own(imported)
            if not why:
                evidence.append(f"import: {imported.problem}")
                return Readiness.FAILED, f"its import raises {imported.problem.partition(':')[0]}"
            not_run = why
            evidence.append(f"not imported: {why}")
        elif own:
            gil = True
            evidence.append("import: the GIL came on")
        elif imported.gil is not None:
            others = ", ".join(dict.fromkeys(one.module for one in imported.requires))
            gil = False
            if imported.gil and not others:
                gil = None
                evidence.append("import: the GIL is on, and the interpreter did not say which module did it")
            else:
                evidence.append(f"import: GIL on through {others}" if others else "import: GIL stayed off")
    slots = called.slots if called is not None else None
    if slots is not None:
        evidence.append(f"PyInit_: {_said(slots)}")
    elif called is not None and called.problem:
        evidence.append(f"PyInit_: {called.problem}")
    if static is not None:
        evidence.append(f"bytes: {_said(static)}")
    elif not binary.problem:
        evidence.append(f"bytes: decide nothing ({binary.reading(name).why})")
    if not_run and imported is None:
        evidence.append(f"not run: {not_run}")
    known = slots or static
    if gil is None and known is not None:
        gil = known.gil != 1
    if gil is None:
        return Readiness.NOT_CHECKED, not_run or "only an import decides"
    return (Readiness.TURNS_GIL_ON, "") if gil else (Readiness.DECLARED, "")


def _no_fault_of_its_own(imported: Imported) -> str:
    """Why an import failed that says nothing about the module: its circumstances. Empty: it does."""
    if imported.missing:
        return f"it needs {imported.missing}, which is not here"
    if "partially initialized module" in imported.problem:
        return "it is in a circle of imports, and can only come after others"
    return ""


def _said(slots: Slots) -> str:
    gil = {1: "Py_mod_gil=NOT_USED", 0: "Py_mod_gil=USED", None: "no Py_mod_gil"}[slots.gil]
    return gil if slots.interpreters is None else f"{gil}, interpreters={slots.interpreters}"


def distribution(row: Distribution, target: str = "") -> Distribution:
    """The row of a distribution with its verdict: that of the worst of its modules.

    :param target: the ABI tag that is asked about; empty: that of its wheel does not matter.
    """
    remarks = [*row.remarks, *(noted.of_tags(row, target) if target else ())]
    if not row.modules:
        evidence = (
            ("no extension module",) if not row.libraries else (f"no extension module, {len(row.libraries)} libraries",)
        )
        return _changed(row, Readiness.PURE, "", evidence, remarks)
    readiness = worst(one.readiness for one in row.modules)
    those = [one for one in row.modules if one.readiness is readiness]
    what = "; ".join(sorted({one.what for one in those}))
    if len(those) < len(row.modules) and what:
        what = f"{len(those)} of {len(row.modules)} modules: {what}"
    if readiness is Readiness.TURNS_GIL_ON and row.classifier:
        text = f"claims Free Threading :: {row.classifier}, and turns the GIL on"
        remarks.append(Remark("classifier", text, attention=row.classifier in CLAIMS, rule="FT008"))
    elif readiness is Readiness.DECLARED and not row.classifier:
        remarks.append(Remark("classifier", "declared in its modules, and no Free Threading classifier", rule="FT008"))
    return _changed(row, readiness, what, (f"{len(those)} of {len(row.modules)} modules",), remarks)


def _changed(
    row: Distribution, readiness: Readiness, what: str, evidence: tuple[str, ...], remarks: Sequence[Remark]
) -> Distribution:
    return replace(row, readiness=readiness, what=what, evidence=evidence, remarks=tuple(remarks))

"""What the audit knows of a module or a distribution that has an id of its own, as findings in source code have.

``FT001`` is the same flaw whether it is read in a source file (:mod:`ftcheck.audit.rules`), in the bytes of a module, or
seen when it is imported; so it has the same id. These ids are told here, from facts that were gathered before; none of them
changes a verdict. FT001 and FT005 are behind a verdict that needs attention already; FT002, FT007 and FT008 are notes.

Which values the slots have, and what a missing one means: PEP 489, PEP 684, CPython ``Objects/moduleobject.c``.
"""

from __future__ import annotations

from collections.abc import Iterator

from packaging.tags import InvalidTag, Tag, parse_tag

from ftcheck.audit.abi import fits, target_named
from ftcheck.audit.binary import Binary
from ftcheck.audit.model import Distribution, InSubinterpreter, Readiness, Remark
from ftcheck.audit.slot_bytes import Slots

_OWN_GIL = 2
_INTERPRETERS = {
    None: "no Py_mod_multiple_interpreters slot: not for interpreters with a GIL of their own",
    0: "Py_mod_multiple_interpreters says that it supports none but the main interpreter",
    1: "Py_mod_multiple_interpreters says that it is not for interpreters with a GIL of their own",
}


def of_module(
    name: str, readiness: Readiness, binary: Binary, slots: Slots | None, phase: str, elsewhere: InSubinterpreter | None
) -> Iterator[Remark]:
    """FT001, FT002 and FT007.

    :param slots: what it declares, by the best witness; None: nobody knows.
    :param phase: of its initialisation, by the best witness.
    :param elsewhere: what its import in an interpreter of its own gave; None: none was made.
    """
    if binary.problem:
        return
    if readiness is Readiness.TURNS_GIL_ON:
        yield Remark("gil", _undeclared(slots, phase), rule="FT001")
    if phase == "single-phase":
        yield Remark("phase", "single-phase initialisation: one state for all interpreters", rule="FT002")
    refuses = elsewhere is not None and elsewhere.refuses == name
    if slots is not None and slots.interpreters in _INTERPRETERS:
        yield Remark("subinterpreters", _INTERPRETERS[slots.interpreters], rule="FT007")
    elif slots is not None and slots.interpreters == _OWN_GIL and elsewhere is not None and (refuses or elsewhere.died):
        how = elsewhere.died or "refuses"
        text = f"its slot says that it is for interpreters with a GIL of their own, and its import in one: {how}"
        yield Remark("subinterpreters", text, attention=True, rule="FT007")
    elif slots is None and phase == "single-phase":
        yield Remark("subinterpreters", "single-phase: not for interpreters with a GIL of their own", rule="FT007")
    elif refuses:
        yield Remark("subinterpreters", "refuses to be imported with a GIL of its own", rule="FT007")


def _undeclared(slots: Slots | None, phase: str) -> str:
    if slots is not None and slots.gil is None:
        return "no Py_mod_gil slot: it does not declare that it does without the GIL"
    if slots is not None and slots.gil == 0:
        return "it declares Py_MOD_GIL_USED"
    if phase == "single-phase":
        return "single-phase, and no call of PyUnstable_Module_SetGIL declares that it does without the GIL"
    return "the interpreter says that it requires the GIL"


def of_tags(row: Distribution, target: str) -> Iterator[Remark]:
    """FT005, of a distribution with extension modules that comes out of a wheel for another ABI.

    :param target: the ABI that is asked about, ``"cp314t"``.
    """
    tags: set[Tag] = set()
    for text in row.tags:
        try:
            tags |= parse_tag(text)
        except InvalidTag, ValueError:
            continue
    abis = sorted({tag.abi for tag in tags} - {"none"})
    known = any(remark.rule == "FT005" for one in row.modules for remark in one.remarks)
    if row.modules and not known and abis and not fits(tags, target_named(target)):
        yield Remark("abi", f"its wheel is for {', '.join(abis)}, not {target}", rule="FT005")

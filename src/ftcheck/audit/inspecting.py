"""Asks all three witnesses about each module of a :class:`~ftcheck.audit.survey.Survey`, in batches.

Slots are asked for first, of many modules in one child, because no body is run there. Then come imports, with one child
for each distribution: in one process, what is loaded once is not loaded again, so a module that is imported after another
one has turned the GIL on could not be told from one that did it itself, were it not for the interpreter, which names each
(see :mod:`~ftcheck.audit.child`). What this leaves open is whether a module that is fine by itself turns the GIL on
through another one that was loaded before; such modules are imported again, each in a child of its own.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ftcheck.audit import binary, readiness
from ftcheck.audit.binary import Binary
from ftcheck.audit.model import Called, Distribution, Imported, InSubinterpreter, Interpreter, Module, Remark, Requires
from ftcheck.audit.probes import Batch, Outcome, Probes
from ftcheck.audit.slot_bytes import Slots
from ftcheck.audit.survey import Found, Survey, abi_of, machine_differs

_IN_A_CHILD = 200
"""Modules whose ``PyInit_`` is called in one child."""


@dataclass(frozen=True, slots=True)
class Asking:
    """How far to go.

    :param probes: None: nothing is run, and **why_not** says why.
    :param path: entries that come first in the ``sys.path`` of children.
    :param suffixes: of file names that the interpreter loads; empty: it is not asked.
    :param subinterpreters: import in interpreters of their own, too.
    :param progress: is called with what is done, how much of it, and of how much.
    """

    interpreter: Interpreter
    machine: str
    probes: Probes | None
    why_not: str = ""
    path: tuple[str, ...] = ()
    suffixes: tuple[str, ...] = ()
    subinterpreters: bool = False
    progress: Callable[[str, int, int], object] = lambda what, done, of: None


@dataclass
class _Case:
    """One module on its way."""

    row: int
    found: Found
    binary: Binary
    wrong: str = ""
    not_run: str = ""
    called: Called | None = None
    imported: Imported | None = None
    subinterpreter: InSubinterpreter | None = None
    remarks: tuple[Remark, ...] = ()

    @property
    def symbol(self) -> str:
        """The function that initialises it."""
        return f"PyInit_{self.found.module.rpartition('.')[2]}"


def inspect(survey: Survey, asking: Asking) -> tuple[Distribution, ...]:
    """The rows, with their modules and verdicts."""
    every = [(row, found) for row, files in enumerate(survey.files) for found in files]
    cases, libraries = [], [list[str]() for _ in survey.rows]
    for number, (row, found) in enumerate(every, 1):
        asking.progress("reading files", number, len(every))
        seen = binary.read(found.path)
        if not seen.problem and not seen.modules:
            libraries[row].append(found.relative)
            continue
        cases.append(_case(row, found, seen, asking))
    runnable = [case for case in cases if not case.wrong and not case.not_run]
    if asking.probes is not None:
        _call([case for case in runnable if case.binary.phase != "single-phase"], asking, asking.probes)
        _import(runnable, asking, asking.probes)
        if asking.subinterpreters:
            _import_elsewhere([case for case in runnable if not _died(case)], asking, asking.probes)
    modules: list[list[Module]] = [[] for _ in survey.rows]
    for case in cases:
        modules[case.row].append(
            readiness.module(
                case.found.module or case.found.relative,
                case.found.relative,
                case.binary,
                called=case.called,
                imported=case.imported,
                subinterpreter=case.subinterpreter,
                not_run=case.not_run,
                wrong=case.wrong,
                remarks=case.remarks,
            )
        )
    return tuple(
        readiness.distribution(
            replace(row, modules=tuple(modules[number]), libraries=tuple(libraries[number])), asking.interpreter.target
        )
        for number, row in enumerate(survey.rows)
    )


def _case(row: int, found: Found, seen: Binary, asking: Asking) -> _Case:
    case = _Case(row, found, seen)
    abi, target = abi_of(found.relative), asking.interpreter.target
    if seen.problem:
        return case
    if abi and abi != target:
        case.wrong = f"built for {abi}, which {target} cannot load"
        case.remarks += (Remark("abi", case.wrong, rule="FT005"),)
    elif machine_differs(seen.machine, asking.machine):
        case.not_run = f"it is for {seen.machine}, and this is {asking.machine}"
    elif asking.probes is None:
        case.not_run = asking.why_not
    elif not found.module:
        case.not_run = "no module name leads to its place"
    elif case.symbol not in {f"PyInit_{name}" for name in seen.modules} and found.module.isascii():
        case.wrong = f"it exports no {case.symbol}, so it cannot be imported under its file name"
    elif asking.suffixes and not found.path.endswith(asking.suffixes):
        case.not_run = f"this interpreter loads {', '.join(asking.suffixes)}, and no other names"
    return case


def _died(case: _Case) -> bool:
    return case.imported is not None and bool(case.imported.died)


def _orders(cases: Iterable[_Case]) -> tuple[dict[str, str], ...]:
    return tuple({"file": one.found.path, "module": one.found.module, "symbol": one.symbol} for one in cases)


def _ask(
    kind: str, groups: Sequence[Sequence[_Case]], asking: Asking, probes: Probes, what: str
) -> list[tuple[_Case, Outcome]]:
    total, done = sum(map(len, groups)), itertools.count(1)
    outcomes = probes.run(
        [Batch(kind, _orders(group), asking.path) for group in groups], lambda: asking.progress(what, next(done), total)
    )
    return [pair for group, some in zip(groups, outcomes, strict=True) for pair in zip(group, some, strict=True)]


def _call(cases: Sequence[_Case], asking: Asking, probes: Probes) -> None:
    groups = [list(some) for some in itertools.batched(cases, _IN_A_CHILD, strict=False)]
    for case, outcome in _ask("slots", groups, asking, probes, "calling PyInit_"):
        answer: Any = outcome.answer
        if outcome.died:
            case.called = Called(problem=outcome.died)
        elif answer.get("problem"):
            case.called = Called(problem=str(answer["problem"]))
        elif answer.get("phase") == "multi-phase":
            case.called = Called(Slots(answer.get("gil"), answer.get("interpreters")), "multi-phase")
        else:
            case.called = Called(phase=str(answer.get("phase", "")))
        if case.called.phase and case.binary.phase not in ("unknown", case.called.phase):
            text = f"its symbols say {case.binary.phase}, and its PyInit_ gives {case.called.phase}"
            case.remarks += (Remark("file", text, attention=True),)


def _import(cases: Sequence[_Case], asking: Asking, probes: Probes) -> None:
    free_threaded = asking.interpreter.free_threaded
    pairs = _ask("import", _by_row(cases), asking, probes, "importing")
    known: dict[tuple[int, str], Requires] = {}
    for case, outcome in pairs:
        for one in _required(outcome.answer):
            known.setdefault((case.row, one.module), one)
    open_ones: list[_Case] = []
    for case, outcome in pairs:
        case.imported = _imported(case, outcome, free_threaded)
        own = known.get((case.row, case.found.module))
        if own is not None and own not in case.imported.requires:
            case.imported = replace(case.imported, requires=(own, *case.imported.requires))
        elif case.imported.gil and not case.imported.requires:
            open_ones.append(case)
        if outcome.forked:
            case.remarks += (Remark("import", "it forks while it is imported, and the child came back from that import"),)
        if outcome.answer and not outcome.answer.get("there", True):
            case.remarks += (Remark("file", "it removed its own file while it was imported", attention=True),)
    for case, outcome in _ask("import", [[case] for case in open_ones], asking, probes, "importing alone"):
        case.imported = _imported(case, outcome, free_threaded)


def _by_row(cases: Iterable[_Case]) -> list[list[_Case]]:
    groups: dict[int, list[_Case]] = {}
    for case in cases:
        groups.setdefault(case.row, []).append(case)
    return list(groups.values())


def _required(answer: Any) -> list[Requires]:
    return [Requires(str(one["module"]), tuple(map(str, one["chain"]))) for one in answer.get("requires", ())]


def _imported(case: _Case, outcome: Outcome, free_threaded: bool) -> Imported:
    answer: Any = outcome.answer
    if outcome.died or not answer:
        return Imported(died=outcome.died or "said nothing", output=outcome.output)
    problem = str(answer.get("problem", ""))
    file = str(answer.get("file", ""))
    if not problem and file and os.path.realpath(file) != os.path.realpath(case.found.path):
        case.remarks += (Remark("import", f"what is imported by this name is another file: {file}"),)
        return Imported(problem="", gil=None, seconds=float(answer.get("seconds", 0)))
    return Imported(
        gil=bool(answer["gil"]) if free_threaded else None,
        requires=tuple(_required(answer)),
        problem=problem,
        missing=str(answer.get("missing", "")),
        seconds=float(answer.get("seconds", 0)),
    )


def _import_elsewhere(cases: Sequence[_Case], asking: Asking, probes: Probes) -> None:
    for case, outcome in _ask("subinterpreter", _by_row(cases), asking, probes, "importing in subinterpreters"):
        answer: Any = outcome.answer
        case.subinterpreter = InSubinterpreter(str(answer.get("problem", "")), str(answer.get("refuses", "")), outcome.died)

"""From what is asked to results: places to callables, callables to workloads, workloads to runs."""

from __future__ import annotations

import fnmatch
import functools
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ftcheck.audit.confirm import judging, programs, reaching, trying
from ftcheck.audit.confirm.reaching import Source
from ftcheck.audit.confirm.running import Runner
from ftcheck.audit.confirm.trying import Asked
from ftcheck.audit.confirm.words import ConfirmError, Kind, Place, Reached, Result, Run, Verdict, Workload

type Progress = Callable[[str], object]
EVERYTHING = (Kind.MUTATED, Kind.OBJECT, Kind.FIRST, Kind.OWN)


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for.

    :param sources: paths of source code. :param modules: dotted names, or distributions.
    :param callables: names or patterns (``pkg.mod.*``).
    :param rules, functions, variables: see :func:`~.reaching.read`.
    :param left_out: variables that are not looked up, and why.
    :param kinds: these workloads only; empty: what the rules say, or all.
    :param times: runs of each workload with the GIL off, and as many with it on.
    :param most: callables, at most.
    """

    sources: tuple[Path, ...] = ()
    modules: tuple[str, ...] = ()
    callables: tuple[str, ...] = ()
    rules: frozenset[str] = frozenset()
    functions: frozenset[str] = frozenset()
    variables: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    kinds: frozenset[Kind] = frozenset()
    times: int = 5
    most: int = 12
    asked: Asked = field(default_factory=Asked)


@dataclass(frozen=True, slots=True)
class Confirmed:
    """Everything.

    :param source: what was read; None: no source was given.
    :param unreached: places for which there is nothing to run, with the reason.
    :param callables: how many were tried.
    """

    results: tuple[Result, ...]
    source: Source | None
    unreached: tuple[tuple[Place, str], ...]
    callables: int
    python: str
    version: str
    limits: tuple[str, ...] = ()


def confirm(wish: Wish, runner: Runner, progress: Progress = lambda what: None) -> Confirmed:
    """Do it.

    :raises ConfirmError: it cannot be done. :raises ftcheck.audit.rules.NothingError: a path cannot be read.
    """
    source = None
    unreached: list[tuple[Place, str]] = []
    targets: dict[str, list[Reached]] = defaultdict(list)
    limits: list[str] = []
    unreached += [(Place("static", "", 0, "", one), "it cannot be looked up in the source") for one in wish.left_out]
    if wish.sources:
        progress("reading the source")
        source = reaching.read(wish.sources, rules=wish.rules, functions=wish.functions, variables=wish.variables)
        unreached += source.unreached
        limits += source.limits
    known: dict[str, list[tuple[str, str]]] = {}
    if source is not None and source.reached and not wish.callables:
        progress("looking for the callables")
        special = {one.method for one in source.reached}
        known = trying.callables(runner, wish.modules or _located(source, runner), wish.asked.thing, special)
        for reached in source.reached:
            names = [dotted for some in known.values() for dotted, method in some if method == reached.method]
            for name in names[:1] if len({one.rpartition(".")[0] for one in names}) == 1 else names:
                targets[name].append(reached)
            if not names:
                where = ", ".join(known)
                unreached.append((reached.place, f"nothing that {where} shows is the method {reached.method} of its tables"))
    for name in _named(wish, runner):
        reached_all = source.reached if source is not None else ()
        targets[name] = [one for one in reached_all if one.method == name.rpartition(".")[2]] or list(targets.get(name, ()))
    names = list(targets)
    if len(names) > wish.most:
        limits.append(f"{len(names)} callables: the first {wish.most} were tried, --most tries more: {', '.join(names)}")
        names = names[: wish.most]
    results: list[Result] = []
    for number, name in enumerate(names, 1):
        results += _one(name, targets[name], wish, runner, _numbered(progress, f"{number} of {len(names)}"))
    return Confirmed(tuple(results), source, tuple(unreached), len(names), runner.python, runner.version, tuple(limits))


def _located(source: Source, runner: Runner) -> list[str]:
    found = trying.modules(runner, source.modules)
    names = [one for name in source.modules for one in found.get(name, ())]
    if not source.modules:
        raise ConfirmError("no PyInit_ function was read, so the module is not known: name it with --module pkg.module", 2)
    if not names:
        raise ConfirmError(
            f"none of the modules of this source ({', '.join(source.modules)}) is installed for {runner.python}: install it "
            "there, give the folder that it is in with --path, or name it with --module pkg.module"
        )
    return names


def _named(wish: Wish, runner: Runner) -> list[str]:
    """The names that the patterns stand for."""
    patterns = [one for one in wish.callables if any(sign in one for sign in "*?[")]
    modules = [*wish.modules, *(one.rpartition(".")[0] for one in patterns)] if patterns else []
    all_names = [
        dotted for some in trying.callables(runner, list(dict.fromkeys(modules))).values() for dotted, _ in some
    ] if modules else []  # fmt: skip
    found: list[str] = []
    for one in wish.callables:
        matching = fnmatch.filter(all_names, one) if one in patterns else [one]
        if not matching:
            raise ConfirmError(f"{one} matches none of the {len(all_names)} callables of {', '.join(modules)}", 2)
        found += matching
    return list(dict.fromkeys(found))


def _numbered(progress: Progress, which: str) -> Progress:
    return lambda what: progress(f"{which}: {what}")


def _run(runner: Runner, text: str, gil: bool) -> Run:
    return runner.run(text, gil=gil)


def _one(name: str, places: Sequence[Reached], wish: Wish, runner: Runner, progress: Progress) -> list[Result]:
    progress(f"{name}: which arguments it takes")
    tried = trying.attempt(runner, name, wish.asked)
    results = []
    died = [one for one in tried.died if one[1] != "hang"]
    if died:
        said = "; ".join(f"{expression}: {how}" for expression, how in died)
        results.append(Result(Verdict.ALONE, name, f"when it is called once, alone: {said}", tuple(places)))
    chosen = [(one, _about(one, places)) for one in tried.workloads if _wanted(one, places, wish)]
    for workload, about in chosen:
        progress(f"{name}: {workload.kind.words}")
        text = programs.program(workload)
        result = judging.judge(workload, functools.partial(_run, runner, text), times=wish.times)
        results.append(replace(result, places=about))
    left = tuple(one for one in places if not any(one in about for _, about in chosen))
    if (left or not (places or chosen)) and not died:
        kinds = ", ".join(dict.fromkeys(kind for one in left for kind in reaching.kinds_of(one.place.rule)))
        hung = "; ".join(f"{expression} does not end when it is called alone" for expression, _ in tried.died)
        why = hung or tried.why or f"no argument that it takes makes a workload of the kind {kinds or 'asked for'}"
        results.append(Result(Verdict.NOT_CHECKED, name, why, left))
    return results


def _wanted(workload: Workload, places: Sequence[Reached], wish: Wish) -> bool:
    if wish.kinds:
        return workload.kind in wish.kinds
    return not places or bool(_about(workload, places))


def _about(workload: Workload, places: Sequence[Reached]) -> tuple[Reached, ...]:
    """The places that a workload may show."""
    return tuple(
        one
        for one in places
        if workload.kind in reaching.kinds_of(one.place.rule)
        and (workload.kind is not Kind.MUTATED or workload.changes in reaching.containers_of(one.place))
    )

"""One test in several interpreters: what can be run there, and what the outcome means to pytest.

Another interpreter knows nothing of this one: no object can be handed over. So the test's module is imported there again,
from its file, with the ``sys.path`` that pytest has made; the test function is found in it by its name. Fixtures are made
by this interpreter, and conftest files are loaded here only, so a test that uses fixtures cannot be run there, with one
exception: ``tmp_path``, of which each call gets one of its own. Parameters go there as a pickle, each call has a new copy.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import inspect
import pickle
import sys
import unittest
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from _pytest.compat import get_real_func
from _pytest.python import Function, get_direct_param_fixture_func

from ftcheck import interpreter
from ftcheck.coverage import Coverage, counted
from ftcheck.locations import Location
from ftcheck.settings import Settings
from ftcheck.verdicts import FailureGroup, Finding, Verdict

if TYPE_CHECKING:
    from ftcheck.subinterpreters import Failed, Outcome

FOLDERS = ("tmp_path",)
_XUNIT = ("setup_method", "teardown_method", "setup_class", "teardown_class", "setup", "teardown")
_SHOWN = 3


def why_not(item: Function) -> str:
    """Why a test cannot be run in another interpreter; empty: it can."""
    if importlib.util.find_spec("concurrent.interpreters") is None:
        return "this Python has no concurrent.interpreters"
    function = get_real_func(item.obj)  # type: ignore[no-untyped-call]
    if item.cls is not None and issubclass(item.cls, unittest.TestCase):
        return "a unittest.TestCase cannot be run in other interpreters: write it as a function"
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        return "a coroutine cannot be run in other interpreters: call asyncio.run() in a plain function"
    if item.cls is not None and any(hasattr(item.cls, name) for name in _XUNIT):
        return f"{item.cls.__qualname__} has setup and teardown methods, which are not run in other interpreters"
    if any(
        hasattr(item.module, name) for name in ("setup_function", "setup_module", "teardown_function", "teardown_module")
    ):
        return f"{item.module.__name__} has setup and teardown functions, which are not run in other interpreters"
    fixture = next(_fixtures(item), "")
    if fixture:
        return f"uses the fixture {fixture}, made in this interpreter: in another one a test can use parameters and tmp_path"
    if "<locals>" in function.__qualname__:
        return "it is defined within a function: other interpreters find a test by its name in its module"
    unpicklable = [f"{name} ({reason})" for name, reason in _pickled(item)[1].items()]
    if unpicklable:
        return f"parameter {unpicklable[0]} cannot be pickled, so other interpreters cannot have it"
    return ""


def _fixtures(item: Function) -> Iterator[str]:
    """Those that the test relies on: what it names, and what its own module and conftest files have it use.

    Those that an installed plugin has every test use are the plugin's matter.
    """
    info = item._fixtureinfo
    given = {name for name, found in info.name2fixturedefs.items() if found[-1].func is get_direct_param_fixture_func}
    given |= set(FOLDERS)
    named = [*info.argnames, *(name for mark in item.iter_markers("usefixtures") for name in mark.args)]
    yield from (name for name in named if name not in given)
    for name in info.initialnames:
        for definition in info.name2fixturedefs.get(name, ()) if name not in given else ():
            code = getattr(inspect.unwrap(definition.func), "__code__", None)
            file = Path(code.co_filename) if code is not None else None
            if file is not None and (file == item.path or file.name == "conftest.py"):
                yield name


def _pickled(item: Function) -> tuple[dict[str, bytes], dict[str, str]]:
    """The parameters, pickled; and why some cannot be."""
    values: dict[str, bytes] = {}
    wrong: dict[str, str] = {}
    for name, value in getattr(getattr(item, "callspec", None), "params", {}).items():
        try:
            values[name] = pickle.dumps(value)
        except Exception as error:
            wrong[name] = f"{type(error).__name__}: {error}".splitlines()[0]
    return values, wrong


@dataclasses.dataclass(frozen=True, slots=True)
class Seen:
    """What a test's run in several interpreters means.

    :param alone: why the test has to be run as usual instead, in this interpreter.
    :param skipped: why the test skipped itself.
    :param not_checked: why a pass is none.
    :param own_fault: the test fails in the first interpreter already: it may fail in this one as well.
    """

    coverage: Coverage | None = None
    finding: Finding | None = None
    alone: str = ""
    skipped: str = ""
    not_checked: str = ""
    own_fault: bool = False
    output: str = ""


def run(item: Function, settings: Settings, heartbeat: Callable[[int], object]) -> Seen:
    """Run it."""
    from ftcheck import subinterpreters

    assert settings.interpreters is not None
    function = get_real_func(item.obj)  # type: ignore[no-untyped-call]
    names = [item.cls.__qualname__, item.originalname] if item.cls is not None else [item.originalname or function.__name__]
    task = subinterpreters.Task(
        interpreters=settings.interpreters,
        file=str(item.path),
        module=item.module.__name__,
        function=".".join(names),
        parameters=_pickled(item)[0],
        folders=tuple(name for name in FOLDERS if name in item._fixtureinfo.argnames),
        path=tuple(sys.path),
        rounds=settings.rounds,
        seconds=settings.seconds,
        timeout=settings.timeout,
    )
    return judge(item.nodeid, subinterpreters.run(task, heartbeat), settings.timeout)


def judge(test: str, seen: Outcome, timeout: float) -> Seen:
    """The meaning of an outcome."""
    coverage = Coverage(
        threads=seen.interpreters,
        rounds=seen.rounds,
        overlapped=seen.overlapped,
        failed=seen.failed_rounds,
        calls=seen.calls,
        seconds=seen.seconds,
        limit=seen.limit,
        watched=_watched(seen),
        interpreters=seen.interpreters,
    )
    if seen.trouble:
        return Seen(coverage, Finding(Verdict.ERROR, (test,), f"not run in other interpreters: {seen.trouble}"))
    if seen.refused and not seen.crash and not seen.hang:
        names = ", ".join(seen.refused[:_SHOWN]) + (" and others" if len(seen.refused) > _SHOWN else "")
        verb = "does" if len(seen.refused) == 1 else "do"
        return Seen(alone=f"{names} {verb} not support loading in subinterpreters", output=seen.output)
    verdict, headline, detail = _what(seen, timeout)
    if verdict is None:
        not_checked = f"no two interpreters overlapped in any of {seen.rounds} rounds" if not seen.overlapped else ""
        return Seen(coverage, skipped=seen.skipped, not_checked=not_checked, output=seen.output)
    groups = tuple(_groups(seen.failed))
    number = seen.rounds if (seen.crash or seen.hang) and seen.during.startswith("round") else 0
    finding = Finding(verdict, (test,), headline, groups=groups, coverage=coverage, detail=detail, round=number)
    own_fault = verdict is Verdict.FAILURE and 1 in seen.alone
    return Seen(coverage, finding, own_fault=own_fault, output=seen.output)


def _what(seen: Outcome, timeout: float) -> tuple[Verdict | None, str, str]:
    """Verdict, headline and detail."""
    of = f"{seen.interpreters} interpreters"
    shared = _shared(seen)
    if seen.crash:
        how = f"the process ended with {seen.crash}" if seen.crash.startswith("status") else seen.crash
        return Verdict.CRASH, f"{how} in {seen.during} of {of}", _joined(seen.stacks, shared)
    if seen.hang:
        return Verdict.HANG, f"{seen.during} of {of} was not over after {timeout:g} s", _joined(seen.stacks, shared)
    if seen.not_imported:
        last = seen.not_imported.strip().splitlines()[-1]
        return Verdict.ERROR, f"its module cannot be imported in another interpreter: {last}", seen.not_imported.rstrip()
    if not seen.failed:
        return None, "", ""
    first = _groups(seen.failed)[0].headline
    texts = _joined(*dict.fromkeys(_located(one) for one in seen.failed[:_SHOWN]), shared)
    if seen.leaks:
        later = ", ".join(map(str, seen.alone))
        what = f"passes in the first interpreter and fails in a later one ({later} of {seen.interpreters}): {first}"
        return Verdict.FAILURE, what, texts
    if seen.alone:
        everywhere = len(seen.alone) == seen.interpreters
        where = (
            f"every one of {of}" if everywhere else f"interpreter {', '.join(map(str, seen.alone))} of {seen.interpreters}"
        )
        return Verdict.FAILURE, f"fails in {where}, each alone: {first}", texts
    return Verdict.FAILURE, f"{seen.failed_rounds} of {seen.rounds} rounds in {of} at once: {first}", texts


def _joined(*texts: str) -> str:
    return "\n\n".join(text.rstrip() for text in texts if text.strip())


def _located(one: Failed) -> str:
    when = f"round {one.round}" if one.round else "alone"
    return f"--- interpreter {one.interpreter}, {when} ---\n{one.text.rstrip()}"


def _shared(seen: Outcome) -> str:
    """What of the process the interpreters were seen to share."""
    if not seen.statics:
        return ""
    return "static variables that all interpreters share:\n" + "\n".join(f"  {one}" for one in seen.statics)


def _watched(seen: Outcome) -> tuple[str, ...]:
    return (*_gil(seen), *_static_memory(seen))


def _gil(seen: Outcome) -> tuple[str, ...]:
    """Each interpreter has its own, so it keeps none of the others from running."""
    if not seen.gil or not interpreter.free_threaded_build():
        return ()
    return (f"GIL on in {len(seen.gil)} of {seen.interpreters} of them",)


def _static_memory(seen: Outcome) -> tuple[str, ...]:
    if seen.watched < 0:
        return ("static variables not looked at",)
    if not seen.watched:
        return ()
    looked = f"static variables of {counted(seen.watched, 'extension module')} looked at"
    if not seen.statics:
        return (looked,)
    names = ", ".join(one.partition(" (")[0] for one in seen.statics[:_SHOWN])
    more = f" and {len(seen.statics) - _SHOWN} more" if len(seen.statics) > _SHOWN else ""
    return (f"{looked}: {names}{more} shared and written",)


def _groups(failed: Sequence[Failed]) -> Sequence[FailureGroup]:
    """Failures of the same kind at the same line as one, the most frequent first."""
    buckets: dict[tuple[str, str, int], list[Failed]] = {}
    for one in failed:
        buckets.setdefault((one.kind, one.file, one.line), []).append(one)
    groups = [
        FailureGroup(
            kind=bucket[0].kind,
            message="\n".join(bucket[0].message.splitlines()[:12]) or f"in `{bucket[0].source}`",
            phase="body",
            count=len(bucket),
            threads=tuple(sorted({one.interpreter - 1 for one in bucket})),
            rounds=tuple(sorted({one.round for one in bucket})),
            location=Location(bucket[0].file, bucket[0].line, bucket[0].function, bucket[0].source)
            if bucket[0].file
            else None,
        )
        for bucket in buckets.values()
    ]
    return sorted(groups, key=lambda group: -group.count)

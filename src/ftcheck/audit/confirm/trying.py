"""Which callables the installed modules have, and which workloads there are for each.

Each callable is tried alone in a process of its own before threads call it. An argument that kills the process, or that does
not come back, is left out the next time; that it did so is a result of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ftcheck.audit.confirm.running import Runner
from ftcheck.audit.confirm.words import ConfirmError, Kind, Workload

_TRIES, _TRIAL_SECONDS = 4, 20.0


@dataclass(frozen=True, slots=True)
class Asked:
    """What the user gives where guessing does not do.

    :param arguments: of the call, as Python source: ``"shared, indent=2"``; None: guess.
    :param thing: makes the object of a method; empty: guess.
    """

    threads: int = 4
    seconds: float = 1.0
    arguments: str | None = None
    thing: str = ""


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of trying a callable alone.

    :param workloads: for each kind that is possible.
    :param died: expressions at which the process died, or hung, with how.
    :param why: why there is no workload, or none of some kind.
    """

    workloads: tuple[Workload, ...] = ()
    died: tuple[tuple[str, str], ...] = ()
    why: str = ""


def modules(runner: Runner, names: Sequence[str]) -> dict[str, list[str]]:
    """Dotted names of the modules whose last parts are known, as far as they are installed."""
    said, _ = runner.ask("locate", names=list(names))
    return {one["name"]: one["found"] for one in said if one["kind"] == "located"}


def callables(
    runner: Runner, names: Sequence[str], thing: str = "", special: Iterable[str] = ()
) -> dict[str, list[tuple[str, str]]]:
    """Of each module its callables: the dotted name, and the name in the method table.

    :param thing: makes an object, whose methods are taken in too: its module may have no name for its type.
    :param special: names of attributes, and of methods for slots (``__next__``), that are taken in too.
    :raises ConfirmError: a module cannot be imported.
    """
    found: dict[str, list[tuple[str, str]]] = {}
    for name in names:
        said, ended = runner.ask("list", _TRIAL_SECONDS * 3, modules=[name], special=sorted(special),
                                 thing=thing if name == names[-1] else "")  # fmt: skip
        for one in said:
            if one["kind"] == "missing" and one["module"] == thing:
                raise ConfirmError(f"--object {thing}: {one['why']}", 2)
            if one["kind"] == "missing":
                raise ConfirmError(
                    f"{name} cannot be imported by {runner.python}: {one['why']}. Install it there, give the folder that it "
                    "is in with --path, or another interpreter with --python"
                )
            if one["kind"] == "callables":
                found[one["module"]] = [(dotted, method) for dotted, method in one["found"]]
        if not said or said[-1]["kind"] != "end":
            raise ConfirmError(f"importing {name} ended its process ({ended.how}): ftcheck audit says more")
    return found


def attempt(runner: Runner, name: str, asked: Asked) -> Tried:
    """Try a callable alone, with all arguments that are guessed, or that were given."""
    died: list[tuple[str, str]] = []
    for _ in range(_TRIES):
        said, ended = runner.ask(
            "try",
            _TRIAL_SECONDS,
            callable=name,
            skip=[expression for expression, _ in died],
            arguments=asked.arguments,
            thing=asked.thing,
        )
        missing = next((one for one in said if one["kind"] == "missing"), None)
        if missing is not None:
            return Tried(why=f"{missing['module']}: {missing['why']}")
        done = next((one for one in said if one["kind"] == "accepted"), None)
        if done is not None:
            refused = [one for one in said if one["kind"] == "refused"]
            return Tried(tuple(_workloads(name, done, asked)), tuple(died), _why(done, refused))
        calling = [one["expression"] for one in said if one["kind"] == "calling"]
        if not calling:
            return Tried(why=f"the process that imports it ended before anything was called ({ended.how})")
        died.append((calling[-1], ended.how))
    return Tried(died=tuple(died), why="each call that was tried ended its process")


def _why(done: Mapping[str, Any], refused: Sequence[Mapping[str, Any]]) -> str:
    if done["own"] or done["mutated"]:
        return ""
    last = f"; the last: {refused[-1]['expression']}: {refused[-1]['why']}" if refused else ""
    what = f"none of {len(refused)} calls was accepted{last}"
    return f"{what}. Give --arguments, and --object for a method"


def _workloads(name: str, done: Mapping[str, Any], asked: Asked) -> list[Workload]:
    common = {"callable": name, "module": done["module"], "threads": asked.threads, "seconds": asked.seconds}
    found = []
    for kind, container, call in done["mutated"]:
        found.append(Workload(Kind.MUTATED, calls=(call,), container=container, changes=kind, thing=done["thing"], **common))
    if done["thing"]:
        calls = tuple(dict.fromkeys([*done["own"], *done["methods"]]))
        if done["own"]:
            found.append(Workload(Kind.OBJECT, calls=calls, thing=done["thing"], **common))
    if done["own"]:
        reads = [one for one in done["own"] if not one.startswith("setattr(")] or done["own"]
        best = next((one for one in reads if re.search(r"\bn\b", one)), reads[0])
        found.append(Workload(Kind.FIRST, calls=(done["own"][0],), thing=done["thing"], **common))
        found.append(Workload(Kind.OWN, calls=(best,), thing=done["thing"], **common))
    return found

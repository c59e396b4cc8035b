"""From a finding in C code to the Python methods that reach it.

Callers are followed upwards until a function stands in a row of a ``PyMethodDef`` or ``PyGetSetDef`` table, or in a slot of
a type for which the interpreter makes a method (``tp_iternext``: ``__next__``). A function that *names* another one counts
as its caller, although it may only put its address somewhere: calls through pointers are common (``ctx->next = f``), and too
many methods cost time, too few a finding. The nearest methods come first. Functions that are reached by other slots only
(``tp_dealloc``) have no method; that is said, and a callable can be named.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ftcheck.audit.confirm import slots
from ftcheck.audit.confirm.words import ConfirmError, Kind, Place, Reached
from ftcheck.audit.rules import RULES, clang_facts, scanning
from ftcheck.audit.rules.scanner.functions import Function
from ftcheck.audit.rules.scanner.graph import Graph
from ftcheck.audit.rules.scanner.project import Unit

_KINDS: Mapping[str, tuple[Kind, ...]] = {
    **dict.fromkeys(("FT101", "FT102", "FT103", "FT104", "FT105", "FT106", "FT107", "FT309"), (Kind.MUTATED, Kind.OBJECT)),
    **dict.fromkeys(("FT302", "FT304"), (Kind.FIRST, Kind.OWN)),
    **dict.fromkeys(("FT301", "FT310", "static"), (Kind.OWN, Kind.FIRST, Kind.OBJECT)),
    **dict.fromkeys(("FT303", "FT401"), (Kind.OWN,)),
    "FT702": (Kind.OBJECT, Kind.OWN, Kind.FIRST),
    **dict.fromkeys(("FT306", "FT307", "FT308"), (Kind.OBJECT, Kind.OWN)),
}
_CYTHON = ".pyx"
"""In Cython code a finding is in the Python function already (one that is ``cdef`` is no callable, which is said)."""
_MOST = 6
"""Methods that are tried for one place, at most; the nearest."""


@dataclass(frozen=True, slots=True)
class Source:
    """What the source says.

    :param reached: places with the methods that reach them; **unreached**: places without, with the reason.
    :param files: how many were read of each language.
    :param modules: last parts of the names of the modules in it (``PyInit_NAME``).
    :param limits: what was cut short.
    """

    reached: tuple[Reached, ...]
    unreached: tuple[tuple[Place, str], ...]
    modules: tuple[str, ...]
    files: tuple[tuple[str, int], ...]
    functions: int
    findings: int
    limits: tuple[str, ...] = ()


def kinds_of(rule: str) -> tuple[Kind, ...]:
    """What threads should do together to see what a rule is about; empty: no workload shows that."""
    return _KINDS.get(rule, ())


def containers_of(place: Place) -> tuple[str, ...]:
    """Which containers a place is about, by its rule and the line of code."""
    if place.rule == "FT107":
        return ("bytearray",)
    if place.rule == "FT103" or "Dict" in place.code:
        return ("dict",)
    if place.rule == "FT106" or "List" in place.code:
        return ("list",)
    return ("dict", "list")


def read(paths: Sequence[Path], *, rules: frozenset[str], functions: frozenset[str], variables: Sequence[str]) -> Source:
    """Look for findings in source files, and for the methods that reach them.

    :param rules: these only, with libclang for those that need it; empty: those of tier A and B that a workload can show.
    :param functions: findings in these only; empty: in all.
    :param variables: static variables instead of findings: each function that names one is a place.
    :raises files.NothingError: a path cannot be read. :raises ConfirmError: libclang is needed, and is not there.
    """
    clang = any(RULES[one].needs == "clang" for one in rules)
    if clang and not clang_facts.available():
        raise ConfirmError(f"{', '.join(sorted(rules))}: this needs libclang: {clang_facts.INSTALL}")
    scanned, project = scanning.examine(paths, clang=clang)
    units, graph = project.units, project.graph
    places = (
        [place for name in variables for place in _naming(units, name)]
        if variables
        else [
            Place(one.rule, one.path, one.line, one.function, one.code)
            for one in scanned.active
            if (one.rule in rules if rules else one.tier != "C")
        ]
    )
    places = [one for one in places if not functions or one.function in functions]
    namers = _namers(graph)
    by_path = {str(unit.path): unit for unit in units}
    reached: list[Reached] = []
    unreached: list[tuple[Place, str]] = []
    limits: list[str] = []
    cython = {Path(one.path).stem for one in places if one.path.endswith(_CYTHON)}
    for place in places:
        if place.path.endswith(_CYTHON) and kinds_of(place.rule) and place.function:
            method = place.function.rpartition(".")[2]
            reached.append(Reached(place, place.function, method, (place.function,)))
            continue
        function = unit.function_at(place.line) if (unit := by_path.get(place.path)) is not None else None
        why = _why_not(place, function)
        found = _upwards(graph, namers, place, function) if function is not None and not why else []
        if len(found) > _MOST:
            limits.append(f"{place}: {len(found)} methods reach it; the nearest {_MOST} are tried")
        reached += found[:_MOST]
        if not found:
            unreached.append((place, why or _only_slots(graph, namers, function)))
    modules = cython | {name.removeprefix("PyInit_") for name in graph.by_name if name.startswith("PyInit_")}
    looked = scanned.looked
    counts = tuple(sorted(looked.files.items()))
    return Source(
        tuple(reached), tuple(unreached), tuple(sorted(modules)), counts, looked.functions, len(places), tuple(limits)
    )


def _why_not(place: Place, function: Function | None) -> str:
    if place.rule == "static" and not place.path:
        return "no function of the source that was read names it"
    if not kinds_of(place.rule):
        return f"threads alone do not show what {place.rule} is about"
    if function is None:
        return "it is in no function of C or C++ code: name a callable with --callable"
    return ""


def _naming(units: Sequence[Unit], name: str) -> list[Place]:
    """The functions that name a variable; or the variable alone, if none does."""
    found = [
        Place("static", str(unit.path), function.line, function.name, name)
        for unit in units
        for function in unit.shape.functions
        if name in function.names
    ]
    return found or [Place("static", "", 0, "", name)]


def _namers(graph: Graph) -> Mapping[Function, Sequence[Function]]:
    """Of each function, those that call or name it."""
    found: dict[Function, list[Function]] = defaultdict(list)
    for unit in graph.units:
        for function in unit.shape.functions:
            for name in sorted(function.names & graph.by_name.keys()):
                other = graph.resolve(unit, name)
                if other is not None and other[1] is not function:
                    found[other[1]].append(function)
    return found


def _upwards(graph: Graph, namers: Mapping[Function, Sequence[Function]], place: Place, start: Function) -> list[Reached]:
    """Breadth first: the nearest methods come first, each C function once, by its first name."""
    found, seen = [], {start}
    waiting: deque[tuple[Function, tuple[str, ...]]] = deque([(start, (start.name,))])
    while waiting:
        function, way = waiting.popleft()
        if name := _name_of(graph, function):
            found.append(Reached(place, function.name, name, way))
            continue
        for caller in namers.get(function, ()):
            if caller not in seen and caller not in graph.init_only:
                seen.add(caller)
                waiting.append((caller, (*way, caller.name)))
    return found


def _name_of(graph: Graph, function: Function) -> str:
    """The name by which Python code reaches a function itself; empty: by none."""
    if methods := graph.methods.get(function):
        return methods[0].name
    if attributes := graph.attributes.get(function):
        return attributes[0]
    return slots.method_of(graph.roles.get(function, ()))


def _only_slots(graph: Graph, namers: Mapping[Function, Sequence[Function]], start: Function | None) -> str:
    if start in graph.init_only:
        return "it runs only while the module is imported, when no other thread has it"
    seen, waiting, roles = set[Function](), [start] if start is not None else [], set[str]()
    while waiting:
        function = waiting.pop()
        if function in seen:
            continue
        seen.add(function)
        roles |= graph.roles.get(function, set())
        waiting += namers.get(function, ())
    named = f"only by slots of types ({', '.join(sorted(roles))})" if roles else "by no method table that was read"
    return f"it is reached {named}: name a callable with --callable"

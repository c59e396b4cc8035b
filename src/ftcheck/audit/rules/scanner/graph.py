"""Who calls whom in one extension, and what the interpreter calls.

From it follows what runs only while the module is imported (:attr:`Graph.init_only`): then no other thread has the module.
Such a function is ``PyInit_NAME``, stands in a ``Py_mod_exec`` or ``Py_mod_create`` slot, is given to ``pthread_once``
or one of its kin, or is called by such functions only. And what runs only while a lock is held
(:attr:`Graph.under_lock`), or while an object is made or unmade, when nobody else has it (:attr:`Graph.making_only`).

A name whose address is taken, in a table or as an argument, can be called by anyone. Calls through pointers are not
followed. Names are looked up in the file itself, then among what is not ``static`` in the others, and in headers.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ftcheck.audit.rules.scanner.calls import Call
from ftcheck.audit.rules.scanner.functions import Function
from ftcheck.audit.rules.scanner.tokens import NAME, STRING

if TYPE_CHECKING:
    from ftcheck.audit.rules.scanner.project import Unit

_INIT = re.compile(r"PyInit_\w+|init_?\w*module\w*|PYBIND11_MODULE|NB_MODULE|BOOST_PYTHON_MODULE|PyModExport_\w+")
_INIT_SLOTS = ("Py_mod_exec", "Py_mod_create")
MAKING = frozenset((
    "tp_new", "tp_init", "tp_alloc", "tp_dealloc", "tp_free", "tp_finalize", "tp_traverse", "tp_clear", "tp_del",
    "m_free", "m_clear", "m_traverse", "bf_releasebuffer",
))  # fmt: skip
"""Slots of functions that run while nobody else has the object."""
_UNMAKES = re.compile(r"\w*(_dealloc|_tp_clear|_traverse|_finalize)")
_ONCE = frozenset(("pthread_once", "call_once", "_PyOnceFlag_CallOnce", "PyOnce_Call", "InitOnceExecuteOnce"))
_ROLE = re.compile(r"(?:Py_)?((?:tp|nb|sq|mp|bf|am)_\w+|m_(?:free|clear|traverse))")


@dataclass(frozen=True, slots=True)
class Method:
    """A row of a ``PyMethodDef`` table.

    :param flags: such as ``METH_VARARGS``.
    """

    name: str
    flags: frozenset[str]


@dataclass(frozen=True, slots=True)
class Site:
    """A place where a function is called."""

    unit: Unit
    function: Function
    call: Call


@dataclass(slots=True)
class Graph:
    """What was found, over all files of the extension.

    :ivar sites: of each function, where it is called.
    :ivar taken: functions whose address is taken.
    :ivar roles: of each function, the slots that it is in, without ``Py_``: ``tp_dealloc``.
    :ivar methods: of each function, the Python method that it is.
    :ivar attributes: of each function, the names in other tables that it stands in, such as those of ``PyGetSetDef``.
    """

    units: tuple[Unit, ...]
    by_name: dict[str, list[tuple[Unit, Function]]] = field(default_factory=lambda: defaultdict(list))
    sites: dict[Function, list[Site]] = field(default_factory=lambda: defaultdict(list))
    taken: set[Function] = field(default_factory=set)
    roles: dict[Function, set[str]] = field(default_factory=lambda: defaultdict(set))
    methods: dict[Function, list[Method]] = field(default_factory=lambda: defaultdict(list))
    attributes: dict[Function, list[str]] = field(default_factory=lambda: defaultdict(list))
    once: set[Function] = field(default_factory=set)
    init_only: frozenset[Function] = frozenset()
    under_lock: frozenset[Function] = frozenset()
    making_only: frozenset[Function] = frozenset()
    resolved: int = 0

    def resolve(self, unit: Unit, name: str) -> tuple[Unit, Function] | None:
        """The function that a name stands for in a file; None: it is not of this extension."""
        return next(iter(self.alternatives(unit, name)), None)

    def alternatives(self, unit: Unit, name: str) -> list[tuple[Unit, Function]]:
        """The same; there are several where a file defines it once in each branch of an ``#if``."""
        candidates = self.by_name.get(name, ())
        own = [one for one in candidates if one[0] is unit]
        others = [one for one in candidates if not one[1].static or one[0].header]
        return own or [one for one in others if one[0] is others[0][0]]

    def is_entry(self, function: Function) -> bool:
        """Whether someone whom we do not see may call it."""
        return function in self.taken or (not self.sites.get(function) and not function.static)


def build(units: Iterable[Unit]) -> Graph:
    """Put the files of an extension together. What depends on locks comes later (:func:`settle`)."""
    graph = Graph(tuple(units))
    for unit in graph.units:
        for function in unit.shape.functions:
            graph.by_name[function.name].append((unit, function))
    for unit in graph.units:
        for function in unit.shape.functions:
            for call in function.calls:
                found = graph.alternatives(unit, call.name)
                graph.resolved += bool(found)
                for _, called in found:
                    graph.sites[called].append(Site(unit, function, call))
        _addresses(graph, unit)
        _methods(graph, unit)
    return graph


def settle(graph: Graph, unlocked: Mapping[Function, frozenset[int]]) -> None:
    """Find what runs at import only, and what runs under a lock only.

    :param unlocked: of each function, the tokens of calls at which no lock is held.
    """
    init = {function for found in graph.by_name.values() for _, function in found if _is_init(graph, function)}
    graph.init_only = _only_from(graph, init, lambda site, inside: site.function in inside)
    making = {function for function, roles in graph.roles.items() if roles and roles <= MAKING}
    making |= {function for function in graph.sites if _UNMAKES.fullmatch(function.name)}
    graph.making_only = _only_from(graph, making, lambda site, inside: site.function in inside)
    graph.under_lock = _only_from(
        graph, set(), lambda site, inside: site.function in inside or site.call.index not in unlocked.get(site.function, ())
    )


def _is_init(graph: Graph, function: Function) -> bool:
    if function.exported:
        return True
    return function in graph.once or bool(graph.roles[function] & set(_INIT_SLOTS)) or bool(_INIT.fullmatch(function.name))


def _only_from(graph: Graph, roots: set[Function], holds: object) -> frozenset[Function]:
    """The largest set of functions all of whose call sites hold, given the set; recursion included."""
    candidates = {one for one in graph.sites if one not in graph.taken and graph.sites[one]} | roots
    assert callable(holds)
    changed = True
    while changed:
        wrong = {
            one for one in candidates - roots if not all(holds(site, candidates) for site in graph.sites[one] if
            site.function is not one)
        }  # fmt: skip
        wrong |= {one for one in candidates - roots if all(site.function is one for site in graph.sites[one])}
        candidates -= wrong
        changed = bool(wrong)
    return frozenset(candidates)


def _addresses(graph: Graph, unit: Unit) -> None:
    code, names = unit.shape.tokens, graph.by_name
    heads = {function.begin: function for function in unit.shape.functions}
    current: Function | None = None
    once = {
        index
        for function in unit.shape.functions
        for call in function.calls
        if call.name in _ONCE
        for span in call.args
        for index in range(*span)
    }
    on_line: dict[int, set[str]] = defaultdict(set)
    for comment in unit.text.comments:
        on_line[comment.line] |= set(_ROLE.findall(comment.text))
    for index, token in enumerate(code):
        if index in heads:
            current = heads[index]
        elif current is not None and index == current.end:
            current = None
        if token.kind != NAME or token.text not in names or (current is None and _is_head(unit, index)):
            continue
        if index + 1 < len(code) and code[index + 1].text == "(":
            continue
        if current is not None and code[index - 1].text in (".", "->"):
            continue
        roles = _roles(unit, index, on_line if current is None else {})
        for _, function in graph.alternatives(unit, token.text):
            if index in once:
                graph.once.add(function)
                continue
            if not roles <= set(_INIT_SLOTS) or not roles:
                graph.taken.add(function)
            graph.roles[function] |= roles


def _is_head(unit: Unit, index: int) -> bool:
    return index in unit.head_names


def _roles(unit: Unit, index: int, on_line: Mapping[int, set[str]]) -> set[str]:
    """The slots that a function is put into at this token: ``{Py_tp_new, f}``, ``.tp_new = f``, or a comment beside it."""
    code, at = unit.shape.tokens, index - 1
    while at > 0 and (code[at].text in ("(", ")", "*", "void", "&") or code[at].kind == NAME) and index - at < 8:
        if code[at].text.startswith("Py_") and _ROLE.fullmatch(code[at].text):
            break
        at -= 1
    before = code[at - 1].text if code[at].text in (",", "=") and at > 0 else code[at].text
    if before in _INIT_SLOTS:
        return {before}
    found = _ROLE.fullmatch(before)
    return {found[1]} if found else set(on_line.get(code[index].line, ()))


def _methods(graph: Graph, unit: Unit) -> None:
    code = unit.shape.tokens
    for index, token in enumerate(code):
        if token.kind != STRING or index == 0 or code[index - 1].text != "{" or code[index + 1].text != ",":
            continue
        depth, at, flags, functions = 1, index + 1, set[str](), list[Function]()
        while at < len(code) and depth and at - index < 60:
            text = code[at].text
            depth += {"{": 1, "}": -1}.get(text, 0)
            if text.startswith("METH_"):
                flags.add(text)
            elif code[at].kind == NAME and text in graph.by_name and (found := graph.resolve(unit, text)):
                functions.append(found[1])
            at += 1
        for function in functions:
            if flags:
                graph.methods[function].append(Method(token.text.strip('"'), frozenset(flags)))
            else:
                graph.attributes[function].append(token.text.strip('"'))

"""The files of one extension, read and put together: what the rules are given.

Names are looked up over all files that are scanned together, so a tree with several extensions in it is one project:
what one of them does with a name that two of them define may be taken for what the other does.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ftcheck.audit.rules.scanner import conditions, functions, graph, lock_names, scopes, structs, tokens, variables
from ftcheck.audit.rules.scanner.calls import Call, Span
from ftcheck.audit.rules.scanner.functions import Function
from ftcheck.audit.rules.scanner.graph import Graph
from ftcheck.audit.rules.scanner.scopes import Scopes
from ftcheck.audit.rules.scanner.tokens import Token
from ftcheck.audit.rules.scanner.variables import Variable

C_SUFFIXES = frozenset((".c", ".h", ".inc"))
CPP_SUFFIXES = frozenset((".cc", ".cpp", ".cxx", ".hpp", ".hh", ".hxx", ".c++", ".ipp", ".tpp"))


@dataclass(slots=True, eq=False)
class Unit:
    """One file of C or C++.

    :ivar path: as it was named. :ivar statics: what is static in functions. :ivar included: another file includes it.
    """

    path: Path
    text: tokens.Text
    compiled: conditions.Compiled
    shape: functions.Shape
    cplusplus: bool
    variables: tuple[Variable, ...]
    statics: tuple[Variable, ...]
    head_names: frozenset[int]
    included: bool = False

    @property
    def header(self) -> bool:
        """Whether it is included by others."""
        return self.included or self.path.suffix in (".h", ".hpp", ".hh", ".hxx", ".inc", ".ipp", ".tpp")

    @property
    def code(self) -> Sequence[Token]:
        """The tokens that are looked at."""
        return self.shape.tokens

    def words(self, span: Span) -> str:
        """The tokens of a span, with nothing between."""
        return "".join(self.code[index].text for index in range(*span))

    def function_at(self, line: int) -> Function | None:
        """The function that this line is in."""
        code = self.code
        for one in self.shape.functions:
            if code[one.head].line <= line <= code[one.end].line:
                return one
        return None


def read(path: Path, source: str) -> Unit:
    """Read one file of C or C++.

    :param source: its text.
    """
    text = tokens.read(source)
    cplusplus = path.suffix in CPP_SUFFIXES or (path.suffix in C_SUFFIXES - {".c"} and _looks_like_cplusplus(text))
    kept = conditions.compiled(text.tokens, cplusplus=cplusplus)
    shape = functions.shape(kept.tokens, source, cplusplus=cplusplus)
    heads = frozenset(index for one in shape.functions for index in range(one.head, one.begin))
    statics = tuple(one for function in shape.functions for one in variables.of_function(shape, function))
    return Unit(path, text, kept, shape, cplusplus, variables.of_file(shape), statics, heads)


def _looks_like_cplusplus(text: tokens.Text) -> bool:
    words = [token.text for token in text.tokens]
    return any(
        (word in ("namespace", "template", "class") and after not in ("=", ";", ",", ")", "."))
        or (word == "std" and after == "::")
        for word, after in itertools.pairwise(words)
    )


class Project:
    """Files that are scanned together."""

    def __init__(self, units: Sequence[Unit]) -> None:
        self.units = tuple(units)
        names = {one.strip('<>"').rpartition("/")[2] for unit in units for one in unit.compiled.includes}
        for unit in units:
            unit.included = unit.path.name in names
        self.graph: Graph = graph.build(self.units)
        macros = {name: body for unit in self.units for name, body in unit.compiled.macros.items()}
        everything = [function for unit in self.units for function in unit.shape.functions]
        self.macros = macros
        self.effects = scopes.effects(macros, everything)
        self.guards = _guards(everything) | {
            name: "lock" for name, body in macros.items() if re.search(r"\b(lock_guard|scoped_lock|unique_lock)\b", body)
        }
        self._scopes: dict[Function, Scopes] = {}
        self._locals: dict[Function, frozenset[str]] = {}
        for unit in self.units:
            for function in unit.shape.functions:
                self._scopes[function] = scopes.of_function(unit.shape, function, self.effects, self.guards)
        unlocked = {
            function: frozenset(call.index for call in function.calls if not self._scopes[function].exclusive(call.index))
            for function in everything
        }
        graph.settle(self.graph, unlocked)

    def scopes(self, function: Function) -> Scopes:
        """What is held where in a function."""
        return self._scopes[function]

    def locals(self, unit: Unit, function: Function) -> frozenset[str]:
        """Names of parameters and variables of a function that are not static."""
        if function not in self._locals:
            self._locals[function] = variables.locals_of(unit.shape, function)
        return self._locals[function]

    def locked(self, function: Function, index: int) -> bool:
        """Whether a lock is held at a token: by the function itself, or by all who call it."""
        return function in self.graph.under_lock or self._scopes[function].exclusive(index)

    def starts_up(self, function: Function) -> bool:
        """Whether it runs only while the module is imported."""
        return function in self.graph.init_only

    @functools.cached_property
    def object_structs(self) -> frozenset[str]:
        """Names of the types that begin with an object's head, and of pointers to them."""
        return structs.of_objects(self.units)

    @functools.cached_property
    def shared_variables(self) -> dict[str, list[tuple[Unit, Variable]]]:
        """Variables of files that all threads share and plain writes change, by name."""
        found: dict[str, list[tuple[Unit, Variable]]] = {}
        for unit in self.units:
            for one in unit.variables:
                if one.shared:
                    found.setdefault(one.name, []).append((unit, one))
        return found

    def variable(self, unit: Unit, function: Function, name: str) -> Variable | None:
        """The static variable that a name in a function stands for, if it is one that can change; else None."""
        for one in unit.statics:
            if one.name == name and one.function is function:
                return one if one.shared else None
        if name in self.locals(unit, function):
            return None
        for owner, one in self.shared_variables.get(name, ()):
            if owner is unit or not one.static or owner.header:
                return one
        return None


def _guards(every: Sequence[Function]) -> dict[str, lock_names.Kind]:
    """Classes whose constructor takes a lock and whose destructor gives it back, and the kind of lock."""
    taking = {one.owner: one for one in every if one.owner and one.name == one.owner and _does(one.calls, "take")}
    giving = {one.owner for one in every if one.owner and one.name == f"~{one.owner}" and _does(one.calls, "give")}
    found: dict[str, lock_names.Kind] = {}
    for name in taking.keys() & giving:
        kinds = [one[1] for call in taking[name].calls if (one := lock_names.direct(call.name)) is not None]
        found[name] = kinds[0] if kinds else "lock"
    return found


def _does(calls: Sequence[Call], what: str) -> bool:
    found = [lock_names.direct(call.name) for call in calls]
    members = {"take": ("lock",), "give": ("unlock",)}[what]
    return any(one is not None and one[0] == what for one in found) or any(
        call.member and call.name in members for call in calls
    )

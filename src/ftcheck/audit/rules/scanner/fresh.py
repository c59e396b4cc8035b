"""Where a container comes from that a function uses: is it one that no other thread can have?

*Fresh* is what this function has just made (``PyDict_New``, ``PySequence_List``, ``PyDict_Copy``, ...) or had made by a
function of the extension that only returns such a one, before it is given to anyone: stored in a field, a static variable or
another container, or handed to a function that may keep it. Keyword dictionaries are made for each call. A parameter of a
static function is what all of its callers pass that hold no lock there.

Everything else may be shared: what the caller passed, a field of an object or of a struct, a static variable, the
result of a call. Text order stands for the flow of control, and a name that is assigned twice is as bad as the worst of
the two.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from ftcheck.audit.rules.scanner.calls import Call, Span
from ftcheck.audit.rules.scanner.expressions import bare, declared_type, expression_end
from ftcheck.audit.rules.scanner.functions import Function
from ftcheck.audit.rules.scanner.makers import BEGINS, CHANGES, KEEPS_ARGUMENT, KWARGS, MAKES, RUNS, SAME
from ftcheck.audit.rules.scanner.project import Project, Unit
from ftcheck.audit.rules.scanner.tokens import NAME

type Kind = Literal["fresh", "private", "argument", "field", "static", "result", "unknown"]

_DEEP = 7
"""Assignments and calls that are followed; what lies further is unknown, and nobody is accused."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value comes from.

    :param what: it as the code names it.
    """

    kind: Kind
    what: str

    @property
    def shared(self) -> bool:
        """Whether another thread may have it."""
        return self.kind not in ("fresh", "private")


_RANK: dict[Kind, int] = {"private": 0, "fresh": 1, "unknown": 2, "result": 3, "argument": 4, "field": 5, "static": 6}


class Origins:
    """Answers for one project."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self._params: dict[tuple[Function, str], Origin | None] = {}
        self._returns: dict[Function, bool | None] = {}
        self._fields: dict[tuple[str, str], Kind] = {}
        self._constants: dict[str, bool] = {}

    def of(self, unit: Unit, function: Function, span: Span, deep: int = 0) -> Origin:
        """Where the value of an expression comes from.

        :param span: its tokens, in that file.
        """
        begin, end = bare(unit, span)
        code = unit.code
        what = unit.words((begin, end))
        if end - begin == 1 and code[begin].kind == NAME:
            return self._name(unit, function, code[begin].text, begin, deep)
        call = next((one for one in function.calls if one.end == end - 1 and one.index >= begin), None)
        if call is not None and (call.index == begin or call.member):
            if call.name in SAME and call.args and deep < _DEEP:
                return self.of(unit, function, call.args[0], deep + 1)
            return Origin(self._call(unit, call, deep), what)
        first = next((index for index in range(begin, end) if code[index].text in ("->", ".", "[")), begin)
        while first > begin and code[first].kind != NAME:
            first -= 1  # over the parenthesis of a cast
        if first < end - 1 and code[first].kind == NAME and code[first + 1].text != "(":
            root = code[first].text
            if self.project.variable(unit, function, root) is not None:
                return Origin("static", what)
            if (set_before := self._set_before(unit, function, what, begin, deep)) is not None:
                return Origin(set_before, what)
            if not any(code[index].text in ("->", ".") for index in range(begin, end)):
                return Origin("unknown", what)  # an item of an array
            if deep < _DEEP and self._name(unit, function, root, first, deep + 1).kind == "fresh":
                return Origin("fresh", what)
            if end - begin == 3 and self._is_helper(unit, function, root):
                return Origin(self._assigned(self._type_of(unit, function, root), code[end - 1].text, deep + 1), what)
            if code[end - 2].text in ("->", ".") and self._constant(code[end - 1].text, deep + 1):
                return Origin("private", what)
            return Origin("field", what)
        return Origin("unknown", what)

    def _set_before(self, unit: Unit, function: Function, what: str, before: int, deep: int) -> Kind | None:
        """``fresh``, if the function has just put such a one into this very field or item; else None."""
        code, found = unit.code, None
        for index in range(function.begin, before):
            if code[index].text != "=" or deep >= _DEEP:
                continue
            start = index
            while code[start - 1].text not in (";", "{", "}", "(", ")", "=", ",", "else", ":") and start > function.begin:
                start -= 1
            if unit.words((start, index)) == what:
                found = self.of(unit, function, (index + 1, expression_end(unit, index + 1, function.end)), deep + 1).kind
        return "fresh" if found == "fresh" else None

    def _is_helper(self, unit: Unit, function: Function, name: str) -> bool:
        """Whether a variable is, or points to, a struct that is no Python object and no module's state: as a rule one
        call's."""
        graph = self.project.graph
        first = function.params[0].name if function.params else ""
        if name in ("self", "op") or (name == first and (function in graph.methods or graph.roles.get(function))):
            return False  # an object, whatever its struct is called
        named = self._type_of(unit, function, name)
        return (
            bool(named) and named not in self.project.object_structs and "state" not in named.lower().replace("_state_t", "")
        )

    def _type_of(self, unit: Unit, function: Function, name: str) -> str:
        """The name of the struct that a variable is, or points to; empty: it cannot be seen."""
        words = next((one.type for one in function.params if one.name == name), "") or declared_type(unit, function, name)
        return next((word for word in words.split() if word not in ("struct", "const", "*", "volatile", "static")), "")

    def _constant(self, field: str, deep: int) -> bool:
        """Whether a container in a field of an object is the extension's own, and nothing changes it or hands it out.

        Nothing in the text: calls that change a container in a field, or variable, of this name; member tables; ``return``.
        """
        if field not in self._constants:
            self._constants[field] = False
            kinds = {one.kind for one in self._values_of("", field, deep)}
            if kinds and not kinds & {"argument", "field", "static", "result"}:
                self._constants[field] = not any(self._changed(unit, field) for unit in self.project.units)
        return self._constants[field]

    def _changed(self, unit: Unit, field: str) -> bool:
        code = unit.code
        for index, token in enumerate(code):
            if token.text == field and code[index - 1].text == "," and code[index + 1].text == ")":
                return True  # offsetof(T, field)
            if token.text == field and code[index - 1].text in ("->", "."):
                back = index - 1
                while code[back].kind == NAME or code[back].text in ("->", ".", "(", "*"):
                    if code[back].text in ("return", "Py_NewRef", "Py_XNewRef", "Py_INCREF", "Py_XINCREF"):
                        return True
                    back -= 1
        return any(
            CHANGES.fullmatch(call.name)
            and call.args
            and re.fullmatch(rf"(.*(->|\.))?{field}", unit.words(bare(unit, call.args[0])))
            for function in unit.shape.functions
            for call in function.calls
        )

    def _assigned(self, struct: str, field: str, deep: int) -> Kind:
        """The worst of what is assigned to that field of that struct, anywhere; unknown where nothing is."""
        if deep >= _DEEP:
            return "unknown"
        if (struct, field) not in self._fields:
            self._fields[struct, field] = "unknown"
            kinds = [one.kind for one in self._values_of(struct, field, deep)]
            self._fields[struct, field] = max(kinds, key=_RANK.__getitem__) if kinds else "unknown"
        return self._fields[struct, field]

    def _values_of(self, struct: str, field: str, deep: int) -> Iterator[Origin]:
        """What is assigned to a field; of structs of that name, or of all where it is empty."""
        for unit in self.project.units:
            code = unit.code
            for function in unit.shape.functions:
                if field not in function.names:
                    continue
                for index in range(function.begin, function.end):
                    if code[index].text == field and code[index - 1].text in ("->", ".") and code[index + 1].text == "=":
                        if struct and self._type_of(unit, function, code[index - 2].text) not in ("", struct):
                            continue
                        end = expression_end(unit, index + 2, function.end)
                        if unit.words((index + 2, end)) not in ("NULL", "0", "nullptr"):
                            yield self.of(unit, function, (index + 2, end), deep)

    def _call(self, unit: Unit, call: Call, deep: int) -> Kind:
        if MAKES.fullmatch(call.name):
            return "fresh"
        found = self.project.graph.resolve(unit, call.name)
        if found is not None and deep < _DEEP and self._returns_fresh(*found, deep + 1):
            return "fresh"
        return "result"

    def _name(self, unit: Unit, function: Function, name: str, index: int, deep: int) -> Origin:
        if self.project.variable(unit, function, name) is not None:
            return Origin("static", name)
        sources = list(self._sources(unit, function, name, index, deep))
        if any(one.name == name for one in function.params):
            sources.append(self._parameter(unit, function, name, deep))
        if any(call.name in BEGINS and call.index < index and call.args and unit.words(bare(unit, call.args[0])) == name
               for call in function.calls):  # fmt: skip
            return Origin("fresh", name)
        if not sources:
            return Origin("unknown", name)
        worst = max(sources, key=lambda one: _RANK[one.kind])
        if worst.kind == "fresh" and self._escapes(unit, function, name, index, deep):
            return Origin("unknown", name)
        return Origin(worst.kind, name if worst.kind in ("argument", "unknown") else worst.what)

    def _sources(self, unit: Unit, function: Function, name: str, before: int, deep: int) -> Iterator[Origin]:
        if deep >= _DEEP:
            return
        code = unit.code
        for index in range(function.begin, before):
            if code[index].text != name or code[index].kind != NAME or code[index - 1].text in (".", "->"):
                continue
            after = code[index + 1].text
            if after == "=":
                end = expression_end(unit, index + 2, function.end)
                words = unit.words((index + 2, end))
                if words not in ("NULL", "0", "nullptr") and not index + 2 <= before < end:
                    yield self.of(unit, function, (index + 2, end), deep + 1)
            elif code[index - 1].text == "&" and after in (",", ")"):
                stored = self._stored(unit, function, index)
                if stored is not None:
                    yield stored

    def _stored(self, unit: Unit, function: Function, index: int) -> Origin | None:
        """What a call stores where its argument points to; None: nothing else than was there."""
        around = [one for one in function.calls if one.index < index < one.end]
        name = around[-1].name if around else ""
        if name.endswith("_Resize") or "CRITICAL_SECTION" in name:
            return None
        if name.startswith(("PyArg_", "_PyArg_")):
            return Origin("argument", unit.code[index].text)
        return Origin("result" if name.startswith(("Py", "_Py")) else "unknown", unit.code[index].text)

    def _parameter(self, unit: Unit, function: Function, name: str, deep: int) -> Origin:
        key = (function, name)
        if key in self._params:
            return self._params[key] or Origin("unknown", name)  # None: asked for while it is being found
        self._params[key] = None
        found = self._passed(unit, function, name, deep)
        if found.kind == "unknown":
            del self._params[key]  # another way to it may be shorter
        else:
            self._params[key] = found
        return found

    def _passed(self, unit: Unit, function: Function, name: str, deep: int) -> Origin:
        graph = self.project.graph
        position = next(number for number, one in enumerate(function.params) if one.name == name)
        if KWARGS.fullmatch(name) and position >= 1:
            return Origin("private", name)
        sites = graph.sites.get(function, [])
        if graph.is_entry(function) or not sites:
            return Origin("argument", name)
        if deep >= _DEEP:
            return Origin("unknown", name)
        open_sites = [
            one for one in sites if one.function is not function and not self.project.locked(one.function, one.call.index)
        ]
        found = [
            self.of(site.unit, site.function, site.call.args[position], deep + 1)
            for site in open_sites
            if position < len(site.call.args)
        ]
        if not found:
            return Origin("argument" if open_sites else "private", name)
        worst = max(found, key=lambda one: _RANK[one.kind])
        return Origin(worst.kind, name)

    def _returns_fresh(self, unit: Unit, function: Function, deep: int) -> bool:
        if function in self._returns:
            return bool(self._returns[function])
        self._returns[function] = None
        code, kinds = unit.code, list[Kind]()
        for index in range(function.begin, function.end):
            if code[index].text == "return" and code[index + 1].text != ";":
                end = expression_end(unit, index + 1, function.end)
                if unit.words((index + 1, end)) not in ("NULL", "0", "nullptr"):
                    kinds.append(self.of(unit, function, (index + 1, end), deep).kind)
        self._returns[function] = bool(kinds) and all(one == "fresh" for one in kinds)
        return bool(self._returns[function])

    def _escapes(self, unit: Unit, function: Function, name: str, before: int, deep: int) -> bool:
        """Whether it is given to anyone in the function's text before that token."""
        code = unit.code
        for index in range(function.begin, before):
            if code[index].text != name or code[index].kind != NAME or code[index - 1].text in (".", "->"):
                continue
            back = index - 1
            while code[back].text in (")", "*", "PyObject", "(") and index - back < 6:
                back -= 1
            if code[back].text == "=" and code[index + 1].text in (";", ","):
                target = code[back - 1].text
                if code[back - 2].text in ("->", ".") or target == "]" or code[back - 2].text == "*":
                    return True
                if self.project.variable(unit, function, target) is not None:
                    return True
        return any(
            self._kept(unit, call, position, deep)
            for call in function.calls
            if call.index < before
            for position, span in enumerate(call.args)
            if call.end < before and unit.words(bare(unit, span)) == name
        )

    def _kept(self, unit: Unit, call: Call, position: int, deep: int) -> bool:
        if call.name in KEEPS_ARGUMENT:
            return position in KEEPS_ARGUMENT[call.name]
        if RUNS.fullmatch(call.name):
            return True
        if call.name.startswith(("Py", "_Py")):
            return False
        found = self.project.graph.resolve(unit, call.name)
        if found is None or position >= len(found[1].params) or deep >= _DEEP:
            return found is None and not call.name.isupper()
        name = found[1].params[position].name
        return bool(name) and self._escapes(found[0], found[1], name, found[1].end, deep + 1)

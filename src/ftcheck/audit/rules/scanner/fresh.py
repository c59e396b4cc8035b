"""Where a container comes from that a function uses: is it one that no other thread can have?

*Fresh* is what this function has just made (``PyDict_New``, ``PySequence_List``, ``PyDict_Copy``, ...) or had made by a
function of the extension that only returns such a one, before it is given to anyone: stored in a field, a static variable or
another container, or handed to a function that may keep it. Keyword dictionaries are made for each call. A parameter of a
static function is what all of its callers pass that hold no lock there.

Everything else may be shared: what the caller passed, a field of an object or of a struct, a static variable, the result of a
call. Text order stands for the flow of control, and a name that is assigned twice is as bad as the worst of the two.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from ftcheck.audit.rules.scanner.functions import Call, Function, Span
from ftcheck.audit.rules.scanner.project import Project, Unit
from ftcheck.audit.rules.scanner.tokens import NAME

type Kind = Literal["fresh", "private", "argument", "field", "static", "result", "unknown"]

_MAKES = re.compile(
    r"Py(List|Dict|Tuple|Set|FrozenSet|Unicode|ODict|Slice|Cell|Long|Float)_New|PySequence_(List|Tuple|Concat|Repeat|GetSlice)|"
    r"PyDict_(Copy|Keys|Values|Items)|PyMapping_(Keys|Values|Items)|PyList_(AsTuple|GetSlice)|PyTuple_(Pack|GetSlice)|"
    r"Py_BuildValue|PyObject_Dir|PyUnicode_(Split|RSplit|Splitlines|Partition|RPartition|From\w+|Decode\w*)|"
    r"Py(Bytes|ByteArray)_From\w+|_PyList_FromArraySteal|PyList_FromArraySteal|_PyTuple_FromArray\w*|PyStructSequence_New|"
    r"_?PyObject_(GC_)?N(ew|EW)_?(Var|VAR)?|(c|m|re)alloc|Py(Mem|Object)_(Raw)?(Malloc|Calloc|MALLOC)|PyMem_(New|NEW)|PyType_GenericAlloc|tp_alloc|PyType_GenericNew|tp_new|PyThreadState_GetDict|"
    r"PyEval_GetFrame(Locals|Globals|Builtins)|_PyDict_NewPresized|PyErr_NewException\w*|PyModule_New\w*|"
    r"PyUnicode_(Concat|Join|Replace|Format|Substring|As\w+String)|PyNumber_(Long|Float)|PyObject_(Str|Repr|ASCII|Bytes)"
)
_KEEPS_ARGUMENT: dict[str, tuple[int, ...]] = {
    "PyList_Append": (1,), "PyList_SetItem": (2,), "PyList_SET_ITEM": (2,), "PyList_Insert": (2,), "PyTuple_SetItem": (2,),
    "PyTuple_SET_ITEM": (2,), "PyDict_SetItem": (2,), "PyDict_SetItemString": (2,), "PyDict_SetDefault": (2,),
    "PyDict_SetDefaultRef": (2,), "PyObject_SetAttr": (2,), "PyObject_SetAttrString": (2,), "PyObject_SetItem": (2,),
    "PyModule_AddObject": (2,), "PyModule_AddObjectRef": (2,), "PyModule_Add": (2,), "PySet_Add": (1,), "PySequence_SetItem": (2,),
    "PyCapsule_New": (0,), "PyWeakref_NewRef": (0,), "PyStructSequence_SetItem": (2,), "PyStructSequence_SET_ITEM": (2,),
    "PyCell_Set": (1,), "PyCell_SET": (1,), "PyContextVar_Set": (1,), "PySys_SetObject": (1,), "PyList_SetSlice": (3,),
    "Py_XSETREF": (1,), "Py_SETREF": (1,), "_PyType_SetAttr": (2,), "PyIter_Send": (1,), "PyErr_SetObject": (1,),
}  # fmt: skip
"""Functions that store one of their arguments where others find it; which one."""
_RUNS = re.compile(r"Py(Object_(Call|Vectorcall)\w*|Eval_Call\w*|_?PyObject_(Call|Vectorcall)\w*|Iter_Next|Object_GetIter)|Py_BuildValue|"
                   r"PyTuple_Pack")  # fmt: skip
"""Functions that give all of their arguments to other code."""
_KWARGS = re.compile(r"kw|kws|kwds|kwargs|kwarg|keywds|keywords|_?kwnames|kwargs_?dict|named_?args")
_BEGINS = frozenset(("PyObject_Init", "PyObject_InitVar", "PyObject_INIT", "PyObject_INIT_VAR"))
"""Functions that make an object of memory."""
_SAME = frozenset(("PySequence_Fast", "Py_NewRef", "Py_XNewRef"))
"""Functions that give back their first argument, or may."""
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
        self._fields: dict[str, Kind] = {}

    def of(self, unit: Unit, function: Function, span: Span, deep: int = 0) -> Origin:
        """Where the value of an expression comes from.

        :param span: its tokens, in that file.
        """
        begin, end = _bare(unit, span)
        code = unit.code
        what = unit.words((begin, end))
        if end - begin == 1 and code[begin].kind == NAME:
            return self._name(unit, function, code[begin].text, begin, deep)
        call = next((one for one in function.calls if one.end == end - 1 and one.index >= begin), None)
        if call is not None and (call.index == begin or call.member):
            if call.name in _SAME and call.args and deep < _DEEP:
                return self.of(unit, function, call.args[0], deep + 1)
            return Origin(self._call(unit, call, deep), what)
        if any(code[index].text in ("->", ".", "[") for index in range(begin, end)) and code[begin].kind == NAME:
            root = code[begin].text
            if self.project.variable(unit, function, root) is not None:
                return Origin("static", what)
            if (set_before := self._set_before(unit, function, what, begin, deep)) is not None:
                return Origin(set_before, what)
            if not any(code[index].text in ("->", ".") for index in range(begin, end)):
                return Origin("unknown", what)  # an item of an array
            if deep < _DEEP and self._name(unit, function, root, begin, deep + 1).kind == "fresh":
                return Origin("fresh", what)
            if end - begin == 3 and self._is_helper(unit, function, root):
                return Origin(self._assigned(code[end - 1].text, deep + 1), what)
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
                found = self.of(unit, function, (index + 1, _expression_end(unit, index + 1, function.end)), deep + 1).kind
        return "fresh" if found == "fresh" else None

    def _is_helper(self, unit: Unit, function: Function, name: str) -> bool:
        """Whether a variable is, or points to, a struct that is no Python object and no module's state: as a rule one call's."""
        words = next((one.type for one in function.params if one.name == name), "") or _declared_type(unit, function, name)
        named = [word for word in words.split() if word not in ("struct", "const", "*", "volatile", "static")]
        return bool(named) and not set(named) & self.project.object_structs and "state" not in words.lower().replace("_state_t", "")

    def _assigned(self, field: str, deep: int) -> Kind:
        """The worst of what is assigned to a field of this name, anywhere; unknown where nothing is."""
        if deep >= _DEEP:
            return "unknown"
        if field not in self._fields:
            self._fields[field] = "unknown"
            kinds = [one.kind for one in self._values_of(field, deep)]
            self._fields[field] = max(kinds, key=_RANK.__getitem__) if kinds else "unknown"
        return self._fields[field]

    def _values_of(self, field: str, deep: int) -> Iterator[Origin]:
        for unit in self.project.units:
            code = unit.code
            for function in unit.shape.functions:
                if field not in function.names:
                    continue
                for index in range(function.begin, function.end):
                    if code[index].text == field and code[index - 1].text in ("->", ".") and code[index + 1].text == "=":
                        end = _expression_end(unit, index + 2, function.end)
                        if unit.words((index + 2, end)) not in ("NULL", "0", "nullptr"):
                            yield self.of(unit, function, (index + 2, end), deep)

    def _call(self, unit: Unit, call: Call, deep: int) -> Kind:
        if _MAKES.fullmatch(call.name):
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
        if any(call.name in _BEGINS and call.index < index and call.args and unit.words(_bare(unit, call.args[0])) == name
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
                end = _expression_end(unit, index + 2, function.end)
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
        if _KWARGS.fullmatch(name) and position >= 1:
            return Origin("private", name)
        sites = graph.sites.get(function, [])
        if graph.is_entry(function) or not sites:
            return Origin("argument", name)
        if deep >= _DEEP:
            return Origin("unknown", name)
        open_sites = [one for one in sites if one.function is not function and not self.project.locked(one.function, one.call.index)]
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
                end = _expression_end(unit, index + 1, function.end)
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
            if call.end < before and unit.words(_bare(unit, span)) == name
        )

    def _kept(self, unit: Unit, call: Call, position: int, deep: int) -> bool:
        if call.name in _KEEPS_ARGUMENT:
            return position in _KEEPS_ARGUMENT[call.name]
        if _RUNS.fullmatch(call.name):
            return True
        if call.name.startswith(("Py", "_Py")):
            return False
        found = self.project.graph.resolve(unit, call.name)
        if found is None or position >= len(found[1].params) or deep >= _DEEP:
            return found is None and not call.name.isupper()
        name = found[1].params[position].name
        return bool(name) and self._escapes(found[0], found[1], name, found[1].end, deep + 1)


def _declared_type(unit: Unit, function: Function, name: str) -> str:
    """The words before a local variable where it is declared: ``TypeContext *``."""
    code = unit.code
    for index in range(function.begin + 1, function.end):
        if code[index].text == name and code[index + 1].text in ("=", ";", ",", "{") and code[index].kind == NAME:
            back = index - 1
            while code[back].text in ("*", "const"):
                back -= 1
            if code[back].kind == NAME and code[back - 1].text in ("{", "}", ";", "struct", "const", ":", ")"):
                return f"{code[back].text} *"
    return ""


def _bare(unit: Unit, span: Span) -> Span:
    """Without casts, parentheses around it, and ``&``."""
    begin, end = span
    code = unit.code
    while begin < end:
        if code[begin].text == "&":
            begin += 1
        elif code[begin].text in ("_PyObject_CAST", "_PyList_CAST", "_PyDict_CAST", "Py_NewRef", "Py_XNewRef") and end - begin > 3:
            begin, end = begin + 2, end - 1
        elif code[begin].text == "(":
            close = _close(unit, begin, end)
            if close == end - 1:
                begin, end = begin + 1, end - 1
            elif _is_cast(unit, begin, close):
                begin = close + 1
            else:
                break
        else:
            break
    return begin, end


def _is_cast(unit: Unit, begin: int, close: int) -> bool:
    inside = unit.code[begin + 1 : close]
    return bool(inside) and all(token.kind == NAME or token.text == "*" for token in inside)


def _close(unit: Unit, index: int, end: int) -> int:
    depth = 0
    for at in range(index, end):
        depth += {"(": 1, ")": -1}.get(unit.code[at].text, 0)
        if depth == 0:
            return at
    return end - 1


def _expression_end(unit: Unit, index: int, limit: int) -> int:
    depth = 0
    while index < limit:
        text = unit.code[index].text
        if text in ("(", "[", "{"):
            depth += 1
        elif text in (")", "]", "}"):
            depth -= 1
            if depth < 0:
                return index
        elif depth == 0 and text in (";", ","):
            return index
        index += 1
    return index

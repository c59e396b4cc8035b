"""Static variables of C and C++: those of files, and ``static`` ones in functions.

A variable matters to the rules if it can change and is one for all threads: not ``const``, not atomic, not thread-local, no
lock, and no table that only the interpreter fills in (``PyMethodDef``, ``PyModuleDef``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ftcheck.audit.rules.scanner.calls import Span, split
from ftcheck.audit.rules.scanner.functions import Function, Shape
from ftcheck.audit.rules.scanner.tokens import NAME, STRING, Token

_NOT_VARIABLES = frozenset((
    "typedef", "using", "template", "friend", "extern", "return", "goto", "namespace", "static_assert",
    "_Static_assert", "class", "import", "operator", "throw", "case", "default", "else", "delete", "public",
    "private", "protected", "requires", "concept",
))  # fmt: skip
_WITH_ARGUMENTS = ("__attribute__", "_Alignas", "alignas", "Py_ALIGNED", "__declspec", "PyDoc_STRVAR")
_LOCKS = re.compile(
    r"PyMutex|PyThread_type_lock|pthread_(mutex|rwlock|once|spinlock|cond)\w*|mtx_t|once_flag|(\w+_)?mutex|"
    r"_PyOnceFlag|atomic_flag|SRWLOCK|CRITICAL_SECTION|ft_mutex|condition_variable\w*|sem_t|\w*[mM]utex\w*|\w*[sS]pin[lL]ock\w*"
)
_TABLES = frozenset((
    "PyMethodDef", "PyModuleDef", "PyMemberDef", "PyGetSetDef", "PyModuleDef_Slot", "PyType_Slot", "PyType_Spec",
    "PyStructSequence_Desc", "PyStructSequence_Field",
))  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Variable:
    """A static variable.

    :param type: the words before its name, **init**: those after ``=``; both with blanks between.
    :param function: the function that it is local to; None: it is the file's.
    :param index: of the token of its name.
    """

    name: str
    type: str
    init: str
    line: int
    index: int
    static: bool
    array: bool
    pointer: bool
    const: bool
    atomic: bool
    thread_local: bool
    lock: bool
    table: bool
    function: Function | None = None

    @property
    def shared(self) -> bool:
        """It can change, by plain writes, and all threads have the same one."""
        return not (self.const or self.atomic or self.thread_local or self.lock or self.table)

    @property
    def object(self) -> bool:
        """It is a pointer to a Python object."""
        return "PyObject" in self.type.split() and self.pointer


def of_file(shape: Shape) -> tuple[Variable, ...]:
    """The variables that are declared outside functions, static or not (those of classes only if static)."""
    return tuple(one for span in shape.declarations for one in _declared(shape.tokens, span))


def of_function(shape: Shape, function: Function) -> tuple[Variable, ...]:
    """The ``static`` variables in a function."""
    if "static" not in function.names:
        return ()
    found: list[Variable] = []
    for index in range(function.begin + 1, function.end):
        if shape.tokens[index].text == "static" and shape.tokens[index - 1].text in ("{", "}", ";", ":"):
            end = _statement_end(shape.tokens, index, function.end)
            found += _declared(shape.tokens, (index, end), function)
    return tuple(found)


def locals_of(shape: Shape, function: Function) -> frozenset[str]:
    """Names of its parameters and, as far as can be seen without types, of its variables that are not static."""
    names = {one.name for one in function.params if one.name}
    code = shape.tokens
    for index in range(function.begin + 1, function.end):
        token = code[index]
        if token.kind != NAME or code[index + 1].text not in ("=", ";", ",", "[", ")", ":", "{", "("):
            continue
        back = index - 1
        while code[back].text in ("*", "&", "&&", "const", "restrict", "volatile"):
            back -= 1
        before = code[back]
        if before.text.endswith(("_THREADS", "CRITICAL_SECTION")):
            continue  # a macro that needs no semicolon
        typed = (before.kind == NAME and before.text not in _NOT_TYPES) or before.text == ">"
        if (typed and code[back - 1].text not in ("->", ".") and _begins(code, back, function.begin)) or (
            before.text == "," and _in_declaration(code, back, function.begin, names)
        ):
            names.add(token.text)
    return frozenset(names)


_NOT_TYPES = frozenset(("return", "goto", "else", "case", "sizeof", "throw", "delete", "new", "in", "not", "and", "or"))
_TYPE_WORDS = frozenset((
    "const", "volatile", "unsigned", "signed", "struct", "union", "enum", "long", "short", "register", "constexpr",
    "typename",
))  # fmt: skip


def _begins(code: Sequence[Token], index: int, begin: int) -> bool:
    """Whether the type that ends at this token begins a statement, and no ``static`` is before it."""
    depth = 0
    while index > begin:
        text = code[index].text
        if text == ">":
            depth += 1
        elif text == "<":
            depth -= 1
        elif depth == 0 and text in ("{", "}", ";", "(", ":", ")"):
            return True
        elif text == "static" or (depth == 0 and code[index].kind != NAME and text not in ("::", "*", "&")):
            return False
        index -= 1
    return True


def _in_declaration(code: Sequence[Token], index: int, begin: int, names: set[str]) -> bool:
    """Whether the comma separates declarators: the statement declares a name that is known already."""
    depth = 0
    while index > begin:
        text = code[index].text
        if text in (")", "]", "}"):
            depth += 1
        elif text in ("(", "[", "{"):
            depth -= 1
            if depth < 0:
                return False
        elif depth == 0 and text == ";":
            break
        index -= 1
    first, second = code[index + 1], code[index + 2]
    if first.kind != NAME or first.text in _NOT_TYPES or first.text == "static":
        return False
    after = index + 2
    while code[after].text in ("*", "const") or code[after].text in _TYPE_WORDS or code[after - 1].text in _TYPE_WORDS:
        after += 1
    return code[after].kind == NAME and code[after].text in names and (second.kind == NAME or second.text == "*")


def _statement_end(code: Sequence[Token], index: int, limit: int) -> int:
    depth = 0
    while index < limit:
        text = code[index].text
        if text in ("(", "[", "{"):
            depth += 1
        elif text in (")", "]", "}"):
            depth -= 1
        elif text == ";" and depth <= 0:
            break
        index += 1
    return index


def _declared(code: Sequence[Token], span: Span, function: Function | None = None) -> Iterator[Variable]:
    begin, end = span
    words = [code[index].text for index in range(begin, end)]
    if not words or words[0] in _NOT_VARIABLES or "typedef" in words or "operator" in words:
        return
    parts = list(_parts(code, span))
    kind: list[str] = []
    for number, part in enumerate(parts):
        found = _declarator(code, part)
        if found is None:
            return
        index, array, pointer, init = found
        before = [code[at].text for at in range(part[0], index)]
        if number == 0:
            kind = [word for word in before if word not in ("*", "(")]
            typed = [word for word in kind if word not in ("static", "inline", "struct", "union", "enum", "const", "::")]
            if not any(word[0].isalpha() or word[0] == "_" for word in typed) and not (
                "struct" in kind and array | bool(init)
            ):
                return
        stars = before.count("*")
        constant = "constexpr" in kind or (before[-1:] == ["const"] if stars else "const" in kind and not pointer)
        text = " ".join(kind)
        yield Variable(
            code[index].text,
            text,
            init,
            code[index].line,
            index,
            "static" in kind,
            array,
            pointer,
            constant,
            any(word == "_Atomic" or word.startswith("atomic_") or word in ("atomic", "atomic_ref") for word in kind),
            any("thread_local" in word.lower() or word in ("__thread", "Py_tss_t") for word in kind),
            any(_LOCKS.fullmatch(word) for word in kind),
            any(word in _TABLES for word in kind),
            function,
        )


def _parts(code: Sequence[Token], span: Span) -> Iterator[Span]:
    """The declarators: split at commas that are in no brackets, those of templates included."""
    begin = -1
    for start, stop in split(code, *span):
        begin = start if begin < 0 else begin
        words = [code[at].text for at in range(begin, stop)]
        value = words.index("=") if "=" in words else len(words)
        if words[:value].count("<") > words[:value].count(">") + 2 * words[:value].count(">>"):
            continue
        yield begin, stop
        begin = -1


def _declarator(code: Sequence[Token], part: Span) -> tuple[int, bool, bool, str] | None:
    """(index of the name, is it an array, a pointer, its initial value); None: this declares no variable."""
    begin, end = part
    name, array, pointer, depth, index = -1, False, False, 0, begin
    while index < end:
        text = code[index].text
        if text in _WITH_ARGUMENTS and index + 1 < end and code[index + 1].text == "(":
            index = _matching(code, index + 1, end)
        elif text == "(":
            if index + 2 < end and code[index + 1].text == "*":
                at = index + 2
                while at < end and code[at].text in ("*", "const", "volatile"):
                    at += 1
                if at < end and code[at].kind == NAME and code[at + 1].text in (")", "["):
                    return at, code[at + 1].text == "[", True, _after(code, _matching(code, index, end), end)
            return None
        elif text == "{":
            close = _matching(code, index, end)
            if name >= 0 and code[index - 1].text not in ("struct", "union", "enum") and close == end - 1:
                return (name, array, pointer, _text(code, index, end)) if not _is_struct(code, begin, index) else None
            index = close
            name = -1
        elif text == "<":
            depth += 1
        elif text == ">":
            depth -= 1
        elif depth == 0 and text == "[":
            array = True
            index = _matching(code, index, end)
        elif depth == 0 and text == "=":
            break
        elif depth == 0 and text == "*":
            pointer = True
        elif depth == 0 and text == ":":
            if index > begin and code[index - 1].text in ("public", "private", "protected"):
                return None
            break  # a bit field
        elif depth == 0 and code[index].kind == NAME and text not in ("const", "volatile", "static"):
            name = index
        elif code[index].kind == STRING:
            return None
        index += 1
    if name < 0 or (name == begin and code[begin].line and not _follows_comma(code, begin) and not pointer):
        return None
    return name, array, pointer, _after(code, index - 1, end)


def _is_struct(code: Sequence[Token], begin: int, end: int) -> bool:
    return any(code[index].text in ("struct", "union", "enum", "class") for index in range(begin, end))


def _follows_comma(code: Sequence[Token], index: int) -> bool:
    return index > 0 and code[index - 1].text == ","


def _matching(code: Sequence[Token], index: int, end: int) -> int:
    depth = 0
    while index < end:
        if code[index].text in ("(", "[", "{"):
            depth += 1
        elif code[index].text in (")", "]", "}"):
            depth -= 1
            if depth == 0:
                return index
        index += 1
    return end - 1


def _after(code: Sequence[Token], index: int, end: int) -> str:
    for at in range(index, end):
        if code[at].text == "=":
            return _text(code, at + 1, end)
    return ""


def _text(code: Sequence[Token], begin: int, end: int) -> str:
    return " ".join(code[index].text for index in range(begin, min(end, begin + 40)))

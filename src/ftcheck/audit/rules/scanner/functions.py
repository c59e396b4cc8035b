"""Where functions begin and end in C and C++, with their parameters and the calls that they make.

Braces are matched, not a grammar followed. Macros with half a brace inside, such as ``Py_BEGIN_CRITICAL_SECTION``, do
no harm, because nothing is expanded. Macros that leave a brace in the *text* do: then a function would go on to the end
of the file. It is ended at the first closing brace in column 0 instead, and how often that was done is counted.

Where both branches of a condition are kept, each begins at the depth that the first one begins with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ftcheck.audit.rules.scanner.calls import KEYWORDS, Call, Span, calls_in, split
from ftcheck.audit.rules.scanner.tokens import BRANCH, DIRECTIVE, NAME, Token

_QUALIFIERS = frozenset(("__attribute__", "__declspec", "noexcept", "throw", "requires", "_Alignas", "alignas", "Py_ALIGNED",
                         "__asm__", "asm", "Py_DEPRECATED", "decltype"))  # fmt: skip
"""What has parentheses beside a declarator and is none."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter.

    :param name: empty where it has none, or is declared unused.
    """

    type: str
    name: str


@dataclass(frozen=True, slots=True, eq=False)
class Function:
    """A function with a body.

    :param begin: index of the opening brace, **end**: of the closing one.
    :param head: index of the first token of the declaration.
    :param exported: it is declared with ``PyMODINIT_FUNC``: the interpreter calls it to import the module.
    :param owner: the class, of a member function; else empty.
    """

    name: str
    owner: str
    line: int
    static: bool
    params: tuple[Parameter, ...]
    head: int
    begin: int
    end: int
    calls: tuple[Call, ...]
    names: frozenset[str]
    exported: bool = False

    @property
    def qualified(self) -> str:
        """``Class::name``, or the name."""
        return f"{self.owner}::{self.name}" if self.owner else self.name


@dataclass(frozen=True, slots=True)
class Shape:
    """A file's functions, and what lies between them.

    :param tokens: without the marks of branches.
    :param depth: of braces, before each token.
    :param declarations: the statements that are in no function.
    :param recovered: functions that were ended at a brace in column 0.
    """

    tokens: Sequence[Token]
    depth: Sequence[int]
    functions: tuple[Function, ...]
    declarations: tuple[Span, ...]
    recovered: int


def shape(tokens: Sequence[Token], source: str, *, cplusplus: bool) -> Shape:
    """Find the functions.

    :param tokens: of the branches that are looked at (:func:`~.conditions.compiled`).
    """
    code, depth = _depths(tokens)
    return _Shaper(code, depth, source, cplusplus).run()


def _depths(tokens: Sequence[Token]) -> tuple[list[Token], list[int]]:
    code: list[Token] = []
    depths: list[int] = []
    stack: list[list[int]] = []  # of each open condition: the depth before it, and after its first branch
    depth = 0
    add, note = code.append, depths.append
    for token in tokens:
        text = token.text
        if token.kind == BRANCH:
            if text == "if":
                stack.append([depth])
            elif stack:
                stack[-1].append(depth)
                depth = stack[-1][0] if text == "else" else stack.pop()[1]
            continue
        add(token)
        note(depth)
        if text == "{":
            depth += 1
        elif text == "}":
            depth -= 1
    return code, depths


class _Shaper:
    def __init__(self, code: list[Token], depth: list[int], source: str, cplusplus: bool) -> None:
        self.code, self.depth, self.source, self.cplusplus = code, depth, source, cplusplus
        self.functions: list[Function] = []
        self.declarations: list[Span] = []
        self.recovered = 0

    def run(self) -> Shape:
        code, index, start = self.code, 0, 0
        owners: list[str] = []  # of the scopes that are open: the class's name, or nothing
        while index < len(code):
            text = code[index].text
            if text == ";":
                if not (owners and owners[-1]) or any(self.code[at].text == "static" for at in range(start, index)):
                    self.declarations.append((start, index))  # in a class: not what each object has
                start = index + 1
            elif text == "}":
                start = index + 1
                if owners:
                    owners.pop()
            elif text == "{":
                kind, name = self._kind(start, index)
                if kind == "scope":
                    owners.append(name)
                    start = index + 1
                else:
                    end = self._close(index, recover=kind == "function")
                    if kind == "function":
                        self._function(start, index, end, name, owners[-1] if owners else "")
                        start = end + 1
                    index = end
            elif (code[index].kind == DIRECTIVE and start == index) or (
                text == ":" and index > start and code[index - 1].text in ("public", "private", "protected")
            ):
                start = index + 1
            index += 1
        return Shape(code, self.depth, tuple(self.functions), tuple(self.declarations), self.recovered)

    def _kind(self, start: int, brace: int) -> tuple[str, str]:
        """``function``, ``scope`` (what is in it is looked at as if it were outside) or ``data``; and its name."""
        words = [self.code[index].text for index in range(start, brace)]
        head = words[: words.index("(")] if "(" in words else words
        if "=" in head and "operator" not in head:
            return "data", ""
        name = self._name(start, brace)
        if name:
            return "function", name
        if "enum" in words:
            return "data", ""
        if "namespace" in words or (words[:1] == ["extern"] and len(words) == 2):
            return "scope", ""
        kinds = [index for index, word in enumerate(words) if word in ("class", "struct", "union")]
        if self.cplusplus and kinds and not {"typedef", "static"} & set(words):
            after = [word for word in words[kinds[-1] + 1 :] if word[0].isalpha() or word[0] in "_:"]
            return "scope", after[0] if after and after[0] != ":" else "?"
        return "data", ""

    def _name(self, start: int, brace: int) -> str:
        """The name of the function whose body begins there; empty: it is no function."""
        group = self._parameters(start, brace)
        if group is None:
            return ""
        name = self.code[group[0] - 1]
        if name.kind == NAME and name.text not in KEYWORDS:
            before = self.code[group[0] - 2].text if group[0] - 2 >= start else ""
            return f"~{name.text}" if before == "~" else name.text
        if any(self.code[index].text == "operator" for index in range(start, group[0])):
            return "operator"
        back = group[0] - 1
        if name.text == ")":  # INIT_MODULE(name)(void): a macro makes the name
            while back > start and self.code[back].text != "(":
                back -= 1
            if back > start and self.code[back - 1].kind == NAME and self.code[back + 1].text != "*":
                return self.code[back - 1].text
        return ""

    def _parameters(self, start: int, brace: int) -> Span | None:
        """The indices of the parentheses around the parameters."""
        code, found, depth, opened, index = self.code, None, 0, 0, start
        while index < brace:
            text = code[index].text
            if text == "(":
                if depth == 0:
                    opened = index
                depth += 1
            elif text == ")":
                depth -= 1
                before = code[opened - 1].text if opened > start else ""
                if depth == 0 and before and before not in _QUALIFIERS:
                    found = (opened, index)
                if depth == 0 and before == "" and found is None:
                    return None
            elif text == ":" and depth == 0 and found is not None:
                break  # what a constructor initialises
            elif text == "->" and depth == 0 and found is not None:
                break
            index += 1
        return found

    def _close(self, brace: int, *, recover: bool) -> int:
        code, depth, inside = self.code, self.depth, self.depth[brace] + 1
        for index in range(brace + 1, len(code)):
            if code[index].text == "}" and depth[index] == inside:
                return index
        if recover:
            for index in range(brace + 1, len(code)):
                at = code[index].at
                if code[index].text == "}" and (at == 0 or self.source[at - 1] == "\n"):
                    self.recovered += 1
                    wrong = depth[index] - inside
                    depth[index + 1 :] = [one - wrong for one in depth[index + 1 :]]
                    return index
        return len(code) - 1

    def _function(self, start: int, brace: int, end: int, name: str, owner: str) -> None:
        code = self.code
        group = self._parameters(start, brace)
        assert group is not None
        calls = tuple(calls_in(code, brace, end))
        names = frozenset(code[index].text for index in range(brace, end) if code[index].kind == NAME)
        before = [code[index].text for index in range(start, group[0])]
        if not owner and "::" in before:
            owner = before[len(before) - 1 - before[::-1].index("::") - 1]
        self.functions.append(
            Function(
                name, owner, code[group[0] - 1].line, "static" in before or "Py_LOCAL_INLINE" in before,
                self._list(group), start, brace, end, calls, names, "PyMODINIT_FUNC" in before,
            )
        )  # fmt: skip

    def _list(self, group: Span) -> tuple[Parameter, ...]:
        found = tuple(self._parameter(span) for span in split(self.code, group[0] + 1, group[1]))
        return () if found == (Parameter("void", ""),) else found

    def _parameter(self, span: Span) -> Parameter:
        words = [self.code[index].text for index in range(*span)]
        if "=" in words:
            words = words[: words.index("=")]
        if "Py_UNUSED" in words:
            return Parameter(" ".join(words[: words.index("Py_UNUSED")]), "")
        if "*" in words and words[:1] != ["("] and "(" in words and words.index("(") + 1 < len(words):
            at = words.index("(")
            if words[at + 1] == "*":
                return Parameter("function", words[at + 2] if at + 2 < len(words) else "")
        if "[" in words:
            words = [*words[: words.index("[")], "*"] if words.index("[") < 1 else [*words[: words.index("[") - 1], "*",
                                                                                   words[words.index("[") - 1]]  # fmt: skip
        named = len(words) > 1 and (words[-1][0].isalpha() or words[-1][0] == "_")
        return Parameter(" ".join(words[:-1] if named else words), words[-1] if named else "")

"""Python source as the rules see it: what a module's global names are bound to, and which lines a lock covers.

It is :mod:`ast` and nothing else: no import, no type is known. A lock is a ``with`` whose expression names one (``lock``,
``mutex``, ``cond``, ``guard``, ...), or a name that the module binds to ``Lock()``, ``RLock()`` and their kin.
"""

from __future__ import annotations

import ast
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

from ftcheck.audit.rules.scanner.tokens import Comment

_LOCKING = re.compile(r"(?i)lock|mutex|cond(ition)?\b|guard|semaphore|critical_section|synchroni[sz]ed|exclusive")
_LOCKS = frozenset(("Lock", "RLock", "Condition", "Semaphore", "BoundedSemaphore"))
type FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(slots=True, eq=False)
class PythonFile:
    """One file.

    :ivar bound: global names, and the expressions that the module binds to them outside of functions.
    :ivar functions: with their qualified names. :ivar generators: those of them that yield. :ivar calls: how many there are.
    """

    path: Path
    tree: ast.Module
    source: str
    comments: tuple[Comment, ...]
    bound: dict[str, list[ast.expr]] = field(default_factory=dict)
    functions: list[tuple[str, FunctionNode]] = field(default_factory=list)
    classes: set[str] = field(default_factory=set)
    _locked: set[int] = field(default_factory=set)
    calls: int = 0
    generators: frozenset[str] = frozenset()
    _own: dict[int, tuple[ast.AST, ...]] = field(default_factory=dict)

    @property
    def lines(self) -> int:
        """Its number of lines."""
        return len(self.source.splitlines())

    def locked(self, node: ast.AST) -> bool:
        """Whether a lock covers it."""
        return id(node) in self._locked

    def own(self, function: FunctionNode) -> tuple[ast.AST, ...]:
        """The nodes of a function without those of functions and classes in it, in the order of the text."""
        found = self._own.get(id(function))
        if found is None:
            found = self._own[id(function)] = tuple(_own(function))
        return found

    def local_names(self, function: FunctionNode) -> set[str]:
        """Names that are local to a function: its parameters, and what it binds and does not declare global."""
        arguments = function.args
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
        names = {one.arg for one in every if one is not None}
        outer: set[str] = set()
        for node in self.own(function):
            if isinstance(node, ast.Global | ast.Nonlocal):
                outer.update(node.names)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                names.add(node.id)
        return names - outer

    def global_names(self, function: FunctionNode) -> set[str]:
        """Names that a function declares global."""
        return {name for node in self.own(function) if isinstance(node, ast.Global) for name in node.names}


def read(path: Path, source: str) -> PythonFile:
    """Parse a file.

    :raises SyntaxError: it is no Python that this interpreter knows. :raises ValueError: it has null bytes.
    """
    file = PythonFile(path, ast.parse(source), source, tuple(_comments(source)))
    _names(file, file.tree.body)
    _functions(file, file.tree, "")
    locks = {name for name, values in file.bound.items() for value in values
             if isinstance(value, ast.Call) and dotted(value.func).rpartition(".")[2] in _LOCKS}  # fmt: skip
    for node in ast.walk(file.tree):
        file.calls += isinstance(node, ast.Call)
        if isinstance(node, ast.With | ast.AsyncWith) and any(_locks(item.context_expr, locks) for item in node.items):
            for inner in node.body:
                file._locked.update(id(one) for one in ast.walk(inner))
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _acquires(node):
            file._locked.update(id(one) for one in ast.walk(node))
    file.generators = frozenset(
        name
        for name, function in file.functions
        if any(isinstance(node, ast.Yield | ast.YieldFrom) for node in file.own(function))
    )
    return file


def _locks(expression: ast.expr, locks: set[str]) -> bool:
    text = ast.unparse(expression)
    return bool(_LOCKING.search(text)) or text.partition("(")[0] in locks


def _acquires(function: FunctionNode) -> bool:
    decorated = any(_LOCKING.search(ast.unparse(one)) for one in function.decorator_list)
    return decorated or any(
        isinstance(one, ast.Call) and isinstance(one.func, ast.Attribute) and one.func.attr == "acquire"
        for one in ast.walk(function)
    )


def _names(file: PythonFile, body: list[ast.stmt]) -> None:
    for statement in body:
        match statement:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    if isinstance(target, ast.Name):
                        file.bound.setdefault(target.id, []).append(value)
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                file.bound.setdefault(name, []).append(value)
            case ast.ClassDef(name=name):
                file.classes.add(name)
            case ast.If() | ast.Try() | ast.With() | ast.For() | ast.While():
                for inner in ("body", "orelse", "finalbody"):
                    _names(file, getattr(statement, inner, []))
                for handler in getattr(statement, "handlers", []):
                    _names(file, handler.body)
            case _:
                pass


def _functions(file: PythonFile, node: ast.AST, prefix: str) -> None:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            file.functions.append((f"{prefix}{child.name}", child))
            _functions(file, child, f"{prefix}{child.name}.")
        elif isinstance(child, ast.ClassDef):
            _functions(file, child, f"{prefix}{child.name}.")
        else:
            _functions(file, child, prefix)


def _comments(source: str) -> Iterator[Comment]:
    try:
        for token in tokenize.generate_tokens(StringIO(source).readline):
            if token.type == tokenize.COMMENT:
                yield Comment(token.string, token.start[0], token.end[0], not token.line[: token.start[1]].strip())
    except tokenize.TokenError, SyntaxError:
        return


def dotted(node: ast.AST) -> str:
    """``a.b.c`` for such an expression; empty for any other one."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        before = dotted(node.value)
        return f"{before}.{node.attr}" if before else ""
    return ""


def _own(function: FunctionNode) -> Iterator[ast.AST]:
    stack: list[ast.AST] = list(reversed(function.body))
    while stack:
        node = stack.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            stack.extend(reversed(list(ast.iter_child_nodes(node))))

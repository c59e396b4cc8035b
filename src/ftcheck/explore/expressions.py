"""What the source says at an instruction: the line, and by which expression the code calls what it touches.

The interpreter keeps for each instruction the columns of the source from which it was made (PEP 657), so ``self.open[user]``
is not guessed from the line but read at its place. Where there is no source (``exec``, a file that is gone, columns switched
off by ``-X no_debug_ranges``) names of attributes and variables still come from the code object, and all else is named by
function and line.
"""

from __future__ import annotations

import ast
import dis
import linecache
import sys
import textwrap
import types
from dataclasses import dataclass

from ftcheck.verdicts import Location

_LOCK_METHODS = {"acquire", "release", "acquire_lock", "release_lock", "locked"}
_ATTRIBUTES = {"LOAD_ATTR", "STORE_ATTR", "DELETE_ATTR"}
_GLOBALS = {"LOAD_GLOBAL", "STORE_GLOBAL", "DELETE_GLOBAL", "LOAD_NAME", "STORE_NAME", "DELETE_NAME"}
_CELLS = {"LOAD_DEREF", "STORE_DEREF", "DELETE_DEREF"}
_ITEMS = {"BINARY_OP", "STORE_SUBSCR", "DELETE_SUBSCR", "BINARY_SLICE", "STORE_SLICE"}
_ITERATING = {"GET_ITER", "FOR_ITER"}
_COMPARISONS = {"CONTAINS_OP", "COMPARE_OP"}
_LITERALS = (ast.Constant, ast.List, ast.Dict, ast.Set, ast.Tuple)


@dataclass(frozen=True, slots=True)
class Spot:
    """An instruction, in the words of the source.

    :param opcode: its name; empty where it is not known which instruction it is.
    :param text: the whole expression, on one line; empty without a source.
    :param owner: the expression for the object that is touched; empty for a global.
    :param member: what of it: ``.value``, ``[user]``.
    :param callee: of a call: the name of the method or function; empty where it is none.
    :param index: ``member`` is an item that is not given as a constant.
    :param alone: of a call: it has one argument, and is no method.
    """

    place: Location
    opcode: str = ""
    text: str = ""
    owner: str = ""
    member: str = ""
    callee: str = ""
    index: bool = False
    alone: bool = False

    @property
    def is_variable(self) -> bool:
        """It is the variable itself that is touched, not what it holds."""
        return self.opcode in _CELLS

    @property
    def calls_a_lock(self) -> bool:
        """A lock that is used here is the one that this line names, not one that the called function uses."""
        return not self.callee or self.callee in _LOCK_METHODS


class Reader:
    """Reads spots, each once."""

    def __init__(self) -> None:
        self._codes: dict[int, tuple[types.CodeType, dict[int, tuple[dis.Instruction, dis.Instruction | None]]]] = {}
        self._spots: dict[tuple[int, int], Spot] = {}

    def spot(self, code: types.CodeType, offset: int) -> Spot:
        """The instruction of this code object that begins at this offset."""
        found = self._spots.get((id(code), offset))
        if found is None:
            found = self._spots[id(code), offset] = _read(code, *self._instruction(code, offset))
        return found

    def _instruction(self, code: types.CodeType, offset: int) -> tuple[dis.Instruction | None, dis.Instruction | None]:
        if id(code) not in self._codes:
            table: dict[int, tuple[dis.Instruction, dis.Instruction | None]] = {}
            previous = None
            for one in dis.get_instructions(code):
                table[one.offset] = one, previous
                previous = one
            self._codes[id(code)] = code, table  # the code object is kept, so that its id is
        return self._codes[id(code)][1].get(offset, (None, None))


def function_name(code: types.CodeType) -> str:
    """``Counter.increment``; without the functions around it."""
    return code.co_qualname.rpartition("<locals>.")[2]


def _read(code: types.CodeType, at: dis.Instruction | None, previous: dis.Instruction | None) -> Spot:
    line = at.positions.lineno if at is not None and at.positions is not None else None
    line = line or code.co_firstlineno
    source = linecache.getline(code.co_filename, line).strip()
    place = Location(code.co_filename, line, function_name(code), source)
    if at is None:
        return Spot(place)
    text = _segment(code.co_filename, at.positions)
    one_line = " ".join(text.split())
    name = str(at.argval)
    if at.opname in _GLOBALS:
        return Spot(place, at.opname, one_line, "", name)
    if at.opname in _CELLS:
        return Spot(place, at.opname, one_line, name)
    node, parsed = _parse(text)
    unknown = f"<{place.function}, line {line}>"

    def words(part: ast.AST) -> str:
        return " ".join((ast.get_source_segment(parsed, part) or "").split())

    if at.opname in _ATTRIBUTES:
        if isinstance(node, ast.Attribute):
            return Spot(place, at.opname, one_line, words(node.value), f".{node.attr}")  # not mangled, as ``name`` is
        return Spot(place, at.opname, one_line, unknown, f".{name}")
    if at.opname in _ITERATING:
        return Spot(place, at.opname, one_line, one_line or unknown)
    if isinstance(node, ast.Subscript) and at.opname in _ITEMS:
        return Spot(
            place, at.opname, one_line, words(node.value), f"[{words(node.slice)}]", index=not _is_constant(node.slice)
        )
    if isinstance(node, ast.AugAssign) and at.opname == "BINARY_OP":
        return Spot(place, at.opname, one_line, words(node.target))
    if isinstance(node, ast.Compare) and at.opname in _COMPARISONS:
        sides = node.comparators[::-1] if at.opname == "CONTAINS_OP" else [node.left, *node.comparators]
        owner = words(next((one for one in sides if not isinstance(one, _LITERALS)), sides[0]))
        return Spot(place, at.opname, one_line, owner)
    if isinstance(node, ast.Call) and not _enters_or_leaves(at, previous):
        if isinstance(node.func, ast.Attribute) and not _is_module(code, node.func.value):
            return Spot(place, at.opname, one_line, words(node.func.value), callee=node.func.attr)
        if isinstance(node.func, ast.Name) and (method := _method_of(code, node.func.id)):
            return Spot(place, at.opname, one_line, method[0], callee=method[1])
        first = words(node.args[0]) if node.args else unknown
        alone = len(node.args) == 1 and not node.keywords
        return Spot(place, at.opname, one_line, first, callee=words(node.func), alone=alone)
    return Spot(place, at.opname, one_line, one_line or unknown)


def _is_module(code: types.CodeType, node: ast.expr) -> bool:
    """Whether an expression is the name of a module: ``copy.copy(x)`` calls a function and no method."""
    if isinstance(node, ast.Attribute):
        return isinstance(node.value, ast.Name) and f"{node.value.id}.{node.attr}" in sys.modules
    if not isinstance(node, ast.Name) or node.id not in code.co_names:
        return False
    home = next((one for one in list(sys.modules.values()) if _file_of(one) == code.co_filename), None)
    return isinstance(vars(home).get(node.id) if home is not None else None, types.ModuleType)


def _file_of(module: types.ModuleType) -> object:
    namespace = types.ModuleType.__getattribute__(module, "__dict__") if issubclass(type(module), types.ModuleType) else {}
    return namespace.get("__file__")


def _method_of(code: types.CodeType, name: str) -> tuple[str, str] | None:
    """``("self._lock", "acquire")`` where a variable of this function has been set by ``name = self._lock.acquire``."""
    if name not in code.co_varnames:
        return None
    first, last = code.co_firstlineno, max((line for _, _, line in code.co_lines() if line), default=0)
    text = textwrap.dedent("".join(linecache.getline(code.co_filename, line) for line in range(first, last + 1)))
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return None
    set_to = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and any(isinstance(one, ast.Name) and one.id == name for one in node.targets)
    ]
    if len(set_to) != 1 or not isinstance(set_to[0], ast.Attribute):
        return None
    return " ".join((ast.get_source_segment(text, set_to[0].value) or "").split()), set_to[0].attr


def _is_constant(node: ast.expr) -> bool:
    return isinstance(node, (ast.Constant, ast.Slice))


def _enters_or_leaves(at: dis.Instruction, previous: dis.Instruction | None) -> bool:
    """The call of ``__enter__`` or ``__exit__`` for ``with make_lock():`` has the columns of ``make_lock()``."""
    if previous is None:
        return False
    return previous.opname == "LOAD_SPECIAL" or (previous.opname == "LOAD_CONST" and previous.positions == at.positions)


def _segment(file: str, positions: dis.Positions | None) -> str:
    first, last, begin, end = positions or (None, None, None, None)
    if first is None or last is None or begin is None or end is None:
        return ""
    lines = [linecache.getline(file, line).encode() for line in range(first, last + 1)]  # columns count bytes
    if not all(lines):
        return ""
    lines[-1] = lines[-1][:end]
    lines[0] = lines[0][begin:]
    return b"".join(lines).decode(errors="replace")


def _parse(text: str) -> tuple[ast.AST | None, str]:
    """The node of an expression, or of a statement; and the text in which it has its columns."""
    for attempt in (f"({text}\n)", text):
        try:
            statement = ast.parse(attempt).body[0]
        except SyntaxError, IndexError, ValueError:
            continue
        return (statement.value if isinstance(statement, ast.Expr) else statement), attempt
    return None, ""

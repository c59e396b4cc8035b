"""FT601, FT603, FT604, FT605, FT609: Python objects that all threads of a process share."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ftcheck.audit.rules.scanner.python import FunctionNode, PythonFile, dotted
from ftcheck.audit.rules.words import Hit, Rule

_DOC = "CPython, Doc/howto/free-threading-python.rst; Doc/library/threadsafety.rst"

RULES = (
    Rule(
        "FT601",
        "check-then-set",
        "C",
        "a global variable or container is asked for something, and then set, in two steps without a lock",
        "Each step is atomic, the two are not. Two threads both find nothing, and both make it: the work is done "
        "twice, and if "
        "identity matters, or making it has effects, the program is wrong.",
        "A lock around both; dict.setdefault where making it twice does no harm; functools.cache.",
        "if key not in CACHE:\n    CACHE[key] = make(key)\nreturn CACHE[key]",
        "with LOCK:\n    if key not in CACHE:\n        CACHE[key] = make(key)\n    return CACHE[key]",
        "Where both threads would make equal values and nobody minds, it is no flaw. What runs before there are "
        "threads looks the "
        "same.",
        _DOC,
        ("Python",),
    ),
    Rule(
        "FT603",
        "lost-update",
        "B",
        "a global variable, a class attribute or an item of a global container is changed by += without a lock",
        "It reads, adds and writes back. What another thread has written in between is lost.",
        "A lock; itertools.count for numbers that only have to differ; one counter for each thread.",
        "global hits\nhits += 1",
        "with LOCK:\n    hits += 1",
        "Attributes of instances are left out: most are not shared.",
        _DOC,
        ("Python",),
    ),
    Rule(
        "FT604",
        "thread-local-at-import",
        "B",
        "an attribute of threading.local() is set at import",
        "Only the thread that imports the module has it. All others get an AttributeError.",
        "A subclass of threading.local with an __init__, or getattr with a default.",
        "state = threading.local()\nstate.depth = 0",
        "class State(threading.local):\n    depth = 0\nstate = State()",
        "Only names that the module itself binds to threading.local().",
        "CPython, Lib/_threading_local.py",
        ("Python",),
    ),
    Rule(
        "FT605",
        "shared-iterator",
        "B",
        "a global iterator or generator is advanced in a function",
        "A generator that two threads enter raises ValueError. Other iterators may give an item twice, or skip one.",
        "A lock around next(), or an iterator for each thread. itertools.count is fine.",
        "NAMES = iter(names)\ndef name():\n    return next(NAMES)",
        "with LOCK:\n    return next(NAMES)",
        "Only names that the module itself binds to an iterator.",
        "CPython, Doc/howto/free-threading-python.rst, \"Iterators\"",
        ("Python",),
    ),
    Rule(
        "FT609",
        "id-cache",
        "C",
        "a global container is keyed by id()",
        "When the object is gone another one gets its address. Without the GIL objects may live longer, and end in "
        "other threads, so "
        "that it happens at other times than it did.",
        "weakref.WeakKeyDictionary, or the object itself as the key.",
        "SEEN[id(thing)] = result",
        "SEEN = weakref.WeakKeyDictionary()\nSEEN[thing] = result",
        "If the container also keeps the object alive, it is no flaw.",
        "Python Language Reference, id()",
        ("Python",),
    ),
)  # fmt: skip

_CONTAINERS = frozenset(("dict", "list", "set", "defaultdict", "OrderedDict", "Counter", "deque", "WeakValueDictionary",
                         "WeakKeyDictionary", "WeakSet", "ChainMap"))  # fmt: skip
_ITERATORS = frozenset(("iter", "zip", "map", "filter", "enumerate", "reversed", "cycle", "islice", "chain", "product",
                        "permutations", "combinations", "reader", "finditer"))  # fmt: skip


def find(file: PythonFile) -> Iterator[Hit]:
    """Look for them."""
    containers = {name for name, values in file.bound.items() if any(_is_container(value) for value in values)}
    iterators = {name for name, values in file.bound.items() if any(_is_iterator(file, value) for value in values)}
    makes = ("threading.local", "local", "_threading_local.local")
    locals_ = {
        name
        for name, values in file.bound.items()
        for value in values
        if isinstance(value, ast.Call) and dotted(value.func) in makes
    }
    for statement in file.tree.body:
        for target in getattr(statement, "targets", [getattr(statement, "target", None)]):
            if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name) and target.value.id in locals_:
                yield Hit("FT604", file.path, statement.lineno, "", f"only the importing thread has {dotted(target)}")
    for name, function in file.functions:
        hidden = file.local_names(function)
        seen = containers - hidden
        yield from _updates(file, name, function, seen, hidden)
        yield from _checks(file, name, function, seen)
        yield from _lazy(file, name, function)
        for node in file.own(function):
            if isinstance(node, ast.Call) and dotted(node.func) == "next" and node.args and not file.locked(node):
                iterator = dotted(node.args[0])
                if iterator in iterators - hidden:
                    yield Hit("FT605", file.path, node.lineno, name, f"{iterator} is one iterator for all threads")
            keyed = isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store) and _is_id(node.slice)
            if keyed and isinstance(node, ast.Subscript) and dotted(node.value) in seen:
                yield Hit(
                    "FT609", file.path, node.lineno, name, f"{dotted(node.value)} is keyed by an address that is used again"
                )


def _is_id(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and dotted(node.func) == "id"


def _is_container(value: ast.expr) -> bool:
    if isinstance(value, ast.Dict | ast.List | ast.Set | ast.DictComp | ast.ListComp | ast.SetComp):
        return True
    return isinstance(value, ast.Call) and dotted(value.func).rpartition(".")[2] in _CONTAINERS


def _is_iterator(file: PythonFile, value: ast.expr) -> bool:
    if isinstance(value, ast.GeneratorExp):
        return True
    if not isinstance(value, ast.Call):
        return False
    called = dotted(value.func)
    return called.rpartition(".")[2] in _ITERATORS or called in file.generators


def _updates(file: PythonFile, name: str, function: FunctionNode, containers: set[str], hidden: set[str]) -> Iterator[Hit]:
    declared = file.global_names(function)
    for node in file.own(function):
        if not isinstance(node, ast.AugAssign) or file.locked(node):
            continue
        target = node.target
        text = ast.unparse(target)
        first = text.partition(".")[0].partition("[")[0]
        shared = (isinstance(target, ast.Name) and target.id in declared) or (
            isinstance(target, ast.Subscript) and dotted(target.value) in containers
        )
        if isinstance(target, ast.Attribute):
            owner = dotted(target.value)
            klass = owner == "cls" or owner in file.classes - hidden or text.startswith(("self.__class__.", "type(self)."))
            made = [one for one in file.bound.get(owner, []) if isinstance(one, ast.Call)]
            shared = klass or (bool(made) and first not in hidden)
        if shared:
            yield Hit(
                "FT603", file.path, node.lineno, name, f"{ast.unparse(node)[:60]}: an update of another thread gets lost"
            )


def _checks(file: PythonFile, name: str, function: FunctionNode, containers: set[str]) -> Iterator[Hit]:
    """``if key not in CACHE``, ``CACHE.get(key)``, or ``CACHE[key]`` in ``try``; and then ``CACHE[key] = ...``."""
    asked: dict[str, ast.AST] = {}
    for node in file.own(function):
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In | ast.NotIn):
            container = dotted(node.comparators[0])
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get":
            container = dotted(node.func.value)
        elif isinstance(node, ast.Try) and any(_is_key_error(one) for one in node.handlers):
            found = [one for inner in node.body for one in ast.walk(inner)
                     if isinstance(one, ast.Subscript) and isinstance(one.ctx, ast.Load)]  # fmt: skip
            container = next((dotted(one.value) for one in found if dotted(one.value) in containers), "")
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
            container = dotted(node.value)
            if container in asked and not file.locked(node):
                asked.pop(container)
                yield Hit(
                    "FT601", file.path, node.lineno, name, f"{container} is set after it was asked: a lock, or setdefault"
                )
            continue
        else:
            continue
        if container in containers:
            asked[container] = node


def _is_key_error(handler: ast.ExceptHandler) -> bool:
    return handler.type is not None and any(word in ast.unparse(handler.type) for word in ("KeyError", "LookupError"))


def _lazy(file: PythonFile, name: str, function: FunctionNode) -> Iterator[Hit]:
    """``global X``, ``if X is None: X = ...``."""
    declared = file.global_names(function)
    if not declared:
        return
    for node in file.own(function):
        if not isinstance(node, ast.If) or file.locked(node):
            continue
        tested = _unset(node.test) & declared
        for inner in node.body:
            for one in ast.walk(inner):
                stored = isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store) and one.id in tested
                if stored and isinstance(one, ast.Name) and not file.locked(one):
                    tested.discard(one.id)
                    yield Hit(
                        "FT601", file.path, node.lineno, name, f"{one.id} is made when it is first asked for, without a lock"
                    )


def _unset(test: ast.expr) -> set[str]:
    if isinstance(test, ast.BoolOp):
        return {name for one in test.values for name in _unset(one)}
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not) and isinstance(test.operand, ast.Name):
        return {test.operand.id}
    if isinstance(test, ast.Compare) and isinstance(test.left, ast.Name) and isinstance(test.ops[0], ast.Is | ast.Eq):
        return {test.left.id}
    return set()

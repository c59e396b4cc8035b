"""Runs in a child of a candidate interpreter: reads a program's imports, and imports what is not the program's own.

The program's own code is read, not run: the script or package, and each module of it that is imported, are parsed
(:mod:`ast`). What they import from the standard library, from installed packages, and from extension modules is imported
for real, one after the other; a line in the file of results says what is about to be imported and how that went, so that
a crash is known by its name. Whose code it is goes by where it is: neither in the standard library nor installed.

The source of this file is given to the interpreter with ``-c``. It may be an old one, and need not have ftcheck: nothing
but the standard library, and no syntax younger than Python 3.8.

Not seen: what is imported by a name that is computed, by plugins and entry points, and from within C.
"""

from __future__ import annotations

import ast
import importlib
import importlib.machinery
import json
import os
import pkgutil
import sys
import sysconfig
from typing import Any

_LIKE_IMPORT = ("import_module", "__import__")


class Import:
    """An import statement.

    :param required: it is executed whenever the program starts: not in a function, ``try``, ``if`` or ``with``.
    """

    def __init__(self, module: str, names: list[str], place: str, required: bool) -> None:
        self.module, self.names, self.place, self.required = module, names, place, required


def imports_in(tree: ast.AST, package: str, file: str, required: bool) -> list[Import]:
    """Every import in a parsed file, in the order of its lines.

    :param package: what relative imports are relative to.
    :param required: whether the file itself is certainly imported.
    """
    found: list[Import] = []

    def visit(node: ast.AST, sure: bool) -> None:
        place = f"{file}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Import):
            found.extend(Import(alias.name, [], place, sure) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = _absolute(node.module or "", node.level, package)
            if module:
                found.append(Import(module, [alias.name for alias in node.names if alias.name != "*"], place, sure))
        elif isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            first = node.args[0] if node.args else None
            if name in _LIKE_IMPORT and isinstance(first, ast.Constant) and isinstance(first.value, str):
                level = len(first.value) - len(first.value.lstrip("."))
                module = _absolute(first.value.lstrip("."), level, package)
                if module:
                    found.append(Import(module, [], place, False))
        if isinstance(node, ast.If) and _only_for_types(node.test):
            for other in node.orelse:
                visit(other, sure)
            return
        inside = sure and isinstance(node, (ast.Module, ast.ClassDef, ast.Expr, ast.Assign, ast.AnnAssign))
        for child in ast.iter_child_nodes(node):
            visit(child, inside)

    visit(tree, required)
    return found


def _only_for_types(test: ast.AST) -> bool:
    return getattr(test, "id", getattr(test, "attr", "")) == "TYPE_CHECKING"


def _absolute(module: str, level: int, package: str) -> str:
    if not level:
        return module
    parts = package.split(".") if package else []
    if level > len(parts):
        return ""
    base = ".".join(parts[: len(parts) - level + 1])
    return f"{base}.{module}" if module else base


class Walk:
    """Reads a program, file by file.

    :ivar wanted: what is to be imported: (name, where, whether it is required), each name once.
    :ivar read: files that were parsed.
    :ivar unreadable: files that could not be.
    """

    def __init__(self) -> None:
        self.wanted: dict[str, Import] = {}
        self.read: list[str] = []
        self.unreadable: list[str] = []
        self._seen: set[str] = set()
        paths = sysconfig.get_paths()
        # All of a folder that holds the standard library is not ours, but site-packages is within it: the longest counts.
        self._not_own = [os.path.realpath(paths[name]) + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib")]

    def source(self, text: bytes, file: str, package: str, required: bool) -> None:
        """A file, or the code of ``-c``."""
        try:
            tree = ast.parse(text, file)
        except Exception as error:
            self.unreadable.append(f"{file}: {type(error).__name__}: {error}")
            return
        self.read.append(file)
        for one in imports_in(tree, package, file, required):
            self._statement(one)

    def file(self, path: str, package: str, required: bool) -> None:
        """A source file, once."""
        if path in self._seen:
            return
        self._seen.add(path)
        try:
            with open(path, "rb") as file:
                text = file.read()
        except OSError as error:
            self.unreadable.append(f"{path}: {error}")
            return
        self.source(text, path, package, required)

    def module(self, name: str, place: str, required: bool) -> bool:
        """A module by its name, and the packages around it; whether it was found, without running anything."""
        found, path = None, None  # type: Any, Any
        parts = name.split(".")
        for number in range(1, len(parts) + 1):
            whole = ".".join(parts[:number])
            try:
                found = None if whole in sys.builtin_module_names else find(whole, path)
            except Exception:
                found = None
            if found is None or not self._is_own(found):
                self._want(Import(name, [], place, required))
                return found is not None
            if found.origin and found.origin.endswith((".py", ".pyw")):
                package = whole if found.submodule_search_locations is not None else whole.rpartition(".")[0]
                self.file(found.origin, package, required)
            path = found.submodule_search_locations
            if path is None and number < len(parts):
                return False
        return True

    def _statement(self, one: Import) -> None:
        self.module(one.module, one.place, one.required)
        for name in one.names:
            # `from package import name`: a module of that name, if there is one; else it is something in the package.
            if self._is_module(f"{one.module}.{name}"):
                self.module(f"{one.module}.{name}", one.place, one.required)

    def _is_module(self, name: str) -> bool:
        path: Any = None
        found: Any = None
        parts = name.split(".")
        for number in range(1, len(parts) + 1):
            try:
                found = find(".".join(parts[:number]), path)
            except Exception:
                return False
            path = found.submodule_search_locations if found is not None else None
            if found is None or (path is None and number < len(parts)):
                return False
        return found is not None

    def _is_own(self, spec: Any) -> bool:
        if isinstance(spec.loader, importlib.machinery.ExtensionFileLoader):
            return False
        where = spec.origin if spec.has_location else next(iter(spec.submodule_search_locations or ()), "")
        whole = os.path.realpath(where) + os.sep if where else ""
        return bool(where) and not any(whole.startswith(folder) for folder in self._not_own)

    def _want(self, one: Import) -> None:
        known = self.wanted.get(one.module)
        if known is None:
            self.wanted[one.module] = one
        elif one.required and not known.required:
            known.required, known.place = True, one.place


def find(name: str, path: list[str] | None) -> Any:
    """Where a module would be loaded from, as the importer for folders has it; None: it is in none of these.

    Not PathFinder's own method: for a package without ``__init__.py`` that asks for the parent, which is not imported.
    """
    portions: list[str] = []
    for folder in sys.path if path is None else path:
        finder = pkgutil.get_importer(folder)
        spec = finder.find_spec(name) if finder is not None else None
        if spec is not None and spec.loader is not None:
            return spec
        portions += list(spec.submodule_search_locations or ()) if spec is not None else []
    if not portions:
        return None
    spec = importlib.machinery.ModuleSpec(name, None, is_package=True)
    spec.submodule_search_locations = portions
    return spec


def main() -> None:
    """Do what the file named by the last argument says."""
    with open(sys.argv[-1], encoding="utf-8") as file:
        task = json.load(file)
    out = os.open(task["results"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def say(**line: object) -> None:
        os.write(out, json.dumps(line).encode() + b"\n")

    first, *rest = task["words"]
    walk = Walk()
    safe = getattr(sys.flags, "safe_path", False)
    folder = os.path.dirname(os.path.realpath(first)) if not first.startswith("-") else os.getcwd()
    if os.path.isdir(first):
        folder = os.path.abspath(first)
    if not safe:
        sys.path[0] = folder
    sys.argv = ["-c" if first == "-c" else first]
    if first == "-c":
        walk.source(rest[0].encode(), "-c", "", True)
    elif first == "-m":
        name = rest[0]
        walk.module(name, f"-m {name}", True)
        walk.module(f"{name}.__main__", f"-m {name}", True) if walk._is_module(f"{name}.__main__") else None
        main_only = walk.wanted.pop(f"{name}.__main__", None)  # an installed one is read as well: to import it would run it
        if main_only is not None:
            path = _main_of(name)
            if path:
                walk.file(path, name, True)
    elif os.path.isdir(first):
        walk.file(os.path.join(first, "__main__.py"), "", True)
    else:
        walk.file(os.path.abspath(first), "", True)
    say(read=walk.read, unreadable=walk.unreadable, wanted=len(walk.wanted))
    enabled = getattr(sys, "_is_gil_enabled", lambda: True)
    for name, one in list(walk.wanted.items()):
        say(begins=name, at=one.place, required=one.required)
        error = ""
        try:
            importlib.import_module(name)
        except BaseException as raised:
            error = f"{type(raised).__name__}: {raised}".split("\n")[0]
        say(imported=name, at=one.place, required=one.required, error=error, gil=enabled())
    say(done=True, gil=enabled())
    os._exit(0)  # threads that an import has started are not waited for, and exit handlers are not this process's matter


def _main_of(package: str) -> str:
    path: Any = None
    for number in range(1, package.count(".") + 2):
        spec = find(".".join(package.split(".")[:number]), path)
        path = spec.submodule_search_locations if spec is not None else None
    for folder in path or ():
        file = os.path.join(folder, "__main__.py")
        if os.path.isfile(file):
            return file
    return ""


if __name__ == "__main__":
    main()

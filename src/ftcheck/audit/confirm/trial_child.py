"""Runs in a child process: which callables there are, and which arguments each accepts when it is called alone.

It is a program of its own, because the interpreter that is asked may have no ftcheck. It is given orders as JSON and a file
for its answers, one JSON object on each line. Before it calls something it says so: if it dies, the last line is what it
died of.
"""

import importlib
import importlib.machinery
import json
import os
import sys
import types
from collections.abc import Callable
from importlib import metadata
from typing import Any

OWN = ("", "n + 1000", "f'text {n}'", "b'bytes %d' % n", "n + 0.5", "[n, n + 1]", "{'key': n}", "n + 1000, n + 2000",
       "f'text {n}', f'more {n}'", "f'text {n}', n", "n, f'text {n}'", "f'[{n}, 2, 3]'")  # fmt: skip
CONTAINERS = (
    ("dict", "{f'key {i}': f'value {i}' for i in range(64)}"),
    ("dict", "{f'key {i}': i + 1000 for i in range(64)}"),
    ("list", "[f'value {i}' for i in range(64)]"),
    ("list", "[i + 1000 for i in range(64)]"),
    ("bytearray", "bytearray(b'some bytes' * 64)"),
)
SHAPES = ("shared", "shared, 'text'", "'text', shared", "shared, 1000", "1000, shared", "shared, shared")
MAKERS = ("", "[1, 2, 3]", "'text'", "{'key': 1}", "1000", "b'bytes'", "iter([1, 2, 3])", "int")
ENOUGH = 2
SET = ("n + 1000", "f'text {n}'", "[n, n + 1]", "None")
FUNCTIONS = (types.BuiltinFunctionType, types.FunctionType, types.MethodDescriptorType, types.ClassMethodDescriptorType)


def main() -> None:
    with open(sys.argv[2], "a", encoding="utf-8") as answers:

        def say(**words: Any) -> None:
            answers.write(json.dumps(words) + "\n")
            answers.flush()

        with open(sys.argv[1], encoding="utf-8") as file:
            orders = json.load(file)
        sys.path[:0] = orders["path"]
        {"locate": locate, "list": list_all, "try": try_one}[orders["kind"]](say, orders)
        say(kind="end")
    os._exit(0)  # what threads or exit functions of others do now is no answer


def locate(say: Callable[..., None], orders: dict[str, Any]) -> None:
    """The dotted names of extension modules of which only the last part is known."""
    for name in orders["names"]:
        found = set[str]()
        for root in sys.path:
            depth = root.rstrip(os.sep).count(os.sep)
            for folder, folders, files in os.walk(root or "."):
                if folder.count(os.sep) - depth > 6:
                    folders[:] = []
                for suffix in importlib.machinery.EXTENSION_SUFFIXES:
                    if name + suffix in files:
                        inside = os.path.relpath(folder, root or ".")
                        parts = [] if inside == "." else inside.split(os.sep)
                        if all(part.isidentifier() for part in parts):
                            found.add(".".join([*parts, name]))
                folders[:] = [one for one in folders if one.isidentifier()]
        say(kind="located", name=name, found=sorted(found, key=lambda one: (one.count("."), one)))


def list_all(say: Callable[..., None], orders: dict[str, Any]) -> None:
    """The callables of a module: of its own functions, and of its types' methods; with those that are asked for by name."""

    def is_meant(name: str, value: object) -> bool:
        if name in orders["special"] and isinstance(value, (types.WrapperDescriptorType, types.GetSetDescriptorType)):
            return True
        return _is_function(value) and not name.startswith("__")

    for name in [one for each in orders["modules"] for one in _extensions(each)]:
        try:
            module = importlib.import_module(name)
        except BaseException as error:
            say(kind="missing", module=name, why=f"{type(error).__name__}: {error}"[:300])
            continue
        found = []
        for attribute, value in sorted(vars(module).items()):
            if isinstance(value, type) and (value.__module__ or "").partition(".")[0] == name.partition(".")[0]:
                for method, inside in sorted(vars(value).items()):
                    if is_meant(method, inside):
                        found.append([f"{name}.{attribute}.{method}", getattr(inside, "__name__", method)])
            elif _is_function(value) and not attribute.startswith("__") and _own(value, module):
                found.append([f"{name}.{attribute}", getattr(value, "__name__", attribute)])
        say(kind="callables", module=name, found=found)
    if orders["thing"]:
        try:
            kind = _type_of(orders["thing"])
        except Exception as error:
            say(kind="missing", module=orders["thing"], why=f"{type(error).__name__}: {error}"[:300])
            return
        owner = f"{orders['modules'][0]}.{kind.__name__}"
        methods = [one for one, value in sorted(vars(kind).items()) if is_meant(one, value)]
        say(kind="callables", module=orders["thing"], found=[[f"{owner}.{one}", one] for one in methods])


def _type_of(thing: str) -> type:
    """The type of what an expression makes; a module may have no name for it."""
    return type(eval(thing, {name: module for name, module in sys.modules.items() if "." not in name}))


def _is_function(value: object) -> bool:
    return isinstance(value, FUNCTIONS) or type(value).__name__ == "cython_function_or_method"


def _extensions(name: str) -> list[str]:
    """The extension modules of a distribution; or what is no distribution's name itself, a module."""
    found = []
    try:
        for file in metadata.files(name) or ():
            suffix = next((one for one in importlib.machinery.EXTENSION_SUFFIXES if str(file).endswith(one)), None)
            if suffix is not None and "/../" not in f"/{file}":
                found.append(str(file).removesuffix(suffix).replace("/", "."))
    except metadata.PackageNotFoundError:
        pass
    return found or [name]


def _own(value: Any, module: types.ModuleType) -> bool:
    owner = getattr(value, "__module__", None)
    return owner is None or owner == module.__name__ or getattr(value, "__self__", None) is module


def try_one(say: Callable[..., None], orders: dict[str, Any]) -> None:
    """Which calls of one callable raise nothing, alone."""
    parts = orders["callable"].split(".")
    for length in range(len(parts) - 1, 0, -1):
        module = ".".join(parts[:length])
        try:
            importlib.import_module(module)
            break
        except ModuleNotFoundError:
            continue
        except BaseException as error:
            say(kind="missing", module=module, why=f"{type(error).__name__}: {error}"[:300])
            return
    else:
        say(kind="missing", module=parts[0], why="there is no such module")
        return
    top = parts[0]
    scope: dict[str, Any] = {top: sys.modules[top], "n": 0}
    try:
        owner = _type_of(orders["thing"]) if orders["thing"] else eval(".".join(parts[:-1]), scope)
        is_attribute = isinstance(getattr(owner, parts[-1]), types.GetSetDescriptorType)
    except Exception as error:
        say(kind="missing", module=module, why=str(error))
        return
    skip = set(orders["skip"])
    said: dict[str, Any] = {"kind": "accepted", "module": module, "thing": "", "own": [], "mutated": [], "methods": []}

    def accepted(expression: str, **more: Any) -> bool:
        if expression in skip:
            return False
        say(kind="calling", expression=expression)
        try:
            eval(expression, {**scope, **more})
        except Exception as error:
            say(kind="refused", expression=expression, why=f"{type(error).__name__}: {error}"[:200])
            return False
        return True

    target = orders["callable"]
    if isinstance(owner, type):
        makers = [orders["thing"]] if orders["thing"] else [f"{'.'.join(parts[:-1])}({one})" for one in MAKERS]
        said["thing"] = next((one for one in makers if accepted(one)), "")
        if not said["thing"]:
            say(**said)
            return
        scope["thing"] = eval(said["thing"], scope)
        target = f"thing.{parts[-1]}"
    given = orders["arguments"]
    if is_attribute:
        ways = [target, *(f"setattr(thing, {parts[-1]!r}, {value})" for value in (SET if given is None else (given,)))]
        said["own"] = [one for one in ways if accepted(one)][:ENOUGH]
    elif given is None or "shared" not in given:
        for arguments in OWN if given is None else (given,):
            if len(said["own"]) < ENOUGH and accepted(f"{target}({arguments})"):
                said["own"].append(f"{target}({arguments})")
    for kind, container in CONTAINERS if not is_attribute and (given is None or "shared" in given) else ():
        if any(one[0] == kind for one in said["mutated"]):
            continue
        for arguments in SHAPES if given is None else (given,):
            shared = eval(container)
            if accepted(f"{target}({arguments})", shared=shared):
                said["mutated"].append([kind, container, f"{target}({arguments})"])
                break
    if said["thing"] and isinstance(owner, type):
        for method, inside in sorted(vars(owner).items()):
            if _is_function(inside) and not method.startswith("__") and method != parts[-1]:
                for arguments in OWN[:6]:
                    if accepted(f"thing.{method}({arguments})"):
                        said["methods"].append(f"thing.{method}({arguments})")
                        break
    say(**said)


if __name__ == "__main__":
    main()

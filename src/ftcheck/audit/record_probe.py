"""Runs in the interpreter that is to be recorded, and prints what only it knows, as one line of JSON.

Two tasks: ``facts`` (build, folders, distributions) imports nothing but the standard library. ``import`` imports the modules
that it is given, one after the other, and writes a line before and after each; the parent reads from ``-v`` which of them
the interpreter turns the GIL on for. The source is given with ``-c``: the interpreter may be an old one and need not have
ftcheck, so there is no syntax here that is younger than Python 3.8.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any


def facts() -> dict[str, Any]:
    """About this interpreter and what is installed for it."""
    import importlib.metadata
    import platform
    import sysconfig

    folders = [os.path.realpath(path) for path in sys.path if path and os.path.isdir(path)]
    distributions = []
    for one in importlib.metadata.distributions(path=[path for path in sys.path if path]):
        name = one.metadata["Name"]
        if not name:
            continue
        wheel = one.read_text("WHEEL") or ""
        files = [str(one.locate_file(file)) for file in one.files or () if ".so" in file.name]
        distributions.append(
            {
                "name": name,
                "version": one.version,
                "tags": sorted(line[5:].strip() for line in wheel.splitlines() if line.startswith("Tag: ")),
                "files": sorted(os.path.realpath(file) for file in files),
                "listed": one.files is not None,
            }
        )
    value = sysconfig.get_config_var
    return {
        "implementation": sys.implementation.name,
        "version": platform.python_version(),
        "free_threaded": bool(value("Py_GIL_DISABLED")),
        "debug": bool(value("Py_DEBUG")),
        "abiflags": getattr(sys, "abiflags", ""),
        "soabi": value("SOABI") or "",
        "platform": sysconfig.get_platform(),
        "compiler": platform.python_compiler(),
        "executable": sys.executable,
        "folders": list(dict.fromkeys(folders)),
        "base": os.path.realpath(sys.base_prefix),
        "stdlib": os.path.realpath(sysconfig.get_path("stdlib")),
        "builtin": sorted(sys.builtin_module_names),
        "distributions": distributions,
    }


def imports(names: list[str], out: int) -> None:
    """Import these, and write what came of each."""
    import importlib

    for name in names:
        os.write(out, json.dumps({"begins": name}).encode() + b"\n")
        error = ""
        try:
            importlib.import_module(name)
        except BaseException as raised:
            error = "{}: {}".format(type(raised).__name__, raised).split("\n")[0]  # noqa: UP032
        os.write(out, json.dumps({"imported": name, "error": error}).encode() + b"\n")
    os._exit(0)  # threads that an import has started are not waited for


if __name__ == "__main__":
    with open(sys.argv[-1], encoding="utf-8") as file:
        task = json.load(file)
    if "" in sys.path[:1]:
        del sys.path[0]
    descriptor = os.open(task["results"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    if "names" in task:
        imports(task["names"], descriptor)
    else:
        os.write(descriptor, json.dumps(facts()).encode() + b"\n")

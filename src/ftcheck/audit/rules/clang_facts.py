"""What libclang says of types, asked in a child process.

libclang is C++ that reads whatever is given to it; a crash of it, or a file that it never comes to an end with, must
not take the scan with it. So :mod:`~.clang_child` runs in an interpreter of its own, with a time limit, and answers in JSON.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SECONDS = 120
"""For each batch of files."""
_BATCH = 16
INSTALL = "pip install 'pytest-ftcheck[clang]'"


@dataclass(slots=True)
class Facts:
    """What was found out.

    :ivar files: those that were parsed. :ivar failed: those that were not, with the reason.
    :ivar variables: by file, function and its line: names of variables that point to a Python object, and their structs.
    :ivar fields: of each struct, the names of its fields. :ivar atomic: those of them that are atomic or locks.
    """

    files: set[Path] = field(default_factory=set)
    failed: dict[Path, str] = field(default_factory=dict)
    variables: dict[tuple[Path, str, int], Mapping[str, str]] = field(default_factory=dict)
    fields: dict[str, set[str]] = field(default_factory=dict)
    atomic: dict[str, set[str]] = field(default_factory=dict)

    def struct_of(self, path: Path, function: str, line: int, name: str) -> str | None:
        """The struct that a variable of a function points to, if that is a Python object's."""
        return self.variables.get((path, function, line), {}).get(name)


def available() -> bool:
    """Whether libclang's bindings are installed."""
    return importlib.util.find_spec("clang") is not None and importlib.util.find_spec("clang.cindex") is not None


def gather(files: Sequence[tuple[Path, bool]], folders: Iterable[Path]) -> Facts:
    """Ask about files.

    :param files: each with whether it is C++. :param folders: where headers are looked for, besides those of Python.
    """
    facts = Facts()
    arguments = [
        "-ferror-limit=0",
        "-w",
        f"-I{sysconfig.get_path('include')}",
        *(f"-I{folder}" for folder in folders),
        *_builtin(),
        "-DPy_GIL_DISABLED=1",
    ]
    for number in range(0, len(files), _BATCH):
        some = files[number : number + _BATCH]
        asked = {"arguments": arguments, "files": [[str(path.resolve()), cplusplus] for path, cplusplus in some]}
        answer, trouble = _ask(asked)
        by_name = {str(path.resolve()): path for path, _ in files}
        for path, _ in some:
            got = answer.get("files", {}).get(str(path.resolve()))
            if got is None:
                facts.failed[path] = trouble or "libclang gave no answer"
            elif got["error"]:
                facts.failed[path] = got["error"]
            else:
                facts.files.add(path)
        for row in answer.get("functions", ()):
            known = by_name.get(row["file"])
            if known is not None:
                facts.files.add(known)
                facts.variables[known, row["name"], row["line"]] = row["variables"]
        for struct, fields in answer.get("structs", {}).items():
            facts.fields.setdefault(struct, set()).update(fields["all"])
            facts.atomic.setdefault(struct, set()).update(fields["atomic"])
    for path in facts.files & facts.failed.keys():
        del facts.failed[path]
    return facts


def _ask(asked: object) -> tuple[dict[str, Any], str]:
    command = [sys.executable, "-m", "ftcheck.audit.rules.clang_child"]
    source = str(Path(__file__).resolve().parents[3])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([source, os.environ.get("PYTHONPATH", "")])}
    try:
        done = subprocess.run(
            command,
            input=json.dumps(asked),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SECONDS,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {}, f"libclang took more than {SECONDS} seconds"
    try:
        return json.loads(done.stdout), ""
    except ValueError:
        last = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
        return {}, f"libclang's child process failed: {last}"


def _builtin() -> list[str]:
    """Where the compiler keeps its own headers (``stddef.h``): the bindings come without them."""
    try:
        done = subprocess.run(["cc", "-print-file-name=include"], capture_output=True, text=True, timeout=10, check=False)
    except OSError, subprocess.SubprocessError:
        return []
    folder = done.stdout.strip()
    return ["-isystem", folder] if folder and os.path.isdir(folder) else []

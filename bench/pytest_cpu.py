"""CPU time of a whole pytest process, for the comparisons that are about it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path


def cost(
    words: list[str], environment: Mapping[str, str] | None = None, python: str | Path = sys.executable
) -> tuple[float, float]:
    """CPU seconds (user and system) and wall-clock seconds of ``pytest WORDS``, without its cache.

    Bytecode is written whatever this process was told: whoever has installed a plugin has its bytecode.

    :param environment: variables to add.
    :param python: the interpreter, with its environment.
    :raises subprocess.CalledProcessError: pytest did not end with 0.
    """
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    before, began = os.times(), time.perf_counter()
    subprocess.run(
        [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", *words],
        capture_output=True,
        check=True,
        env=variables | dict(environment or {}),
    )
    after, ended = os.times(), time.perf_counter()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return cpu, ended - began

"""The C part of the package; everything else is in pyproject.toml."""

import platform
import sys
import sysconfig

from setuptools import Extension, setup

NATIVE = sys.platform == "linux" and platform.machine() in ("x86_64", "aarch64") and platform.libc_ver()[0] == "glibc"
"""Extensions can be watched from the inside here; FTC_NATIVE in _core/core.h says the same."""
WATCHING = (
    *("native", "tsan", "stacks", "atomics", "accesses", "notes", "delays", "runnable", "shadow", "watchers", "borders"),
    *("vectors", "contexts"),
    *("annotations", "modules", "imports", "taken", "indirect", "thunks", "wrapped", "held", "blocks", "heap", "found"),
    *("native_points", "native_shared", "native_calls", "native_locks", "native_taking", "native_waits", "native_threads"),
    *("strict", "sync", "begun", "taking", "handover", "stuck"),
)
FILES = (
    *("module", "startline", "spin", "slots", "frames", "crash", "deadman", "builtins", "globals", "statics", "gil"),
    *(
        "sched",
        "giveup",
        "turn",
        "gate",
        "outside",
        "run",
        "depend",
        "methods",
        "points",
        "ops",
        "objects",
        "returns",
        "calls",
        "locks",
        "squeue",
        "strangers",
        "pool",
        "threads",
        "ends",
        "clock",
        "trace",
        "values",
        "reborn",
        "made",
        "clocks",
        "before",
        "study",
        "races",
    ),
    *("policy", "plan", "walk", "pct", "pos", "surw", "race", "tree", "dpor", "await", "follow"),
)
INCLUDE = sysconfig.get_path("include")

WARNINGS = ("-O2", "-Wall", "-Wextra", "-Wno-missing-field-initializers", "-Wno-unused-parameter")
STANDIN = Extension("ftcheck._standin", sources=["src/ftcheck/_core/standin.c"], extra_compile_args=list(WARNINGS))
"""What ftcheck-cc links extensions with, so that they can be imported without ftcheck."""

setup(
    ext_modules=[
        Extension(
            "ftcheck._core",
            sources=[f"src/ftcheck/_core/{name}.c" for name in (*FILES, *(WATCHING if NATIVE else ()))],
            depends=[
                f"src/ftcheck/_core/{name}.h"
                for name in ("core", "sched", "policy", "log", "ops", "native", "watchers", "shadow", "wide")
            ],
            include_dirs=[INCLUDE, f"{INCLUDE}/internal"],
            extra_compile_args=[*WARNINGS, "-Werror=implicit-function-declaration", "-fvisibility=hidden"],
        ),
        *([STANDIN] if NATIVE else []),
    ]
)

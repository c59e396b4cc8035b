"""The C part of the package; everything else is in pyproject.toml."""

import sysconfig

from setuptools import Extension, setup

FILES = (
    *("module", "startline", "spin", "slots", "frames", "crash", "deadman", "builtins", "globals"),
    *(
        "sched",
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

setup(
    ext_modules=[
        Extension(
            "ftcheck._core",
            sources=[f"src/ftcheck/_core/{name}.c" for name in FILES],
            depends=[f"src/ftcheck/_core/{name}.h" for name in ("core", "sched", "policy", "log", "ops")],
            include_dirs=[INCLUDE, f"{INCLUDE}/internal"],
            extra_compile_args=[
                *("-O2", "-Wall", "-Wextra", "-Wno-missing-field-initializers", "-Wno-unused-parameter"),
                "-Werror=implicit-function-declaration",
            ],
        )
    ]
)

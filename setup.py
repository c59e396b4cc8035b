"""The C part of the package; everything else is in pyproject.toml."""

from setuptools import Extension, setup

FILES = ("module", "startline", "spin", "slots", "frames", "crash", "deadman", "builtins", "globals")

setup(
    ext_modules=[
        Extension(
            "ftcheck._core",
            sources=[f"src/ftcheck/_core/{name}.c" for name in FILES],
            depends=["src/ftcheck/_core/core.h"],
            extra_compile_args=["-O2", "-Wall", "-Wextra", "-Wno-missing-field-initializers"],
        )
    ]
)

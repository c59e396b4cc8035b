"""Fixtures of the end-to-end tests."""

import shutil
import subprocess
import sysconfig

import pytest

from . import minirun
from .minirun import run_many, run_pytest


@pytest.fixture(autouse=True, scope="session")
def _bytecode(tmp_path_factory):
    minirun.compiled = tmp_path_factory.mktemp("bytecode")


@pytest.fixture(scope="module")
def mini(tmp_path_factory):
    """``mini(files, *arguments)``: run pytest on a mini project in a new folder."""

    def run(files, *arguments, folder=None, **options):
        return run_pytest(folder or tmp_path_factory.mktemp("mini"), files, *arguments, **options)

    return run


@pytest.fixture(scope="module")
def mini_many(tmp_path_factory):
    """``mini_many(files, calls)``: several calls of pytest in one process."""

    def run(files, calls, **options):
        return run_many(tmp_path_factory.mktemp("mini"), files, calls, **options)

    return run


@pytest.fixture(scope="session")
def compile_c(tmp_path_factory):
    """``compile_c(name, source, *options)``: a shared library or an extension module; gives its path."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler")
    folder = tmp_path_factory.mktemp("compiled")

    def compile_one(name, source, *options):
        (folder / f"{name}.c").write_text(source, encoding="utf-8")
        result = folder / f"{name}.so"
        include = f"-I{sysconfig.get_path('include')}"
        command = [compiler, "-shared", "-fPIC", "-O0", *options, include, f"{name}.c", "-o", result]
        subprocess.run(command, cwd=folder, check=True)
        return result

    return compile_one

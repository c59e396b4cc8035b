"""Projects of five build systems, built as the docs say, and run: the report names the line of the race.

A thousand ``total++`` in each of two threads, with delays, in each of a hundred rounds. On a machine with eight busy
processes for each CPU 8 of 20 rounds overlapped, and 5 of 20 showed the race: then no round of a hundred does with a
probability of 0.75 ** 100, which is 3e-13. Where there is less to do, all rounds overlap.
"""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from ftcheck.native import toolchain
from ftcheck.native.command import CompilerError

try:
    toolchain.standin()
except CompilerError as error:
    pytest.skip(str(error), allow_module_level=True)

PROJECTS = Path(__file__).parent / "projects"
SOURCES = {
    "setuptools": "racy_setuptools.c",
    "meson": "racy_meson.c",
    "cmake": "racy_cmake.cpp",
    "cython": "racy_cython.pyx",
    "cffi": "counter.c",
}
SCRIPTS = sysconfig.get_path("scripts")


def environment(**changes):
    """What a user has in an activated environment; not what this run has put there."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "FTCHECK_"))}
    return {**clean, "PATH": os.pathsep.join((SCRIPTS, os.environ["PATH"])), **changes}


def run(*command, cwd, **changes):
    return subprocess.run(
        command,
        cwd=cwd,
        env=environment(**changes),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def output_of_its_test(folder, *options, **changes):
    """The output of a run of the project's test."""
    return run(
        sys.executable, "-m", "pytest", "--ftcheck", "--ftcheck-rounds=100", "--ftcheck-classify=0", "-p", "no:randomly",
        *options, cwd=folder, **changes,
    ).stdout  # fmt: skip


def accessed(said):
    """File and line of each access that a report shows."""
    return re.findall(r"(?m)^ +concurrently body \d: (?:read|write).*\n +(\S+):(\d+) in ", said)


def line_of_the_race(project):
    source = (PROJECTS / project / SOURCES[project]).read_text().splitlines()
    return next(number for number, line in enumerate(source, 1) if "RACE" in line)


@pytest.mark.parametrize("project", SOURCES)
def test_the_report_names_both_lines(project, tmp_path):
    """CC=ftcheck-cc CXX=ftcheck-c++ pip install --no-build-isolation . (with --target, to leave this environment alone)."""
    shutil.copytree(PROJECTS / project, tmp_path / "project")
    built = run(
        sys.executable, "-m", "pip", "install", "--no-build-isolation", "--no-deps", "--no-cache-dir",
        "--target", str(tmp_path / "site"), ".",
        cwd=tmp_path / "project", CC="ftcheck-cc", CXX="ftcheck-c++", SKBUILD_INSTALL_STRIP="false",
    )  # fmt: skip
    assert built.returncode == 0, built.stdout
    (tmp_path / "tests").mkdir()
    shutil.copy(PROJECTS / project / f"test_racy_{project}.py", tmp_path / "tests")
    said = output_of_its_test(tmp_path / "tests", PYTHONPATH=str(tmp_path / "site"))
    assert re.search(r"(?m)^1 +data race", said), said
    accesses = accessed(said)
    assert len(accesses) >= 2, said
    assert {*accesses} == {(SOURCES[project], str(line_of_the_race(project)))}, said

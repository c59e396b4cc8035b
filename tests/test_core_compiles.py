"""The C core compiles for the build that runs these tests, which is shown by running them, and for the other one too.

Builds with and without the GIL have the same headers but for one line of ``pyconfig.h``; so that line is changed, and the
compiler looks at each file. (That it then works is for whoever has both: tox.ini.)
"""

import os
import re
import shutil
import subprocess
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ftcheck import interpreter

CORE = Path(__file__).resolve().parents[1] / "src" / "ftcheck" / "_core"
FLAG = re.compile(r"^(?:/\* )?#\s*(?:define|undef) Py_GIL_DISABLED\b.*$", re.MULTILINE)

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="this needs gcc")


def test_for_the_build_with_the_gil_and_for_the_one_without(tmp_path):
    include = tmp_path / "include"
    shutil.copytree(sysconfig.get_path("include"), include)
    config = include / "pyconfig.h"
    text, changed = FLAG.subn("" if interpreter.free_threaded_build() else "#define Py_GIL_DISABLED 1", config.read_text())
    assert changed == 1
    config.write_text(text)
    words = ["gcc", "-fsyntax-only", "-O1", "-Wall", "-Wextra", "-Wno-missing-field-initializers", "-Wno-unused-parameter"]
    words += ["-Werror", f"-I{include}", f"-I{include / 'internal'}"]

    def complaints(source):
        return subprocess.run([*words, str(source)], capture_output=True, text=True, check=False).stderr

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        assert "".join(pool.map(complaints, sorted(CORE.glob("*.c")))) == ""

"""Writes a test for the maintainer: the workload's program, run by pytest in a process of its own.

The test needs pytest, the module, and nothing else. A crash of the child is a failed test with its report, and pytest goes
on. It is skipped where the interpreter cannot run without the GIL: there it would prove nothing.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence

from ftcheck.audit.confirm import programs
from ftcheck.audit.confirm.words import Result

_HEAD = '''\
"""{title}

Written by ftcheck confirm. Each test runs a small program in a process of its own, several times, so a crash of the program
fails the test and leaves pytest alone. It needs free-threaded CPython, pytest, and the module.
"""

import json
import os
import re
import subprocess
import sys
import sysconfig

import pytest

RUNS = {runs}
TIMEOUT = {timeout:g}  # seconds


def check(program, folder):
    """Fail with the report of the first run that crashes, hangs, or gives results that differ from those alone."""
    path = folder / "workload.py"
    path.write_text(program, encoding="utf-8")
    for number in range(1, RUNS + 1):
        which = f"run {{number}} of {{RUNS}}"
        environment = {{**os.environ, "PYTHON_GIL": "0", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}}
        try:
            done = subprocess.run(
                [sys.executable, str(path)], env=environment, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True, errors="replace", timeout=TIMEOUT,
            )
        except subprocess.TimeoutExpired:
            pytest.fail(f"{{which}} did not end within {{TIMEOUT}} s", pytrace=False)
        if done.returncode:
            how = f"signal {{-done.returncode}}" if done.returncode < 0 else f"status {{done.returncode}}"
            pytest.fail(f"{{which}} ended with {{how}}:\\n{{done.stdout[-6000:]}}", pytrace=False)
        said = json.loads(re.findall(r"^ftcheck-workload (.*)$", done.stdout, re.MULTILINE)[-1])
        assert not said["gil"], "the GIL was on"
        assert not said["wrong"], f"{{which}} gave {{said['wrong_total']}} wrong results"


needs_free_threading = pytest.mark.skipif(
    not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="this interpreter cannot run without the GIL"
)
'''
_TEST = """

# {verdict}
{why}{places}{name}_PROGRAM = {program}


@needs_free_threading
def test_{lower}(tmp_path):
    check({name}_PROGRAM, tmp_path)
"""


def text(results: Sequence[Result], *, times: int, timeout: float) -> str:
    """The file for all results that have a workload.

    :param times: runs of each program. :param timeout: seconds of each run.
    """
    named = [one for one in results if one.workload is not None]
    names = ", ".join(dict.fromkeys(one.callable for one in named))
    parts = [_HEAD.format(title=f"{names}, called by several threads at once.", runs=times, timeout=timeout)]
    seen: set[str] = set()
    for one in named:
        if one.workload is None:
            continue
        base = re.sub(r"\W+", "_", f"{one.callable}_{one.workload.kind}_{one.workload.changes}").strip("_")
        name = next(each for each in (base, *(f"{base}_{n}" for n in range(2, 1000))) if each not in seen)
        seen.add(name)
        places = "".join(_comment(str(reached.place)) for reached in one.places)
        parts.append(
            _TEST.format(
                verdict=one.verdict.value,
                why=_comment(one.why),
                places=places,
                name=name.upper(),
                lower=name,
                program=_literal(programs.program(one.workload)),
            )
        )
    return "".join(parts)


def _literal(program: str) -> str:
    """As a person would write it, where that is possible."""
    return repr(program) if "'''" in program else f"r'''\\\n{program}'''"


def _comment(words: str) -> str:
    """Words of others as comments: whatever is in them, they stay comments."""
    lines = textwrap.wrap(" ".join(words.split()), 110, break_long_words=False, break_on_hyphens=False)
    return "".join(f"# {line}\n" for line in lines)

"""Small extensions whose accesses overlap for certain.

A snippet is C or C++ code that defines functions ``left()`` and ``right()``, each of which is one call of the extension,
and perhaps others. Two threads call them while ``_core`` watches. They wait for each other within these calls, by
``reach(n)`` and ``await(n)``, which ``_core`` cannot see and which are no calls of anything imported: so both stand in one
stretch of C code at the same time, whatever the timing, and what is reported does not depend on chance.
"""

import json
import os
import subprocess
import sys
import sysconfig
import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from shutil import which

import pytest

import ftcheck
from ftcheck import _core

COMPILERS = [
    pytest.param(name, marks=pytest.mark.skipif(which(name) is None, reason=f"{name} is not there"))
    for name in ("gcc", "clang")
]
watched_here = pytest.mark.skipif(not hasattr(_core, "native_begin"), reason="extensions cannot be watched here")

_BEGINNING = r"""
#include <Python.h>
#if defined(__cplusplus)
#define C_LINKAGE extern "C"
#else
#define C_LINKAGE
#endif
#define UNSEEN __attribute__((no_sanitize("thread"), noinline, unused)) static
#define NOINLINE __attribute__((noinline))
static volatile int stage;
UNSEEN void rest(void)                                 /* sched_yield(), but no call of anything imported */
{
#if defined(__x86_64__)
    long number = 24;
    __asm__ volatile("syscall" : "+a"(number) : : "rcx", "r11", "memory");
#else
    register long number __asm__("x8") = 124;
    register long result __asm__("x0") = 0;
    __asm__ volatile("svc #0" : "+r"(result) : "r"(number) : "memory");
#endif
}
UNSEEN void reach(int to) { __asm__ volatile("" ::: "memory"); stage = to; }
UNSEEN void await(int from)
{
    for (long turn = 0; stage < from; turn++) {
        rest();
        if (turn > 50000000) __builtin_trap();
    }
    __asm__ volatile("" ::: "memory");
}
"""

_END = r"""
#define METHOD(name) \
    static PyObject *call_##name(PyObject *module, PyObject *argument) { (void)argument; name(); Py_RETURN_NONE; }
METHOD(left)
METHOD(right)
UNSEEN PyObject *again(PyObject *module, PyObject *argument) { (void)module; (void)argument; stage = 0; Py_RETURN_NONE; }
#ifndef MORE
#define MORE
#endif
static PyMethodDef methods[] = {
    {"left", call_left, METH_NOARGS, NULL}, {"right", call_right, METH_NOARGS, NULL}, {"again", again, METH_NOARGS, NULL},
    MORE {NULL, NULL, 0, NULL}};
static PyModuleDef_Slot slots[] = {{Py_mod_gil, Py_MOD_GIL_NOT_USED},
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED}, {0, NULL}};
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, NAME, NULL, 0, methods, slots, NULL, NULL, NULL};
PyMODINIT_FUNC INIT(void) { return PyModuleDef_Init(&definition); }
"""

BOTH = """
def body():
    both(snippet.left, snippet.right)
"""
"""What is run if a test says nothing else."""

_CHILD = """
import faulthandler, json, sys, threading
from ftcheck import _core
from ftcheck.native import races, watch

def both(*bodies):
    failures = []
    def work(one):
        try:
            one()
        except BaseException as raised:
            failures.append(raised)
    threads = [threading.Thread(target=work, args=(one,)) for one in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]

faulthandler.enable()
watch.begin()
import {name} as snippet

{body}
with watch.watched(0, delays=0.0, rule="{rule}") as found:
    said = body()
seen = found()
def name(side):
    return side.stack[0].function.partition("(")[0] if side.stack else ""

def both_of(races):
    return [[[side.what, name(side)] for side in (race.later, race.earlier)] for race in races]

variables = sorted({{race.variable for race in seen.races + seen.possible}})
found_ones = dict(races=both_of(seen.races), possible=both_of(seen.possible), variables=variables)
looked = dict(modules=len(seen.seen.modules), accesses=seen.seen.accesses, limits=seen.seen.limits)
print("RESULT" + json.dumps(dict(**found_ones, text=races.text(seen), said=said, seen=looked)), flush=True)
"""


@dataclass(frozen=True)
class Outcome:
    """:param races: for each race the two accesses, as (what, function), in no order; **possible**: the same of those.
    :param variables: those that any of them is about.
    """

    status: int
    output: str
    races: list[set[tuple[str, str]]] = field(default_factory=list)
    possible: list[set[tuple[str, str]]] = field(default_factory=list)
    variables: set[str] = field(default_factory=set)
    text: str = ""
    said: object = None
    seen: dict[str, object] = field(default_factory=dict)

    @property
    def functions(self):
        """Whose accesses race."""
        return {function for race in self.races for _, function in race}


def build(folder, source, *, name="snippet", cc="gcc", suffix=".c", flags=(), whole=False, instrumented=True, link=()):
    """Compile a snippet, and link it.

    :param whole: ``source`` is all of it; else what makes it an extension module is added.
    :param instrumented: by ftcheck-cc; else by the compiler alone.
    """
    text = source if whole else _BEGINNING + source + _END
    path = Path(folder) / f"{name}{suffix}"
    path.write_text(text, encoding="utf-8")
    real = {"gcc": "g++", "clang": "clang++"}[cc] if suffix != ".c" else cc
    out = path.with_suffix(".so")
    words = [
        "-O2",
        "-g",
        "-fPIC",
        "-shared",
        "-w",
        f"-I{sysconfig.get_path('include')}",
        f'-DNAME="{name}"',
        f"-DINIT=PyInit_{name}",
    ]
    words += [*flags, str(path), "-o", str(out), *link]
    if not instrumented:
        subprocess.run([real, *words], check=True)
        return out
    command = Path(sys.executable).with_name("ftcheck-cc")
    environment = {name: value for name, value in os.environ.items() if name != "FTCHECK_CC_INSIDE"}
    subprocess.run([str(command), *words], check=True, env=environment | {"FTCHECK_CC": real})
    return out


def run(folder, body=BOTH, *, name="snippet", environment=None, begin="", rule="overlap"):
    """Run a snippet that was built in ``folder`` while _core watches.

    :param body: defines ``body()``; what that returns is ``said``.
    """
    script = Path(folder) / "child.py"
    script.write_text(begin + _CHILD.format(name=name, rule=rule, body=textwrap.dedent(body)), encoding="utf-8")
    path = [str(Path(ftcheck.__file__).parents[1]), str(folder)]
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, errors="replace", timeout=300, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path), **(environment or {})},
    )  # fmt: skip
    for line in done.stdout.splitlines():
        if line.startswith("RESULT"):
            result = json.loads(line[6:])
            for kind in ("races", "possible"):
                result[kind] = [{tuple(side) for side in race} for race in result[kind]]
            result["variables"] = set(result["variables"])
            return Outcome(done.returncode, done.stdout + done.stderr, **result)
    return Outcome(done.returncode, done.stdout + done.stderr)


def races_of(folder, source, body=BOTH, **how):
    """Build and run; the process must have come to its end."""
    build(folder, source, **how)
    outcome = run(folder, body)
    assert outcome.status == 0, outcome.output
    return outcome

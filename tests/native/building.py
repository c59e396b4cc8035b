"""Small extension modules and libraries, compiled for one test, and a look at what a program writes in them."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

SUFFIX = importlib.machinery.EXTENSION_SUFFIXES[0]
MODULE = """
#include <Python.h>
{body}
static PyMethodDef methods[] = {{ {methods} {{0}} }};
static int fill(PyObject *module) {{ (void)module; {fill} return 0; }}
static PyModuleDef_Slot slots[] = {{ {{Py_mod_exec, fill}}, {{Py_mod_gil, Py_MOD_GIL_NOT_USED}}, {{0, NULL}} }};
static struct PyModuleDef definition = {{
    PyModuleDef_HEAD_INIT, .m_name = "{name}", .m_methods = methods, .m_slots = slots }};
PyMODINIT_FUNC PyInit_{name}(void) {{ return PyModuleDef_Init(&definition); }}
"""


def source(name, body="", functions=(), fill=""):
    """The source of a module.

    :param functions: name to the statements of each function that Python code can call with one argument, ``arg``.
    :param fill: statements that run when it is imported.
    """
    functions = dict(functions)
    defined = "".join(
        f"static PyObject *f_{one}(PyObject *self, PyObject *arg) {{ (void)self; (void)arg; {text}; Py_RETURN_NONE; }}\n"
        for one, text in functions.items()
    )
    methods = "".join(f'{{"{one}", f_{one}, METH_O, NULL}}, ' for one in functions)
    return MODULE.format(name=name, body=body + "\n" + defined, methods=methods, fill=fill)


def compiled(folder: Path, name: str, text: str, *options: str, language="c", plain=False) -> Path:
    """A shared object.

    :param plain: a library, which has no suffix of an extension module.
    """
    tool = shutil.which({"c": "gcc", "c++": "g++"}[language])
    if tool is None:
        pytest.skip(f"there is no compiler for {language}")
    path = folder / f"{name}.{language}"
    path.write_text(text, encoding="utf-8")
    target = folder / (f"{name}.so" if plain else f"{name}{SUFFIX}")
    include = f"-I{sysconfig.get_path('include')}"
    words = [tool, "-x", language, str(path), "-shared", "-fPIC", "-O1", "-w", include, "-o", str(target), "-x", "none"]
    subprocess.run([*words, *options], check=True)
    return target


def stripped(path: Path) -> Path:
    """The file without symbols, as most wheels have theirs."""
    tool = shutil.which("strip")
    if tool is None:
        pytest.skip("there is no strip")
    subprocess.run([tool, "--strip-all", str(path)], check=True)
    return path


def imported(path: Path, name: str):
    """The module of that file, imported; forgotten again by the test that asks for it."""
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module

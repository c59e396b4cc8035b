"""Tiny extension modules that ask for the GIL, or do not, in each of the ways there are, for the tests that need them."""

import os
import shlex
import subprocess
import sysconfig

import pytest

MULTI_PHASE = """\
#include <Python.h>
static int fill(PyObject *module) {{ {fill} return 0; }}
static PyModuleDef_Slot slots[] = {{ {{Py_mod_exec, fill}}, {slots} {{0, NULL}} }};
static PyModuleDef definition = {{PyModuleDef_HEAD_INIT, .m_name = "{name}", .m_slots = slots}};
PyMODINIT_FUNC PyInit_{name}(void) {{ return PyModuleDef_Init(&definition); }}
"""
SINGLE_PHASE = """\
#include <Python.h>
static PyModuleDef definition = {{PyModuleDef_HEAD_INIT, .m_name = "{name}", .m_size = -1}};
PyMODINIT_FUNC PyInit_{name}(void) {{
    PyObject *module = PyModule_Create(&definition);
    {fill}
    return module;
}}
"""
NOT_USED = "{Py_mod_gil, Py_MOD_GIL_NOT_USED},"
EVERY_INTERPRETER = "{Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},"
IMPORT = 'PyObject *other = PyImport_ImportModule("wants_the_gil"); if (!other) return -1; Py_DECREF(other);'
SOURCES = {
    "wants_the_gil": MULTI_PHASE.format(name="wants_the_gil", slots="", fill=""),
    "wants_it_too": MULTI_PHASE.format(name="wants_it_too", slots="{Py_mod_gil, Py_MOD_GIL_USED},", fill=""),
    "needs_no_gil": MULTI_PHASE.format(name="needs_no_gil", slots=NOT_USED, fill=""),
    "imports_one": MULTI_PHASE.format(name="imports_one", slots=NOT_USED, fill=IMPORT),
    "single_phase": SINGLE_PHASE.format(name="single_phase", fill=""),
    "single_phase_without": SINGLE_PHASE.format(
        name="single_phase_without",
        fill="\n#ifdef Py_GIL_DISABLED\nPyUnstable_Module_SetGIL(module, Py_MOD_GIL_NOT_USED);\n#endif\n",
    ),
    "broken": MULTI_PHASE.format(
        name="broken", slots=NOT_USED, fill='PyErr_SetString(PyExc_ValueError, "not today"); return -1;'
    ),
}


def build(folder, sources=SOURCES):
    """Build these, and give the folder; without a C compiler that works, the test is skipped."""
    compiler = shlex.split(os.environ.get("CC") or "cc")
    for name, source in sources.items():
        file = folder / f"{name}.c"
        file.write_text(source, encoding="utf-8")
        target = folder / f"{name}{sysconfig.get_config_var('EXT_SUFFIX')}"
        command = [*compiler, "-shared", "-fPIC", f"-I{sysconfig.get_path('include')}", str(file), "-o", target]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as missing:
            pytest.skip(f"no C compiler that works with this Python: {missing}")
    return folder

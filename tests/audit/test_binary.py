"""What a file says besides its slots."""

import sys

import pytest

from ftcheck.audit import binary

from ..native.building import compiled, stripped
from .making import multi, single

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="ELF")


def read(tmp_path, source, *options, **more):
    return binary.read(str(compiled(tmp_path, "one", source, *options, **more)))


def test_phases(tmp_path):
    assert read(tmp_path, multi("one")).phase == "multi-phase"
    assert read(tmp_path, single("one")).phase == "single-phase"
    both = multi("one", fill="PyObject *inner = PyModule_Create(&definition); Py_XDECREF(inner);").replace(
        "static int fill", "static struct PyModuleDef definition; static int fill"
    )
    found = read(tmp_path, both)
    assert found.phase == "unknown"
    assert "a run decides" in found.phase_why


@pytest.mark.parametrize(("call", "field", "expected"), [
    ('strtok((char *)module, " ");', "libc", ("strtok",)),
    ("setlocale(0, 0); localtime(0);", "libc", ("localtime", "setlocale")),
    ("snprintf((char *)module, 0, 0);", "libc", ()),
    ("PyDict_Next(module, 0, 0, 0);", "borrowed", ("PyDict_Next",)),
    ("PyDict_GetItemRef(module, module, 0);", "strong", ("PyDict_GetItemRef",)),
])  # fmt: skip
def test_what_it_imports(tmp_path, call, field, expected):
    headers = "#include <string.h>\n#include <locale.h>\n#include <time.h>\n#include <stdio.h>\n"
    found = read(tmp_path, multi("one", body=headers, fill=f"if (module == NULL) {{ {call} }}"))
    assert getattr(found, field) == expected


def test_locks(tmp_path):
    body = "static PyMutex mutex;"
    assert read(tmp_path, multi("one", body=body, fill="PyMutex_Lock(&mutex); PyMutex_Unlock(&mutex);")).locking.locks == (
        "PyMutex",
    )
    assert read(tmp_path, multi("one")).locking.locks == ()


def test_libraries_and_versions(tmp_path):
    found = read(
        tmp_path,
        multi("one", body="#include <string.h>", fill="memcpy(module, module, (size_t)definition.m_size);").replace(
            "static int fill", "static struct PyModuleDef definition; static int fill"
        ),
        "-Wl,--no-as-needed",
        "-lm",
    )
    assert "libm.so.6" in found.libraries
    assert dict(found.needs)["GLIBC"].count(".") >= 1


def test_stripped_or_not(tmp_path):
    path = compiled(tmp_path, "one", multi("one"))
    assert binary.read(str(path)).stripped is False
    assert binary.read(str(stripped(path))).stripped is True


@pytest.mark.parametrize(("mark", "said"), [
    ("_cython_3_1_2", "Cython 3.1.2"), ("_cython_3_3_0b1", "Cython 3.3.0b1"), ("__pyx_capi__", "Cython"),
    ("__pybind11_internals_v11", "pybind11"), ("pyo3_runtime", "PyO3"), ("nothing of note", ""),
])  # fmt: skip
def test_what_it_was_made_with(tmp_path, mark, said):
    assert read(tmp_path, multi("one", body=f'__attribute__((used)) static const char mark[] = "{mark}";')).made_with == said


def test_what_cython_adds_by_itself_is_not_held_against_a_module(tmp_path):
    call = "if (module == NULL) { PyDict_Next(module, 0, 0, 0); }"
    cython = '__attribute__((used)) static const char mark[] = "_cython_3_1_2";'
    assert read(tmp_path, multi("one", fill=call)).borrowed == ("PyDict_Next",)
    assert read(tmp_path, multi("one", fill=call, body=cython)).borrowed == ()


def test_a_library_has_no_modules(tmp_path):
    found = binary.read(str(compiled(tmp_path, "lib", "int f(void) { return 1; }", plain=True)))
    assert (found.modules, found.problem) == ((), "")


def test_names_that_are_not_ascii(tmp_path):
    encoded = "größe".encode("punycode").decode().replace("-", "_")
    source = multi("one").replace("PyInit_one", f"PyInitU_{encoded}")
    assert binary.read(str(compiled(tmp_path, "one", source))).modules == ("größe",)


@pytest.mark.parametrize("path", ["missing.so", "."])
def test_what_cannot_be_read_says_so(tmp_path, path):
    assert "cannot be read" in binary.read(str(tmp_path / path)).problem

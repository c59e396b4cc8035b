"""Each rule for Python, Cython and Rust: what it finds, at the line marked ``here``, and neighbours that it leaves alone."""

import textwrap

import pytest

PYTHON_FINDS = {
    "FT006 setup": ("setup.py", 'Extension("a", define_macros=[("Py_LIMITED_API", "1")])  # here'),
    "FT006 keyword": ("setup.py", 'Extension("a", py_limited_api=True)  # here'),
    "FT506": ("a.py", "import sys\ndef f():\n    return sys._current_frames()  # here"),
    "FT601": ("a.py", "C = {}\ndef f(k):\n    if k not in C:\n        C[k] = make(k)  # here\n    return C[k]"),
    "FT601 get": ("a.py", "C = {}\ndef f(k):\n    x = C.get(k)\n    if x is None:\n        x = C[k] = make(k)  # here"),
    "FT601 try": ("a.py", "C = {}\ndef f(k):\n    try:\n        return C[k]\n    except KeyError:\n        C[k] = "
    "make(k)  # here"),
    "FT601 lazy": ("a.py", "x = None\ndef f():\n    global x\n    if x is None:  # here\n        x = make()"),
    "FT602": ("a.py", "import functools\n@functools.cache\ndef f(k):  # here\n    global n\n    n = k"),
    "FT603": ("a.py", "n = 0\ndef f():\n    global n\n    n += 1  # here"),
    "FT603 class": ("a.py", "class A:\n    n = 0\n    def f(self):\n        A.n += 1  # here"),
    "FT603 item": ("a.py", "N = {}\ndef f(k):\n    N[k] += 1  # here"),
    "FT604": ("a.py", "import threading\nlocal = threading.local()\nlocal.x = 1  # here"),
    "FT605": ("a.py", "N = iter(range(9))\ndef f():\n    return next(N)  # here"),
    "FT605 generator": ("a.py", "def g():\n    yield 1\nN = g()\ndef f():\n    return next(N)  # here"),
    "FT606": ("a.py", "import os\ndef f():\n    os.environ['A'] = '1'  # here"),
    "FT606 call": ("a.py", "import os\ndef f():\n    os.chdir('/')  # here"),
    "FT607": ("a.py", "from contextvars import ContextVar\ndef f():\n    return ContextVar('x')  # here"),
    "FT608": ("a.py", "import sys\ndef f():\n    sys.setrecursionlimit(9)  # here"),
    "FT609": ("a.py", "C = {}\ndef f(x):\n    C[id(x)] = 1  # here"),
    "FT704": ("a.py", "from a import ffi\nlib = ffi.dlopen('x')  # here"),
    "FT704 memory": ("a.py", "class A:\n    def __init__(self):\n        self.c = ffi.new('x')\n    def f(self):\n  "
    "      self.c.n += 1  # here"),
}  # fmt: skip

PYTHON_LEAVES = {
    "FT006": ("setup.py", "t = get_config_var('Py_GIL_DISABLED')\nExtension('a', py_limited_api=True)"),
    "FT006 other file": ("a.py", "Extension('a', py_limited_api=True)"),
    "FT601 locked": ("a.py", "C = {}\ndef f(k):\n    with LOCK:\n        if k not in C:\n            C[k] = make(k)"),
    "FT601 local": ("a.py", "C = {}\ndef f(k):\n    C = {}\n    if k not in C:\n        C[k] = make(k)"),
    "FT601 import": ("a.py", "C = {}\nif 1 not in C:\n    C[1] = 2"),
    "FT601 not asked": ("a.py", "C = {}\ndef f(k):\n    C[k] = 1"),
    "FT602": ("a.py", "import functools\n@functools.cache\ndef f(k):\n    return k + 1"),
    "FT603 locked": ("a.py", "import threading\nn = 0\nguarding = threading.Lock()\ndef f():\n    global n\n    "
    "with guarding:\n        n += 1"),
    "FT603 local": ("a.py", "n = 0\ndef f():\n    n = 1\n    n += 1"),
    "FT603 instance": ("a.py", "class A:\n    def f(self):\n        self.n += 1"),
    "FT604": ("a.py", "import threading\nlocal = threading.local()\ndef f():\n    local.x = 1"),
    "FT605": ("a.py", "import itertools\nN = itertools.count()\ndef f():\n    return next(N)"),
    "FT605 local": ("a.py", "N = iter(range(9))\ndef f(N):\n    return next(N)"),
    "FT606": ("a.py", "import os\nos.environ['A'] = '1'\ndef f():\n    return os.environ['A']"),
    "FT607": ("a.py", "from contextvars import ContextVar\nX = ContextVar('x')"),
    "FT608": ("a.py", "import sys\ndef f():\n    return sys.getrecursionlimit()"),
    "FT609": ("a.py", "C = {}\ndef f(x):\n    C[x] = id(x)"),
    "FT704": ("a.py", "class A:\n    def __init__(self):\n        self.c = [1]\n    def f(self):\n        self.c[0] += 1"),
}  # fmt: skip

CYTHON_FINDS = {
    "FT401": "from libc.stdlib cimport rand\ndef f():\n    return rand()  # here",
    "FT701": "# cython: language_level=3  # here\ndef f(): pass",
    "FT702": "cdef class A:\n    cdef long n\n    def f(self):\n        self.n += 1  # here",
    "FT702 object": "cdef class A:\n    cdef object x\n    def f(self, y):\n        self.x = y  # here",
    "FT702 inherited": "cdef class A:\n    cdef long n[9]\ncdef class B(A):\n    def f(self, i):\n        self.n[i] "
    "= 1  # here",
    "FT702 global": "cdef int n\ndef f():\n    global n\n    n = 1  # here",
    "FT702 half": "cdef class A:\n    cdef int n\n    cdef g(self):\n        self.n = 1  # here\n    def f(self):\n "
    "       self.g()",
}

CYTHON_LEAVES = {
    "FT401": "from libc.stdlib cimport malloc\ndef f():\n    return malloc(1)",
    "FT701": "# cython: language_level=3, freethreading_compatible=True\ndef f(): pass",
    "FT702 locked": "cdef class A:\n    cdef int n\n    def f(self):\n        with cython.critical_section(self):\n "
    "           self.n = 1",
    "FT702 decorated": "cdef class A:\n    cdef int n\n    @cython.critical_section\n    def f(self):\n        self.n = 1",
    "FT702 made": "cdef class A:\n    cdef int n\n    def __cinit__(self):\n        self.n = 1",
    "FT702 python": "class A:\n    def f(self):\n        self.n = 1",
    "FT702 item": "cdef class A:\n    cdef list n\n    def f(self):\n        self.n[0] = 1",
    "FT702 local": "cdef int n\ndef f():\n    n = 1",
    "FT702 import": "cdef int n\nn = 1",
    "FT702 string": 'cdef class A:\n    cdef int n\n    def f(self):\n        """\n        self.n = 1\n        """',
    "FT702 callers lock": (
        "cdef class A:\n    cdef int n\n    cdef g(self):\n        self.n = 1\n"
        "    @cython.critical_section\n    def f(self):\n        self.g()"
    ),
}


@pytest.mark.parametrize("case", PYTHON_FINDS)
def test_finds_in_python(lines, case):
    name, text = PYTHON_FINDS[case]
    found, marked = lines(case.split()[0], text, name)
    assert marked
    assert found == marked


@pytest.mark.parametrize("case", PYTHON_LEAVES)
def test_leaves_alone_in_python(lines, case):
    name, text = PYTHON_LEAVES[case]
    assert lines(case.split()[0], text, name)[0] == []


@pytest.mark.parametrize("case", CYTHON_FINDS)
def test_finds_in_cython(lines, case):
    found, marked = lines(case.split()[0], CYTHON_FINDS[case], "a.pyx")
    assert marked
    assert found == marked


@pytest.mark.parametrize("case", CYTHON_LEAVES)
def test_leaves_alone_in_cython(lines, case):
    assert lines(case.split()[0], CYTHON_LEAVES[case], "a.pyx")[0] == []


def test_a_makefile_may_give_the_directive(scanned):
    files = {"pkg/a.pyx": "def f(): pass", "Makefile": "\tcython -3 -X freethreading_compatible=True $<\n"}
    assert scanned(files=files).findings == ()


@pytest.mark.parametrize("build", ["setup.py", "pyproject.toml"])
def test_the_directive_may_be_given_by_what_builds_it(scanned, build):
    said = 'cythonize("a.pyx", compiler_directives={"freethreading_compatible": True})' if build == "setup.py" else (
        "[tool.x]\ncompiler-directives.freethreading_compatible = true")  # fmt: skip
    files = {"pkg/a.pyx": "def f(): pass", build: said}
    assert "FT701" not in {one.rule for one in scanned(files=files).findings}


def test_an_included_pyx_is_no_module(scanned):
    files = {"a.pyx": '# cython: freethreading_compatible=True\ninclude "b.pyx"\n', "b.pyx": "def f(): pass"}
    assert scanned(files=files).findings == ()


@pytest.mark.parametrize(
    ("version", "rules"), [("0.29.36", ["FT703"]), ("3.0.11", ["FT703"]), ("3.1.2", []), ("3.2.0b1", [])]
)
def test_what_cython_has_written_is_not_looked_at(scanned, version, rules):
    done = scanned(f"/* Generated by Cython {version} */\nstatic int x;\nvoid f(void) {{ x = 1; }}\n")
    assert [one.rule for one in done.findings] == rules
    assert (done.looked.total, len(done.looked.skipped)) == (0, 1)


@pytest.mark.parametrize(
    ("cargo", "source", "lines_"),
    [
        ('pyo3 = "0.27"', "use pyo3::prelude::*;\n#[pymodule]\nmod a {}", [2]),
        ('pyo3 = { version = "0.26.0", features = [] }', "use pyo3::prelude::*;\n#[pymodule]\nmod a {}", [2]),
        ('pyo3 = "0.28"', "use pyo3::prelude::*;\n#[pymodule]\nmod a {}", []),
        ('pyo3 = "0.27"', "use pyo3::prelude::*;\n#[pymodule(gil_used = false)]\nmod a {}", []),
        ('pyo3 = "0.28"', "use pyo3::prelude::*;\n#[pymodule(gil_used = true)]\nmod a {}", [2]),
        ('pyo3 = "0.28"', "use pyo3::prelude::*;\nstatic mut N: i32 = 0;\n", [2]),
        ('pyo3 = "0.28"', "use pyo3::prelude::*;\n// static mut N: i32 = 0;\n", []),
        ("", "static mut N: i32 = 0;\n", []),
    ],
)
def test_rust(scanned, cargo, source, lines_):
    done = scanned(files={"Cargo.toml": f"[dependencies]\n{cargo}\n", "pyproject.toml": "", "src/lib.rs": source})
    assert [one.line for one in done.findings if one.rule == "FT705"] == lines_


@pytest.mark.parametrize("text", ["def f(:\n", "\0", "x = '"])
def test_python_that_cannot_be_read_is_skipped_with_the_reason(scanned, text):
    done = scanned(text, "a.py")
    assert done.looked.total == 0
    assert done.looked.skipped[0].reason


def test_lines_of_cython_after_a_long_string():
    from ftcheck.audit.rules.scanner import cython

    read = cython.read("a.pyx", textwrap.dedent('''
        """one
        two # no comment
        """
        x = 1  # a comment
        '''))  # fmt: skip
    assert [(one.text, one.line) for one in read.statements][-1] == ("x = 1", 5)
    assert [(one.line, one.alone) for one in read.comments] == [(5, False)]

"""The scanner of C and C++: tokens, conditions, functions, variables, locks, calls, origins of containers."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftcheck.audit.rules.scanner import conditions, fresh, macros, project, tokens


def unit(source, name="a.c"):
    return project.read(Path(name), source)


def texts(source):
    return [one.text for one in tokens.read(source).tokens]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a->b += 0x1F;", ["a", "->", "b", "+=", "0x1F", ";"]),
        ('x = "/* no comment */" /* one */;', ["x", "=", '"/* no comment */"', ";"]),
        ("'\"' // \" \n y", ["'\"'", "y"]),
        ('R"d(a " )x" b)d" z', ['R"d(a " )x" b)d"', "z"]),
        ('u8"a\\"b" L\'c\'', ['u8"a\\"b"', "L'c'"]),
        ("a\\\nb", ["a", "b"]),
        ("1'000'000 1.5e+3 .5", ["1'000'000", "1.5e+3", ".5"]),
        ("#define A \\\n 1 /* x\n y */ 2\nb", ["#define A \\\n 1 /* x\n y */ 2", "b"]),
        ("a # b", ["a", "#", "b"]),
        ('"no end\nb', ['"no end', "b"]),
        ("/* no end", []),
        ("", []),
    ],
)
def test_tokens(source, expected):
    assert texts(source) == expected


def test_lines_and_comments():
    read = tokens.read("a /* one\n two */ b\n// three \\\nfour\nc")
    assert [(one.text, one.line) for one in read.tokens] == [("a", 1), ("b", 2), ("c", 5)]
    assert [(one.line, one.last, one.alone) for one in read.comments] == [(1, 2, False), (3, 4, True)]
    assert read.lines == 5


@given(st.text(alphabet="ab{}()\"'/*\\\n#;R ", max_size=60))
def test_any_text_is_read(source):
    """No text is too broken: each token stands where it says, in the line that it says."""
    read = tokens.read(source)
    for one in read.tokens:
        assert source.startswith(one.text, one.at)
        assert one.line == source.count("\n", 0, one.at) + 1
    unit(source)


@pytest.mark.parametrize(
    ("condition", "value"),
    [
        ("PY_VERSION_HEX >= 0x030d0000", 1),
        ("PY_VERSION_HEX < 0x030E0000 || defined(Py_GIL_DISABLED)", 1),
        ("defined Py_LIMITED_API", 0),
        ("!defined(PYPY_VERSION) && PY_MAJOR_VERSION == 3", 1),
        ("_WIN32", None),
        ("0 && _WIN32", 0),
        ("1 || _WIN32", 1),
        ("_WIN32 || 1", 1),
        ("__has_include(<x.h>)", None),
        ("0 && __has_include(<x.h>)", 0),
        ("(1 + 2 * 3 == 7) ? 4 : 5", 4),
        ("010 == 8 && 0b11 == 3 && 1UL << 2 == 4", 1),
        ("~0 == -1 && 7 / 2 == 3 && 7 % 2", 1),
        ("MY_DEBUG", 0),
        ("1 /* comment */", 1),
        ("1 +", None),
        ("1 / 0", None),
        ("", None),
        ("( 1", None),
    ],
)
def test_values_of_conditions(condition, value):
    assert macros.evaluate(condition, macros.Macros(cplusplus=False)) == value


@pytest.mark.parametrize(
    ("source", "kept", "unknown"),
    [
        ("#if PY_VERSION_HEX >= 0x030d0000\nnew\n#else\nold\n#endif", ["new"], 0),
        ("#ifdef Py_GIL_DISABLED\nfree\n#else\ngil\n#endif", ["free"], 0),
        ("#ifdef Py_LIMITED_API\na\n#elif PY_MAJOR_VERSION > 2\nb\n#else\nc\n#endif", ["b"], 0),
        ("#ifdef _WIN32\na\n#else\nb\n#endif", ["a", "b"], 1),
        ("#ifdef _WIN32\na\n#elif 0\nb\n#elif 1\nc\n#else\nd\n#endif", ["a", "c"], 1),
        ("#define HAS 1\n#if HAS\na\n#else\nb\n#endif", ["a"], 0),
        ("#undef HAS\n#ifdef HAS\na\n#endif\nb", ["b"], 0),
        ("#ifdef _WIN32\n#define HAS 1\n#endif\n#if HAS\na\n#else\nb\n#endif", ["a", "b"], 2),
        ("#ifndef A_H\n#define A_H\na\n#endif", ["a"], 0),
        ("#ifdef __cplusplus\na\n#endif", [], 0),
        ("#if 0\n#if 1\na\n#endif\n#else\nb\n#endif", ["b"], 0),
        ("#endif\na\n#else\nb", ["a", "b"], 0),
        ("#if 1\na", ["a"], 0),
    ],
)
def test_branches(source, kept, unknown):
    found = conditions.compiled(tokens.read(source).tokens, cplusplus=False)
    assert [one.text for one in found.tokens if one.kind == tokens.NAME] == kept
    assert found.unknown == unknown


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("static PyObject *\nf(PyObject *self, int n[3])\n{ g(1); }", [("f", 2)]),
        ("int f(void); int g(void) { }", [("g", 0)]),
        ("static struct x a = { f(1) }; int g(int) { }", [("g", 1)]),
        ("PyMODINIT_FUNC\nPyInit_x(void) { return 0; }", [("PyInit_x", 0)]),
        ("__attribute__((cold)) static int f(int a) __attribute__((noinline));\nint f(int a) { }", [("f", 1)]),
        ("int f(int a) { if (a) {\n#ifdef X\n}\n#else\n}\n#endif\n}\nint g(void) { }", [("f", 1), ("g", 0)]),
        ("int f(void) {\n#ifdef X\nif (a) {\n#else\nif (b) {\n#endif\n}}\nint g(void) { }", [("f", 0), ("g", 0)]),
        ("int f(void)\n{\n BEGIN {\n}\nint g(void)\n{\n}\n", [("f", 0), ("g", 0)]),
        ("int (*table[2])(void) = { a, b };", []),
        ("enum { A, B }; struct s { int x; }; typedef struct { int y; } t;", []),
    ],
)
def test_functions(source, expected):
    assert [(one.name, len(one.params)) for one in unit(source).shape.functions] == expected


def test_functions_of_classes():
    source = """
    namespace n { class A { public: A(int a) : x(a), y{2} { go(); } int get() const { return x; } static int n; int x; }; }
    int A::put(int v) { return v; }
    extern "C" { int c(void) { return 1; } }
    template <typename T> T twice(T x) { return x + x; }
    """
    found = unit(source, "a.cpp")
    assert [one.qualified for one in found.shape.functions] == ["A::A", "A::get", "A::put", "c", "twice"]
    assert [one.name for one in found.variables] == ["n"]  # x is in each object


def test_a_function_that_swallows_is_ended_in_column_0():
    found = unit("int f(void)\n{\n OPEN {\n}\nint g(void)\n{\n}\n")
    assert found.shape.recovered == 1


def test_calls_and_their_arguments():
    found = unit('void f(void) { a(b(1, 2), "x,y", (c, d)); o->m(z); if (q) { } return (w)(1); }')
    calls = {one.name: one for one in found.shape.functions[0].calls}
    assert {name: [found.words(span) for span in one.args] for name, one in calls.items()} == {
        "a": ["b(1,2)", '"x,y"', "(c,d)"],
        "b": ["1", "2"],
        "m": ["z"],
    }
    assert calls["m"].member
    assert not calls["a"].member


@pytest.mark.parametrize(
    ("declaration", "name", "shared"),
    [
        ("static int n;", "n", True),
        ("int n = 1;", "n", True),
        ("static PyObject *cache;", "cache", True),
        ("static char buf[10];", "buf", True),
        ("static const char *p;", "p", True),
        ("static struct { int a; } s;", "s", True),
        ("std::array<long, 5> d;", "d", True),
        ("static int (*hook)(int);", "hook", True),
        ("static const int n = 1;", "n", False),
        ("static const char *const p = 0;", "p", False),
        ("static _Atomic int n;", "n", False),
        ("std::atomic<int> n{0};", "n", False),
        ("static _Thread_local int n;", "n", False),
        ("static PyMutex lock;", "lock", False),
        ("static PyMethodDef methods[] = {{0}};", "methods", False),
    ],
)
def test_variables(declaration, name, shared):
    found = unit(declaration, "a.cpp").variables
    assert [(one.name, one.shared) for one in found] == [(name, shared)]


@pytest.mark.parametrize(
    "declaration", ["int f(void);", "typedef int n;", "struct s;", "extern int n;", "using namespace std;"]
)
def test_what_declares_no_variable(declaration):
    assert unit(declaration, "a.cpp").variables == ()


def held(body, name="a.c", before=""):
    """Which of the calls ``in()`` and ``out()`` of a body hold a lock that no other thread has."""
    one = project.Project([unit(f"{before}\nvoid f(void) {{ {body} }}", name)])
    function = one.units[0].shape.functions[-1]
    return [one.scopes(function).exclusive(call.index) for call in function.calls if call.name in ("in", "out")], [
        call.name == "in" for call in function.calls if call.name in ("in", "out")
    ]


@pytest.mark.parametrize(
    "body",
    [
        "out(); Py_BEGIN_CRITICAL_SECTION(x); in(); Py_END_CRITICAL_SECTION(); out();",
        "PyMutex_Lock(&m); in(); PyMutex_Unlock(&m); out();",
        "PyMutex_Lock(&m); if (a) { PyMutex_Unlock(&m); out(); return; } in(); PyMutex_Unlock(&m); out();",
        "PyMutex_Lock(&m); if (a) { PyMutex_Unlock(&m); Py_RETURN_NONE; } in(); PyMutex_Unlock(&m);",
        "PyMutex_Lock(&m); if (a) { PyMutex_Unlock(&m); } out();",
        "pthread_rwlock_rdlock(&m); out(); pthread_rwlock_unlock(&m); pthread_rwlock_wrlock(&m); in();",
        "while (atomic_flag_test_and_set(&f)) { } in(); atomic_flag_clear(&f); out();",
        "Py_BEGIN_CRITICAL_SECTION(x); in(); Py_BEGIN_ALLOW_THREADS out(); Py_END_ALLOW_THREADS in(); "
        "Py_END_CRITICAL_SECTION();",
        "pthread_mutex_lock(&m); Py_BEGIN_ALLOW_THREADS in(); Py_END_ALLOW_THREADS pthread_mutex_unlock(&m);",
    ],
)
def test_locks_in_c(body):
    got, expected = held(body)
    assert got == expected
    assert got


@pytest.mark.parametrize(
    "body",
    [
        "{ std::lock_guard<std::mutex> hold(m); in(); } out();",
        "std::unique_lock<std::mutex>(m); out();",
        "std::unique_lock<std::mutex> hold{m}; in(); hold.unlock(); out();",
        "std::scoped_lock hold(a, b); in();",
        "std::shared_lock hold(m); out();",
        "m.lock(); in(); m.unlock(); out();",
        "nb::ft_lock_guard hold(m); in();",
    ],
)
def test_locks_in_cplusplus(body):
    got, expected = held(body, "a.cpp")
    assert got == expected


@pytest.mark.parametrize(
    ("before", "body"),
    [
        (
            "#define LOCK(x) PyMutex_Lock(&(x)->m)\n#define UNLOCK(x) PyMutex_Unlock(&(x)->m)",
            "LOCK(a); in(); UNLOCK(a); out();",
        ),
        ("void take(void) { PyMutex_Lock(&m); }\nvoid give(void) { PyMutex_Unlock(&m); }", "take(); in(); give(); out();"),
        ("#define BOTH PyMutex_Lock(&m); PyMutex_Unlock(&m)", "BOTH; out();"),
    ],
)
def test_a_projects_own_ways_to_lock(before, body):
    got, expected = held(body, before=before)
    assert got == expected


def test_the_init_function_may_be_named_by_a_macro():
    found = project.Project([unit("static void set(void) { }\nPyMODINIT_FUNC\nINIT_MODULE(_x)(void)\n{ set(); }")])
    assert names(found.graph.init_only) == {"INIT_MODULE", "set"}


def names(functions):
    return {one.name for one in functions}


def test_what_runs_at_import_only():
    found = project.Project([unit("""
        static void set(void) { } static void both(void) { } static void twice(int n) { if (n) twice(n - 1); }
        static int module_exec(PyObject *m) { set(); both(); twice(2); return 0; }
        static PyObject *method(PyObject *m, PyObject *a) { both(); return 0; }
        static PyMethodDef methods[] = {{"method", method, METH_O, ""}, {0}};
        static PyModuleDef_Slot slots[] = {{Py_mod_exec, (void *)module_exec}, {0, NULL}};
        static void once(void) { } void f(void) { pthread_once(&flag, once); }
        """)])  # fmt: skip
    assert names(found.graph.init_only) == {"module_exec", "set", "twice", "once"}
    method = next(one for one in found.graph.methods if one.name == "method")
    assert [(row.name, row.flags) for row in found.graph.methods[method]] == [("method", {"METH_O"})]


def test_what_only_runs_under_a_lock():
    found = project.Project([unit("""
        static void inner(void) { } static void safe(void) { inner(); } static void open_too(void) { }
        void f(void) { PyMutex_Lock(&m); safe(); open_too(); PyMutex_Unlock(&m); open_too(); }
        """)])  # fmt: skip
    assert names(found.graph.under_lock) == {"safe", "inner"}


def origin(body, params="PyObject *self, PyObject *arg, PyObject *kwargs", before=""):
    """Where the argument of ``use()`` in the last function comes from."""
    one = project.Project([unit(f"{before}\nPyObject *f({params}) {{ {body} }}")])
    function = one.units[0].shape.functions[-1]
    call = next(call for call in function.calls if call.name == "use")
    return fresh.Origins(one).of(one.units[0], function, call.args[0]).kind


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("PyObject *v = PyList_New(0); use(v);", "fresh"),
        ("PyObject *v; v = (PyObject *)PyDict_Copy(arg); use((PyObject *)v);", "fresh"),
        ("PyObject *v = PySequence_List(arg); PyList_SetItem(v, 0, x); use(v);", "fresh"),
        ("use(PyMapping_Items(arg));", "fresh"),
        ("use(kwargs);", "private"),
        ("use(arg);", "argument"),
        ("PyObject *v = arg; use(v);", "argument"),
        ('PyObject *v; PyArg_ParseTuple(arg, "O", &v); use(v);', "argument"),
        ("PyObject *v = PySequence_Fast(arg, 0); use(v);", "argument"),
        ("use(((T *)self)->items);", "field"),
        ("PyObject *v = PyList_New(0); if (a) { v = arg; } use(v);", "argument"),
        ("PyObject *v = PyList_New(0); self->list = v; use(v);", "unknown"),
        ("PyObject *v = PyList_New(0); PyDict_SetItem(d, k, v); use(v);", "unknown"),
        ("PyObject *v = PyList_New(0); PyObject_CallOneArg(g, v); use(v);", "unknown"),
        ("PyObject *v = PyObject_GetAttr(arg, k); use(v);", "result"),
        ("use(cache);", "static"),
    ],
)
def test_where_a_container_comes_from(body, kind):
    assert origin(body, before="static PyObject *cache;") == kind


@pytest.mark.parametrize(
    ("callers", "kind"),
    [
        ("void a(void) { f(PyList_New(0)); }", "fresh"),
        ("void a(PyObject *x) { f(x); }", "argument"),
        ("void a(PyObject *x) { f(PyList_New(0)); f(x); }", "argument"),
        (
            "void a(PyObject *x) { Py_BEGIN_CRITICAL_SECTION(x); f(x); Py_END_CRITICAL_SECTION(); f(PyList_New(0)); }",
            "fresh",
        ),
    ],
)
def test_a_parameter_is_what_callers_pass(callers, kind):
    one = project.Project([unit(f"static void f(PyObject *list) {{ use(list); }} {callers}")])
    function = one.units[0].shape.functions[0]
    assert fresh.Origins(one).of(one.units[0], function, function.calls[0].args[0]).kind == kind

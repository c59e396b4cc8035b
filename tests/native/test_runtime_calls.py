"""Which calls are borders: of imports however they are bound, and through pointers."""

import platform
import subprocess
import sys

import pytest

from tests.native.snippets import COMPILERS, build, races_of, run, watched_here

pytestmark = watched_here

SEE_POINTERS = [one for one in COMPILERS if one.values != ("gcc",) or platform.machine() == "x86_64"]
"""Those whose code shows calls through pointers here."""

_ORDERED = """
static volatile long shared, other;
static NOINLINE void writes(void) {{ shared++; }}
static NOINLINE long reads(void) {{ return shared; }}
{more}
static void left(void) {{ {prepare}; await(1); writes(); {call}; reach(2); await(3); }}
static void right(void) {{ {prepare}; other++; reach(1); await(2); {call}; reads(); reach(3); }}
"""


def ordered(call, more="", prepare=""):
    """A write before a call in one thread, and a read after the same call in another."""
    return _ORDERED.format(call=call, more=more, prepare=prepare)


@pytest.mark.parametrize("cc", COMPILERS)
@pytest.mark.parametrize(
    "flags", [(), ("-fno-plt",), ("-Wl,-z,lazy",), ("-Wl,-z,now,-z,relro",), ("-Wl,--hash-style=sysv",)]
)
def test_calls_of_imports_are_borders(tmp_path, cc, flags):
    outcome = races_of(tmp_path, ordered("PyErr_Clear()"), cc=cc, flags=flags)

    assert outcome.races == []


@pytest.mark.parametrize("cc", COMPILERS)
def test_a_function_whose_address_is_taken_too(tmp_path, cc):
    """The linker gives it one entry for both (.plt.got)."""
    source = ordered("PyErr_Clear()", prepare="void (*volatile pointer)(void) = PyErr_Clear")

    assert races_of(tmp_path, source, cc=cc).races == []


def test_calls_through_the_entry_alone_are_borders(tmp_path):
    """Which is what an attribute of GCC makes of them, and others do by themselves."""
    source = "void PyErr_Clear(void) __attribute__((noplt));" + ordered("PyErr_Clear()")

    assert races_of(tmp_path, source).races == []


@pytest.mark.parametrize("cc", SEE_POINTERS)
def test_calls_through_pointers_to_what_is_not_ours_are_borders(tmp_path, cc):
    source = ordered("pointer()", "static void (*volatile pointer)(void) = PyErr_Clear;")

    assert races_of(tmp_path, source, cc=cc).races == []


@pytest.mark.parametrize("cc", COMPILERS)
def test_calls_through_pointers_to_what_is_ours_are_not(tmp_path, cc):
    more = 'static NOINLINE void nothing(void) { __asm__ volatile(""); } static void (*volatile pointer)(void) = nothing;'

    assert races_of(tmp_path, ordered("pointer()", more), cc=cc).functions == {"writes", "reads"}


@pytest.mark.parametrize("cc", SEE_POINTERS)
def test_the_allocator_of_a_type_is_a_border(tmp_path, cc):
    more = "static void make(void) { PyObject *one = PyFloat_Type.tp_alloc(&PyFloat_Type, 0); Py_DECREF(one); }"

    assert races_of(tmp_path, ordered("make()", more), cc=cc).races == []


@pytest.mark.parametrize("cc", COMPILERS)
def test_an_address_stays_what_it_is_compared_with(tmp_path, cc):
    """The interpreter, and others, recognise functions by their address."""
    source = """
static volatile long shared;
static void left(void) { shared++; }
static void right(void) { shared++; }
static PyObject *same(PyObject *module, PyObject *argument)
{
    PyErr_Clear();
    return PyBool_FromLong(PyBaseObject_Type.tp_getattro == PyObject_GenericGetAttr
                           && PyList_Type.tp_alloc == PyType_GenericAlloc
                           && PyBaseObject_Type.tp_hash == PyObject_GenericHash
                           && PyType_Type.tp_call != NULL && PyList_Type.tp_repr != PyObject_Repr);
}
static PyObject *symbol(PyObject *module, PyObject *argument) { return PyLong_FromVoidPtr((void *)PyObject_Repr); }
#define MORE {"same", same, METH_NOARGS, NULL}, {"symbol", symbol, METH_NOARGS, NULL},
"""
    build(tmp_path, source, cc=cc)
    outcome = run(
        tmp_path,
        """
        import ctypes
        def body():
            mine = ctypes.cast(ctypes.pythonapi.PyObject_Repr, ctypes.c_void_p).value
            return snippet.same() and snippet.symbol() == mine
        """,
    )
    assert outcome.said is True, outcome.output


_LIBRARY = """
static volatile long shared;
void library_writes(void) { shared++; }
long library_reads(void) { return shared; }
"""


@pytest.mark.parametrize("cc", COMPILERS)
def test_private_libraries_that_are_watched_are_no_borders(tmp_path, cc):
    library = build(tmp_path, _LIBRARY, name="private", whole=True, cc=cc)
    source = """
void library_writes(void);
long library_reads(void);
static void left(void) { library_writes(); reach(1); await(2); }
static void right(void) { await(1); library_reads(); reach(2); }
"""
    outcome = races_of(tmp_path, source, cc=cc, link=(str(library), f"-Wl,-rpath,{tmp_path}"))

    assert outcome.functions == {"library_writes", "library_reads"}
    assert "left" in outcome.text  # the stack goes on in the other module
    assert "right" in outcome.text


def test_versions_of_symbols(tmp_path):
    """Bound at the first call, the version that was linked with is the one to be called."""
    script = tmp_path / "versions.map"
    script.write_text("ONE { global: which; local: *; };\nTWO { global: which; } ONE;\n")
    library = """
    __asm__(".symver which_one, which@@ONE");
    __asm__(".symver which_two, which@TWO");
    int which_one(void) { return 1; }
    int which_two(void) { return 2; }
    """.replace("which@@ONE", "which@ONE").replace("which@TWO", "which@@TWO")
    private = build(
        tmp_path, library, name="versions", whole=True, instrumented=False, flags=(f"-Wl,--version-script={script}",)
    )
    source = """
    __asm__(".symver which, which@ONE");
    int which(void);
    static volatile long shared;
    static void left(void) { shared++; }
    static void right(void) { shared++; }
    static PyObject *values(PyObject *module, PyObject *argument) { return PyLong_FromLong(which()); }
    #define MORE {"values", values, METH_NOARGS, NULL},
    """
    # Linked by the compiler itself, since ftcheck-cc has everything bound at once.
    build(tmp_path, source, link=(str(private), f"-Wl,-rpath,{tmp_path}", "-Wl,-z,lazy"))
    outcome = run(
        tmp_path,
        "def body():\n    return snippet.values()",
        begin="import os, sys\nsys.setdlopenflags(os.RTLD_LAZY)\n",
    )
    assert outcome.said == 1, outcome.output


def test_two_modules_of_one_name(tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        build(
            tmp_path / folder,
            f"""
static volatile long shared_{folder};
static NOINLINE void writes_{folder}(void) {{ shared_{folder}++; }}
static void left(void) {{ writes_{folder}(); reach(1); await(2); }}
static void right(void) {{ await(1); writes_{folder}(); reach(2); }}
""",
        )
        (tmp_path / folder / "__init__.py").write_text("")
    outcome = run(
        tmp_path,
        """
        from two import snippet as second
        def body():
            both(snippet.left, snippet.right)
            both(second.left, second.right)
        """,
        name="one.snippet",
    )
    assert outcome.status == 0, outcome.output
    assert outcome.functions == {"writes_one", "writes_two"}


_PLUGIN = """
static volatile long shared_NUMBER;
__attribute__((visibility("default"))) void plugin(int what)
{
    if (what) { shared_NUMBER++; }
}
"""


def test_what_an_extension_loads_and_unloads(tmp_path):
    """What comes to where another one was is taken in like any other."""
    first = build(tmp_path, _PLUGIN.replace("NUMBER", "one"), name="first", whole=True)
    second = build(tmp_path, _PLUGIN.replace("NUMBER", "two"), name="other", whole=True)
    source = """
#include <dlfcn.h>
static void (*plugin)(int);
static void *handle;
static PyObject *load(PyObject *module, PyObject *argument)
{
    handle = dlopen(PyUnicode_AsUTF8(argument), RTLD_NOW);
    plugin = (void (*)(int))dlsym(handle, "plugin");
    return PyLong_FromVoidPtr((void *)plugin);
}
static PyObject *unload(PyObject *module, PyObject *argument) { return PyLong_FromLong(dlclose(handle)); }
static void left(void) { plugin(1); reach(1); await(2); }
static void right(void) { await(1); plugin(1); reach(2); }
#define MORE {"load", load, METH_O, NULL}, {"unload", unload, METH_NOARGS, NULL},
"""
    build(tmp_path, source)
    outcome = run(
        tmp_path,
        f"""
        def body():
            places = []
            for path in ({str(first)!r}, {str(second)!r}, {str(first)!r}):
                places.append(snippet.load(path))
                both(snippet.left, snippet.right)
                assert snippet.unload() == 0
                snippet.again()
            return places
        """,
    )
    assert outcome.status == 0, outcome.output
    assert "shared_one" in outcome.text
    assert "shared_two" in outcome.text


@pytest.mark.parametrize("cc", COMPILERS)
def test_what_code_says_to_a_thread_sanitizer_is_there(tmp_path, cc):
    """Its interface, where code asks for it, and atomics of sixteen bytes; without ftcheck as well."""
    source = """
#if defined(__clang__)
_Static_assert(__has_feature(thread_sanitizer), "compiled for it");
#else
_Static_assert(__SANITIZE_THREAD__, "compiled for it");
#endif
void AnnotateHappensBefore(const char *, int, const volatile void *);
void AnnotateHappensAfter(const char *, int, const volatile void *);
void __tsan_acquire(void *);
void __tsan_release(void *);
void __tsan_mutex_post_lock(void *, unsigned, int);
int __tsan_mutex_pre_unlock(void *, unsigned);
static volatile long shared, other;
static NOINLINE void writes(void) { shared++; }
static NOINLINE long reads(void) { return shared; }
static void left(void) { await(1); writes(); AnnotateHappensBefore("", 1, (void *)&shared); reach(2); await(3); }
static void right(void) { other++; reach(1); await(2); AnnotateHappensAfter("", 1, (void *)&shared); reads(); reach(3); }
static unsigned __int128 wide;
static PyObject *values(PyObject *module, PyObject *argument)
{
    unsigned __int128 expected = 5, big = (unsigned __int128)1 << 100;
    __atomic_store_n(&wide, 5, __ATOMIC_SEQ_CST);
    int done = __atomic_compare_exchange_n(&wide, &expected, big, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    __atomic_fetch_add(&wide, 7, __ATOMIC_SEQ_CST);
    int not_done = __atomic_compare_exchange_n(&wide, &expected, 1, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    __tsan_release(&wide); __tsan_acquire(&wide); __tsan_mutex_post_lock(&wide, 0, 0);
    unsigned __int128 now = __atomic_load_n(&wide, __ATOMIC_SEQ_CST);
    return Py_BuildValue("iiiKK", done, not_done, __tsan_mutex_pre_unlock(&wide, 0), (unsigned long long)(now >> 64),
                         (unsigned long long)now);
}
#define MORE {"values", values, METH_NOARGS, NULL},
"""
    build(tmp_path, source, cc=cc, flags=("-mcx16",) if platform.machine() == "x86_64" else ())
    outcome = run(
        tmp_path,
        """
        def body():
            both(snippet.left, snippet.right)
            return snippet.values()
        """,
    )
    expected = [1, 0, 1, 1 << 36, 7]
    assert outcome.said == expected, outcome.output
    assert outcome.races == []
    alone = subprocess.run(
        [sys.executable, "-c", "import snippet; print(list(snippet.values()))"],
        capture_output=True, text=True, cwd=tmp_path, check=False,
    )  # fmt: skip
    assert alone.stdout.strip() == str(expected), alone.stderr

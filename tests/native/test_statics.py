"""The watch over static state: which variables a test is said to have written, and which writes are the interpreter's."""

import gc
import sys
import threading
import weakref

import pytest

from ftcheck import _core
from ftcheck.native import noise
from ftcheck.native.statics import StaticWatch

from .building import compiled, imported, source, stripped

pytestmark = pytest.mark.skipif(not hasattr(_core, "static_changes"), reason="only on Linux is it known where things are")


@pytest.fixture
def load(tmp_path):
    """``load(name, text)``: that module, compiled and imported; gone from ``sys.modules`` afterwards."""
    names = []

    def one(name, text, *options, strip=False, **how):
        path = compiled(tmp_path, name, text, *options, **how)
        names.append(name)
        return imported(stripped(path) if strip else path, name)

    yield one
    for name in names:
        sys.modules.pop(name, None)


@pytest.fixture
def watch():
    """``watch(names)``: begun, with a test in progress."""
    begun = []

    def one(*names):
        begun.append(StaticWatch(names, "p"))
        begun[-1].begin()
        begun[-1].start("t.py::test")
        return begun[-1]

    yield one
    for each in begun:
        each.end()


def rows(run):
    return [(one.place.name, one.place.section, one.place.size, one.old, one.new) for one in run.writes]


COUNTER = source(
    "st_counter",
    "static long long counter; static volatile int small = 7, other = 7; static char text[24]; static PyMutex mutex;",
    {
        "count": "counter++",
        "shrink": "small = (int)PyLong_AsLong(arg)",
        "write": "strcpy(text + 8, PyUnicode_AsUTF8(arg))",
        "lock": "PyMutex_Lock(&mutex); counter = 77; PyMutex_Unlock(&mutex)",
        "nothing": "counter = counter + 0 * other",
    },
)


def test_a_variable_is_named_and_has_its_value_before_and_after(load, watch):
    module = load("st_counter", COUNTER)
    seen = watch("st_counter")
    module.count(0)
    module.count(0)
    assert rows(seen.finish()) == [("counter", ".bss", 8, "00" * 8, "02" + "00" * 7)]


def test_a_variable_that_shares_its_word_with_another_one_is_told_from_it(load, watch):
    """Both are four bytes, beside each other."""
    module = load("st_counter", COUNTER)
    seen = watch("st_counter")
    module.shrink(9)
    assert rows(seen.finish()) == [("small", ".data", 4, "07000000", "09000000")]


def test_of_an_array_the_changed_part_is_told(load, watch):
    module = load("st_counter", COUNTER)
    seen = watch("st_counter")
    module.write("abc")
    (write,) = seen.finish().writes
    assert (write.place.name, write.place.size, write.at, write.changed) == ("text", 24, 8, 8)
    assert (write.old, write.new) == ("00" * 8, b"abc".hex() + "00" * 5)


def test_a_lock_that_is_given_back_is_no_write(load, watch):
    module = load("st_counter", COUNTER)
    seen = watch("st_counter")
    module.lock(0)
    assert [one.place.name for one in seen.finish().writes] == ["counter"]


def test_no_write_is_no_row(load, watch):
    module = load("st_counter", COUNTER)
    seen = watch("st_counter")
    module.nothing(0)
    run = seen.finish()
    assert run.writes == run.left_out == ()
    assert [one.problem for one in run.images] == [""]


def test_each_test_has_its_own_writes(load, watch):
    module = load("st_counter", COUNTER)
    seen = watch("st_counter")
    module.count(0)
    first = seen.finish()
    module.count(0)  # between the tests: nobody's
    seen.start("t.py::second")
    second = seen.finish()
    seen.start("t.py::third")
    module.shrink(3)
    third = seen.finish()
    assert [rows(one)[0][0] if rows(one) else "" for one in (first, second, third)] == ["counter", "", "small"]
    assert [one.number for one in (first, second, third)] == [0, 1, 2]
    assert [len(one.images) for one in (first, second, third)] == [1, 0, 0]


def test_parts_of_a_test_are_told_apart(load, watch):
    """A variable that is back at the end where it was has been written all the same."""
    module = load("st_counter", COUNTER)
    seen = watch("st_counter")
    module.shrink(9)
    seen.next_part()
    seen.next_part()
    module.count(0)
    module.shrink(7)
    seen.next_part()
    run = seen.finish()
    assert {one.place.name: one.when for one in run.writes} == {"small": (0, 2), "counter": (2,)}
    assert run.parts == 4
    (small,) = [one for one in run.writes if one.place.name == "small"]
    assert (small.old, small.new) == ("07000000", "07000000")


def test_what_any_thread_writes_counts(load, watch):
    module = load("st_counter", COUNTER)
    seen = watch("st_counter")
    threads = [threading.Thread(target=module.count, args=(0,)) for _ in range(3)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert [one[0] for one in rows(seen.finish())] == ["counter"]


def test_a_stripped_module_gives_offsets(load, watch):
    module = load("st_counter", COUNTER, strip=True)
    seen = watch("st_counter")
    module.count(0)
    module.shrink(9)
    run = seen.finish()
    assert sorted((one.place.section, one.place.size, one.place.name) for one in run.writes) == [
        (".bss", 8, ""),
        (".data", 8, ""),
    ]


def test_words_without_a_name_that_were_written_in_different_parts_stay_apart(load, watch):
    text = source("st_pair", "static long pair[2] = {1, 1};", {"both": "pair[0]++; pair[1]++", "second": "pair[1]++"})
    module = load("st_pair", text, strip=True)
    seen = watch("st_pair")
    module.both(0)
    seen.next_part()
    module.second(0)
    run = seen.finish()
    assert sorted((one.place.size, one.when) for one in run.writes) == [(8, (0,)), (8, (0, 1))]


# --- what is the interpreter's own ------------------------------------------------------------------------------

TYPES = source(
    "st_types",
    """
    static PyObject *value(PyObject *self, void *p) { return PyLong_FromLong(1); }
    static PyGetSetDef getset[] = { {"value", value, NULL, NULL, NULL}, {0} };
    static PyTypeObject Type = { PyVarObject_HEAD_INIT(NULL, 0) .tp_name = "st_types.Type",
        .tp_basicsize = sizeof(PyObject), .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, .tp_getset = getset,
        .tp_new = PyType_GenericNew };
    static PyTypeObject Late = { PyVarObject_HEAD_INIT(NULL, 0) .tp_name = "st_types.Late",
        .tp_basicsize = sizeof(PyObject), .tp_flags = Py_TPFLAGS_DEFAULT };
    static PyObject counted;
    """,
    {
        "ready": "if (PyType_Ready(&Late) < 0) return NULL",
        "keep": "Py_SET_REFCNT(&counted, 5); PyList_Append(arg, &counted)",
        "rename": 'Type.tp_doc = "new"',
    },
    fill="""
    if (PyType_Ready(&Type) < 0 || PyModule_AddObjectRef(module, "Type", (PyObject *)&Type) < 0) return -1;
    PyObject_Init(&counted, &Type); Py_SET_REFCNT(&counted, 3);
    if (PyModule_AddObjectRef(module, "counted", &counted) < 0) return -1;
    """,
)


def used_all_over(module):
    """What makes the interpreter write into a static type: subclasses, weak references, lookups."""
    subclass = type("Sub", (module.Type,), {})
    kept = [weakref.ref(module.Type), subclass, *[subclass().value for _ in range(50)], module.Type().value]
    gc.collect()
    return kept


@pytest.mark.parametrize("strip", [False, True])
def test_what_the_interpreter_writes_into_a_static_type_is_left_out(load, watch, strip):
    module = load("st_types", TYPES, strip=strip)
    seen = watch("st_types")
    kept = used_all_over(module)
    run = seen.finish()
    assert kept
    assert run.writes == ()
    assert {what for _, what, _ in run.left_out} == {noise.TYPE}


@pytest.mark.parametrize("strip", [False, True])
def test_reference_counts_of_static_objects_are_left_out(load, watch, strip):
    module = load("st_types", TYPES, strip=strip)
    kept = []
    seen = watch("st_types")
    for _ in range(20):
        kept.append(module.counted)
    run = seen.finish()
    assert run.writes == ()
    assert {what for _, what, _ in run.left_out} == {noise.HEADER}
    kept.clear()


def test_what_the_module_writes_into_its_type_is_a_row(load, watch):
    module = load("st_types", TYPES)
    seen = watch("st_types")
    module.rename(0)
    assert [(one.place.name, one.changed, one.place.note) for one in seen.finish().writes] == [("Type", 8, "")]


@pytest.mark.parametrize(("strip", "name"), [(False, "Late"), (True, "")])
def test_a_type_that_is_made_ready_in_a_test_is_one_row(load, watch, strip, name):
    module = load("st_types", TYPES, strip=strip)
    seen = watch("st_types")
    module.ready(0)
    (write,) = seen.finish().writes
    assert (write.place.name, write.place.note) == (name, noise.READY)
    assert write.place.size == _core.static_layouts()["type"]


@pytest.mark.parametrize("strip", [False, True])
def test_variables_before_a_pointer_to_a_type_are_no_header(load, watch, strip):
    """A table of cached types looks like an object: a pointer, and where an object's type would be, a pointer to a type."""
    text = source(
        "st_table",
        "static void *volatile table[12];",
        {
            "fill": """PyTypeObject *all[] = {&PyDict_Type, &PyList_Type, &PyLong_Type, &PyTuple_Type};
                       for (int i = 0; i < 12; i++) table[i] = all[i % 4]""",
        },
    )
    module = load("st_table", text, strip=strip)
    seen = watch("st_table")
    module.fill(0)
    run = seen.finish()
    assert run.left_out == ()
    assert [one.place.size for one in run.writes] == [96]


@pytest.mark.parametrize("strip", [False, True])
def test_counters_before_a_pointer_to_a_type_are_no_reference_counts(load, watch, strip):
    """Together they are as large as a header, and the type is where an object has its own."""
    text = source(
        "st_lookalike",
        """static struct { volatile long zero, zeros, count; PyTypeObject *volatile type; } s = {0, 0, 1, 0};
           static struct { volatile int a, b; PyTypeObject *volatile type; } t = {0, 0, 0};""",
        {"fill": "s.type = &PyDict_Type; t.type = &PyList_Type", "count": "s.count += 4; t.a++"},
    )
    module = load("st_lookalike", text, strip=strip)
    module.fill(0)
    seen = watch("st_lookalike")
    module.count(0)
    run = seen.finish()
    assert run.left_out == ()
    assert sum(one.changed for one in run.writes) == 16


def test_argument_parsers_are_named_as_such(load, watch):
    text = source(
        "st_parser",
        "",
        {
            "parse": """static const char * const keywords[] = {"x", NULL};
                     static _PyArg_Parser _parser = {.keywords = keywords, .fname = "parse"};
                     PyObject *values[1]; PyObject *in[] = {arg};
                     if (!_PyArg_UnpackKeywords(in, 1, NULL, NULL, &_parser, 1, 1, 0, 0, values)) return NULL"""
        },
    )
    module = load("st_parser", text)
    seen = watch("st_parser")
    module.parse(1)
    assert {one.place.note for one in seen.finish().writes} == {noise.PARSER}


# --- imports ----------------------------------------------------------------------------------------------------

IMPORTS = source(
    "st_outer",
    "static long filled, called;",
    {"call": "called++"},
    fill="""filled = 1; PyObject *inner = PyImport_ImportModule("st_inner"); if (inner == NULL) return -1;
            Py_DECREF(inner); filled = 2;""",
)
INNER = source("st_inner", "static long inside;", {"touch": "inside++"}, fill="inside = 5;")


def test_what_is_written_while_it_is_imported_in_a_test_is_not_counted(tmp_path, watch, monkeypatch):
    """Nor what a module writes after it has imported another one."""
    compiled(tmp_path, "st_outer", IMPORTS)
    compiled(tmp_path, "st_inner", INNER)
    monkeypatch.syspath_prepend(tmp_path)
    seen = watch("st_*")
    import st_outer

    st_outer.call(0)
    run = seen.finish()
    sys.modules.pop("st_outer")
    sys.modules.pop("st_inner")
    assert [one[0] for one in rows(run)] == ["called"]
    assert {one.modules: one.imported_by for one in run.images} == {
        ("st_outer",): "t.py::test",
        ("st_inner",): "t.py::test",
    }


def test_an_import_that_fails_leaves_no_trace(tmp_path, watch, monkeypatch):
    compiled(tmp_path, "st_broken", source("st_broken", fill='PyErr_SetString(PyExc_OSError, "no"); return -1;'))
    monkeypatch.syspath_prepend(tmp_path)
    seen = watch("st_*")
    with pytest.raises(OSError, match="no"):
        import st_broken  # noqa: F401
    assert seen.finish().images == ()


def test_the_loader_is_put_back(watch):
    from importlib.machinery import ExtensionFileLoader

    before = ExtensionFileLoader.exec_module
    seen = watch("st_*")
    assert ExtensionFileLoader.exec_module is not before
    seen.end()
    assert ExtensionFileLoader.exec_module is before


# --- what cannot be watched -------------------------------------------------------------------------------------


def test_a_module_without_writable_memory(load, watch):
    """Its definition is on the heap, and it is linked without what a compiler adds."""
    text = """
    #include <Python.h>
    static const PyModuleDef_Slot slots[] = { {Py_mod_gil, Py_MOD_GIL_NOT_USED}, {0, NULL} };
    PyMODINIT_FUNC PyInit_st_empty(void) {
        PyModuleDef *d = calloc(1, sizeof *d); PyModuleDef init = { PyModuleDef_HEAD_INIT, .m_name = "st_empty" };
        *d = init; d->m_slots = (PyModuleDef_Slot *)slots; return PyModuleDef_Init(d);
    }
    """
    load("st_empty", text, "-nostartfiles")
    run = watch("st_empty").finish()
    assert [(one.sections, one.problem) for one in run.images] == [((), "")]


def test_a_file_that_was_replaced_after_loading_is_not_believed(load, watch, tmp_path):
    module = load("st_counter", COUNTER)
    path = tmp_path / module.__spec__.origin.rpartition("/")[2]
    path.unlink()
    compiled(tmp_path, "st_counter", COUNTER)
    (image,) = watch("st_counter").finish().images
    assert "replaced or removed" in image.problem


def test_memory_that_is_gone_is_said(load, watch):
    """As if it were unloaded, which the interpreter never does with a module."""
    load("st_counter", COUNTER)
    seen = watch("st_counter")
    seen.finish()
    import dataclasses

    for one in seen._sections:
        one.image = dataclasses.replace(one.image, base=16)
    seen.start("t.py::later")
    run = seen.finish()
    assert {one.problem for one in run.images} == {"it was unloaded"}


# --- the comparison ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 7, 8, 9, 40, 65535, 65536, 65537, 200003])
def test_changes_come_word_by_word_and_none_is_missed(size):
    import ctypes
    import random

    draw = random.Random(size)
    memory = (ctypes.c_char * size).from_buffer(bytearray(draw.randbytes(size)))
    address = ctypes.addressof(memory)
    copy = _core.static_copy(address, size)
    assert bytes(copy) == bytes(memory)
    assert _core.static_changes(address, copy) == []
    for _ in range(20):
        before = bytes(memory)
        for at in draw.choices(range(size), k=draw.randrange(1, 5)):
            memory[at] = bytes([(memory[at][0] + 1) % 256])
        after = bytes(memory)
        found = _core.static_changes(address, copy)
        patched = bytearray(before)
        for offset, old, new in found:
            assert offset % 8 == 0
            assert before[offset : offset + len(old)] == old
            patched[offset : offset + len(new)] = new
            for word in range(0, len(old), 8):
                assert old[word : word + 8] != new[word : word + 8]
        assert bytes(patched) == after == bytes(copy)
        assert _core.static_changes(address, copy) == []


def test_memory_that_is_not_mapped_is_no_crash():
    assert _core.static_copy(4096, 64) is None
    assert _core.static_changes(4096, bytearray(64)) is None

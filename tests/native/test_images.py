"""What ELF files say of themselves, which of them belong to a module, which locks they take, and names for people."""

import ctypes
import os
import struct
import sys

import pytest

from ftcheck import elf, locking
from ftcheck.elf import Elf, UnreadableError
from ftcheck.native import images, symbols
from ftcheck.native.statics import StaticWatch

from .building import compiled, imported, source, stripped

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="ELF, and /proc")

VARIABLES = source(
    "im_variables",
    """
    static __thread long of_thread; static volatile long zero, set = 3; static const long constant = 4;
    __attribute__((section(".mydata"))) static volatile long placed = 5; static void *const relocated[] = {&PyDict_Type};
    """,
    {"touch": "zero++; set++; placed++; of_thread++", "look": "return PyLong_FromVoidPtr(relocated[PyLong_AsLong(arg)])"},
)


def without_section_headers(path):
    """As some tools that make files small leave them."""
    data = bytearray(path.read_bytes())
    struct.pack_into("<Q", data, 0x28, 0)
    struct.pack_into("<HH", data, 0x3C, 0, 0)
    path.write_bytes(data)
    return path


def test_only_state_is_taken_for_state(tmp_path):
    file = Elf(str(compiled(tmp_path, "im_variables", VARIABLES)))
    assert {one.name for one in file.sections} == {".data", ".bss", ".mydata"}
    names = {one.name for one in file.variables}
    assert {"zero", "set", "placed", "methods", "definition"} <= names
    assert not names & {"of_thread", "constant", "relocated"}


@pytest.mark.parametrize("options", [["-Wl,-z,norelro"], ["-Wl,-z,lazy"], ["-Wl,-z,now", "-Wl,-z,relro"]])
def test_the_slots_of_the_dynamic_linker_are_none(tmp_path, options):
    file = Elf(str(compiled(tmp_path, "im_variables", VARIABLES, *options)))
    assert {one.name for one in file.sections} == {".data", ".bss", ".mydata"}


def test_stripped_files_have_sections_imports_and_no_variables(tmp_path):
    whole = Elf(str(compiled(tmp_path, "im_variables", VARIABLES)))
    bare = Elf(str(stripped(compiled(tmp_path, "im_variables", VARIABLES))))
    assert bare.sections == whole.sections
    assert bare.imports == whole.imports
    assert "PyModuleDef_Init" in bare.imports
    assert bare.variables == ()


@pytest.mark.parametrize("options", [["-Wl,-z,lazy"], ["-Wl,-z,now", "-Wl,-z,relro"], ["-Wl,-z,norelro"]])
def test_without_section_headers_segments_are_state_but_for_the_linkers_slots(tmp_path, options):
    """The module is used, so functions are bound lazily in the middle of the test: that is no write."""
    whole = Elf(str(compiled(tmp_path, "im_variables", VARIABLES, *options)))
    path = without_section_headers(compiled(tmp_path, "im_variables", VARIABLES, *options))
    file = Elf(str(path))
    assert file.imports == whole.imports
    assert file.variables == ()
    state = {address for one in whole.sections for address in range(one.address, one.address + one.size, 8)}
    covered = {address for one in file.sections for address in range(one.address, one.address + one.size, 8)}
    assert state <= covered
    module = imported(path, "im_variables")
    watch = StaticWatch(("im_variables",), "p")
    watch.begin()
    watch.start("t")
    module.touch(0)
    assert module.look(0)
    run = watch.finish()
    watch.end()
    sys.modules.pop("im_variables")
    assert sorted(one.place.size for one in run.writes) in ([8, 8, 8], [8, 16])
    assert {one.place.section for one in run.writes} == {"(writable)"}


@pytest.mark.parametrize("content", [b"", b"no ELF", b"\x7fELF\x01\x01\x01" + bytes(60), b"\x7fELF\x02\x01\x01" + bytes(20)])
def test_what_is_no_file_to_be_read_is_said_to_be(tmp_path, content):
    path = tmp_path / "x.so"
    path.write_bytes(content)
    with pytest.raises(UnreadableError):
        Elf(str(path))
    with pytest.raises(UnreadableError):
        Elf(str(tmp_path / "missing.so"))


def test_addresses_are_those_of_the_process(tmp_path):
    """A variable that a library exports: where ctypes finds it, and what it holds."""
    path = compiled(tmp_path, "libim", "int before[3000]; int answer = 42; int *get(void) { return &answer; }", plain=True)
    library = ctypes.CDLL(str(path))
    known = images.mapped()[os.path.realpath(path)]
    file = elf.read(known.path, known.identity)
    (symbol,) = [one for one in file.variables if one.name == "answer"]
    library.get.restype = ctypes.c_void_p
    assert elf.base_of(file, known.start, known.offset) + symbol.address == library.get()


def test_variables_in_a_range(tmp_path):
    text = "__attribute__((aligned(16))) char a[10] = {1}; char gap = 1; __attribute__((aligned(64))) long b[2] = {1};"
    file = Elf(str(compiled(tmp_path, "libvars", text, "-nostartfiles", plain=True)))
    by_name = {one.name: one for one in file.variables}
    a, b = by_name["a"], by_name["b"]
    assert [one.name for one in file.variables_in(a.address + 9, a.address + 10)] == ["a"]
    first, last = sorted([a, b], key=lambda one: one.address)
    inside = [one.name for one in file.variables_in(first.address, last.address + 1)]
    assert (inside[0], inside[-1]) == (first.name, last.name)
    assert [one.name for one in file.variables_in(b.address + 8, b.address + 9)] == ["b"]
    assert "b" not in [one.name for one in file.variables_in(b.address + 16, b.address + 24)]
    assert set(by_name) == {"a", "gap", "b"}


# --- which of them belong to a module -------------------------------------------------------------------------------

LIBRARY = "static volatile long calls; long note(void) { return ++calls; }"
USES = source("_uses", "extern long note(void);", {"call": "note()"})


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    """An installed package with a library in ``imwheel.libs``, under a name as auditwheel makes it; and its module."""
    folder, libraries = tmp_path / "site" / "imwheel", tmp_path / "site" / "imwheel.libs"
    folder.mkdir(parents=True)
    libraries.mkdir()
    (folder / "__init__.py").touch()
    library = compiled(libraries, "libnote-1a2b3c4d", LIBRARY, "-Wl,-soname,libnote-1a2b3c4d.so", plain=True)
    compiled(folder, "_uses", USES, str(library), "-Wl,-rpath,$ORIGIN/../imwheel.libs")
    stripped(library)
    monkeypatch.syspath_prepend(tmp_path / "site")
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "imwheel"]:
        del sys.modules[name]


def test_the_libraries_of_a_wheel_are_watched_with_its_module(wheel):
    import imwheel._uses

    watch = StaticWatch(("imwheel.*",), "p")
    watch.begin()
    watch.start("t")
    imwheel._uses.call(0)
    run = watch.finish()
    watch.end()
    assert {(os.path.basename(one.file).partition(".")[0], one.library, one.modules) for one in run.images} == {
        ("_uses", False, ("imwheel._uses",)),
        ("libnote-1a2b3c4d", True, ("imwheel._uses",)),
    }
    (write,) = run.writes
    assert os.path.basename(write.place.file) == "libnote-1a2b3c4d.so"
    assert (write.place.section, write.place.size, write.new) == (".bss", 8, "01" + "00" * 7)


def test_libraries_of_the_system_are_not(wheel):
    import imwheel._uses  # noqa: F401

    loaded = images.of_modules({"imwheel._uses": sys.modules["imwheel._uses"].__spec__.origin}, images.mapped())
    assert not [one.path for one in loaded if "imwheel" not in one.path]


MAPS = """\
7f00-7f10 r--p 00000000 fe:01 12 /site/pkg/mod.so
7f10-7f20 rw-p 00001000 fe:01 12 /site/pkg/mod.so
8000-8010 r--p 00000000 fe:01 13 /site/pkg/with space.so (deleted)
9000-9010 rw-p 00000000 00:00 0
9010-9020 rw-p 00000000 00:00 0 [heap]
"""


def test_the_map_of_a_process():
    found = images.read_maps(MAPS.splitlines(keepends=True))
    assert set(found) == {"/site/pkg/mod.so", "/site/pkg/with space.so"}
    first = found["/site/pkg/mod.so"]
    assert (first.start, first.offset, first.identity[1], first.deleted) == (0x7F00, 0, 12, False)
    assert found["/site/pkg/with space.so"].deleted


def test_a_file_with_another_number_is_known_by_its_content(tmp_path, monkeypatch):
    """As in a container, where the kernel may name the file of another layer."""
    import dataclasses

    path = compiled(tmp_path, "im_variables", VARIABLES)
    imported(path, "im_variables")
    sys.modules.pop("im_variables")
    name = os.path.realpath(path)
    known = images.mapped()[name]
    other = {name: dataclasses.replace(known, identity=(known.identity[0], known.identity[1] + 1))}
    (loaded,) = images.of_modules({"im_variables": name}, other)
    assert (loaded.problem, loaded.file is not None) == ("", True)
    moved = {name: dataclasses.replace(other[name], start=known.start + 4096)}
    (wrong,) = images.of_modules({"im_variables": name}, moved)
    assert "replaced or removed" in wrong.problem


# --- locks ------------------------------------------------------------------------------------------------------------

LOCKS = {
    "PyMutex": "static PyMutex m; static void use(void) { PyMutex_Lock(&m); PyMutex_Unlock(&m); }",
    "critical sections": "static void use(void) { Py_BEGIN_CRITICAL_SECTION(Py_None); Py_END_CRITICAL_SECTION(); }",
    "PyThread locks": "static void use(void) { PyThread_acquire_lock(PyThread_allocate_lock(), 1); }",
    "pthread mutexes": "#include <pthread.h>\nstatic pthread_mutex_t m; static void use(void) { pthread_mutex_lock(&m); }",
    "pthread read-write locks": "#include <pthread.h>\npthread_rwlock_t m; void use(void) { pthread_rwlock_wrlock(&m); }",
    "C11 mutexes": "#include <threads.h>\nstatic mtx_t m; static void use(void) { mtx_lock(&m); }",
    "semaphores": "#include <semaphore.h>\nstatic sem_t m; static void use(void) { sem_wait(&m); }",
}


@pytest.mark.parametrize("kind", LOCKS)
@pytest.mark.parametrize("strip", [False, True])
def test_each_kind_of_lock_shows(tmp_path, kind, strip):
    path = compiled(tmp_path, "im_locks", source("im_locks", LOCKS[kind], {"call": "use()"}))
    seen = locking.of(Elf(str(stripped(path) if strip else path)))
    assert seen.locks == (kind,)
    assert seen.once == ()


NAMES = [
    "PyMutex_Lock", "PyMutex_LockTimed", "PyCriticalSection_Begin", "PyCriticalSection2_BeginMutex", "PyThread_acquire_lock",
    "PyThread_acquire_lock_timed", "pthread_mutex_lock", "__pthread_mutex_trylock", "pthread_rwlock_clockwrlock",
    "pthread_spin_trylock", "mtx_lock", "mtx_timedlock", "sem_trywait", "sem_clockwait", "GOMP_critical_start",
    "GOMP_critical_name_start", "GOMP_atomic_start", "__kmpc_critical", "__kmpc_critical_with_hint", "omp_set_lock",
    "omp_set_nest_lock", "_ZN3tbb5mutex11scoped_lock7acquireEv", "_ZN4absl5Mutex4LockEv",
    "_ZN4absl12lts_202308025Mutex4lockEv",
    "__atomic_load", "__atomic_fetch_add_8", "__atomic_compare_exchange_16", "pthread_once", "__pthread_once", "call_once",
    "_ZSt9call_onceIRFvvEJEEvRSt9once_flagOT_", "__once_proxy", "_ZNSt9once_flag18_Prepare_executionC2E",
    "__cxa_guard_acquire",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_each_name_of_a_lock_is_found_among_functions_that_a_file_defines(tmp_path, name):
    """The search that sorts out most names leaves none of them out."""
    text = f'void before_{name}_after(void) {{}}\nvoid same(void) __asm__("{name}"); void same(void) {{}}\n'
    seen = locking.of(Elf(str(compiled(tmp_path, "liblocks", text, plain=True))))
    assert len(seen.locks) + len(seen.once) == 1


@pytest.mark.parametrize("name", ["xmtx_lock", "sem_post", "blocked", "pthread_mutex_unlock", "recall_once_more", "mutex"])
def test_other_names_are_no_locks(tmp_path, name):
    seen = locking.of(Elf(str(compiled(tmp_path, "liblocks", f"void {name}(void) {{}}\n", plain=True))))
    assert (seen.locks, seen.once) == ((), ())


def test_functions_are_found_by_a_part_of_their_name_also_in_strings_that_others_share(tmp_path):
    """Linkers keep ``lock_me`` only as the end of ``do_lock_me``."""
    text = "void lock_me(void) {}\nvoid do_lock_me(void) {}\nstatic int lock_it;\nint *other(void) { return &lock_it; }\n"
    file = Elf(str(compiled(tmp_path, "libparts", text, plain=True)))
    assert file.functions_with(["lock_"]) == {"lock_me", "do_lock_me"}
    assert file.functions_with(["nothing", "oth"]) == {"other"}
    assert file.functions_with([]) == frozenset()


def test_no_lock_shows_where_there_is_none(tmp_path):
    text = source("im_locks", "#include <stdatomic.h>\nstatic atomic_long n;", {"call": "atomic_fetch_add(&n, 1)"})
    assert locking.of(Elf(str(compiled(tmp_path, "im_locks", text)))).locks == ()


def test_what_is_done_once_shows(tmp_path):
    text = (
        "#include <pthread.h>\nstatic pthread_once_t o; static void fill(void) {} void use(void) { pthread_once(&o, fill); }"
    )
    seen = locking.of(Elf(str(compiled(tmp_path, "libonce", text, plain=True))))
    assert (seen.locks, seen.once) == ((), ("pthread_once",))


CPP = """
#include <mutex>
#include <string>
namespace shop { std::mutex m; static std::string *last; struct Stock { Stock(); int n; }; Stock::Stock() : n(1) {} }
extern "C" int touch(int n) {
    static shop::Stock stock;
    std::lock_guard<std::mutex> hold(shop::m);
    return stock.n += n;
}
"""


def test_cpp_mutexes_are_pthreads_and_local_statics_have_guards(tmp_path):
    file = Elf(str(compiled(tmp_path, "libcpp", CPP, language="c++", plain=True)))
    seen = locking.of(file)
    assert "pthread mutexes" in seen.locks
    assert seen.once == ("C++ guards of local statics",)
    names = symbols.readable([one.name for one in file.variables])
    assert {"shop::m", "touch::stock", "guard variable for touch::stock"} <= set(names.values())


def test_names_of_cython_are_read():
    names = ["__pyx_v_3pkg_3mod_counter", "__pyx_v_3mod_x_y", "__pyx_ptype_3pkg_3mod_Type", "__pyx_mstate_global_static",
             "plain", "__pyx_v_9short_x", "_Zx"]  # fmt: skip
    read = symbols.readable(names)
    assert read["__pyx_v_3pkg_3mod_counter"] == "pkg.mod.counter"
    assert read["__pyx_v_3mod_x_y"] == "mod.x_y"
    assert read["__pyx_ptype_3pkg_3mod_Type"] == "pkg.mod.Type"
    assert not {"__pyx_mstate_global_static", "plain", "__pyx_v_9short_x"} & read.keys()

"""Locks: what they order, inline and by calls, and what a report says of them."""

import pytest

from tests.native.snippets import COMPILERS, races_of, watched_here

pytestmark = watched_here

_LOCKED = """
{declare}
static volatile long shared;
static NOINLINE void writes(void) {{ {lock}; shared++; {unlock}; }}
static NOINLINE long reads(void) {{ long seen = 0; {lock}; seen = shared; {unlock}; return seen; }}
static void left(void) {{ reach(1); for (int i = 0; i < 300; i++) writes(); }}
static void right(void) {{ await(1); for (int i = 0; i < 300; i++) reads(); }}
"""

_C_LOCKS = {
    "PyMutex": ("static PyMutex lock;", "PyMutex_Lock(&lock)", "PyMutex_Unlock(&lock)"),
    "pthread mutex": (
        "#include <pthread.h>\nstatic pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;",
        "pthread_mutex_lock(&lock)",
        "pthread_mutex_unlock(&lock)",
    ),
    "trylock": (
        "#include <pthread.h>\nstatic pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;",
        "while (pthread_mutex_trylock(&lock)) rest()",
        "pthread_mutex_unlock(&lock)",
    ),
    "rwlock": (
        "#include <pthread.h>\nstatic pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;",
        "pthread_rwlock_wrlock(&lock)",
        "pthread_rwlock_unlock(&lock)",
    ),
    "spin": (
        "#include <pthread.h>\nstatic pthread_spinlock_t lock;\n"
        "__attribute__((constructor)) static void made(void) { pthread_spin_init(&lock, 0); }",
        "pthread_spin_lock(&lock)",
        "pthread_spin_unlock(&lock)",
    ),
    "semaphore": (
        "#include <semaphore.h>\nstatic sem_t lock;\n"
        "__attribute__((constructor)) static void made(void) { sem_init(&lock, 0, 1); }",
        "sem_wait(&lock)",
        "sem_post(&lock)",
    ),
    "C11 mutex": (
        "#include <threads.h>\nstatic mtx_t lock;\n"
        "__attribute__((constructor)) static void made(void) { mtx_init(&lock, mtx_plain); }",
        "mtx_lock(&lock)",
        "mtx_unlock(&lock)",
    ),
    "critical section": (
        "static PyObject *object(void) { return Py_None; }",
        "Py_BEGIN_CRITICAL_SECTION(object())",
        "Py_END_CRITICAL_SECTION()",
    ),
    "two critical sections": (
        "static PyMutex one, two;",
        "PyCriticalSection2 both; PyCriticalSection2_BeginMutex(&both, &one, &two)",
        "PyCriticalSection2_End(&both)",
    ),
    "spinning on an atomic": (
        "static char lock;",
        "while (__atomic_exchange_n(&lock, 1, __ATOMIC_ACQUIRE)) rest()",
        "__atomic_store_n(&lock, 0, __ATOMIC_RELEASE)",
    ),
    "spinning with fences": (
        "static int lock;",
        "while (__atomic_exchange_n(&lock, 1, __ATOMIC_RELAXED)) rest(); __atomic_thread_fence(__ATOMIC_ACQUIRE)",
        "__atomic_thread_fence(__ATOMIC_RELEASE); __atomic_store_n(&lock, 0, __ATOMIC_RELAXED)",
    ),
    "a fence to release, no fence to acquire": (
        "static int lock;",
        "while (__atomic_exchange_n(&lock, 1, __ATOMIC_ACQUIRE)) rest()",
        "__atomic_thread_fence(__ATOMIC_RELEASE); __atomic_store_n(&lock, 0, __ATOMIC_RELAXED)",
    ),
    "the old builtins": (
        "static int lock;",
        "while (__sync_lock_test_and_set(&lock, 1)) rest()",
        "__sync_lock_release(&lock)",
    ),
}


@pytest.mark.parametrize("cc", COMPILERS)
@pytest.mark.parametrize("kind", _C_LOCKS)
def test_what_is_done_under_a_lock_is_ordered(tmp_path, cc, kind):
    declare, lock, unlock = _C_LOCKS[kind]
    outcome = races_of(tmp_path, _LOCKED.format(declare=declare, lock=lock, unlock=unlock), cc=cc)

    assert outcome.races == [], outcome.text


_CXX_LOCKS = {
    "std::mutex": ("#include <mutex>\nstatic std::mutex lock;", "std::lock_guard<std::mutex> held(lock)"),
    "std::recursive_mutex": (
        "#include <mutex>\nstatic std::recursive_mutex lock;",
        "std::unique_lock<std::recursive_mutex> held(lock)",
    ),
    "std::shared_mutex": (
        "#include <mutex>\n#include <shared_mutex>\nstatic std::shared_mutex lock;",
        "std::unique_lock<std::shared_mutex> held(lock)",
    ),
    "std::atomic_flag": (
        "#include <atomic>\nstatic std::atomic_flag lock = ATOMIC_FLAG_INIT;\n"
        "struct Held { Held() { while (lock.test_and_set(std::memory_order_acquire)) rest(); } "
        "~Held() { lock.clear(std::memory_order_release); } };",
        "Held held",
    ),
}


@pytest.mark.parametrize("cc", COMPILERS)
@pytest.mark.parametrize("kind", _CXX_LOCKS)
def test_locks_of_cxx(tmp_path, cc, kind):
    declare, lock = _CXX_LOCKS[kind]
    outcome = races_of(
        tmp_path, _LOCKED.format(declare=declare, lock=lock, unlock=""), cc=cc, suffix=".cpp", flags=("-std=c++17",)
    )

    assert outcome.races == [], outcome.text


_ONCE = """
#include <mutex>
#include <pthread.h>
static volatile long shared;
static long make(void) { shared = 42; return 1; }
static void made(void) { make(); }
static std::once_flag flag;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static NOINLINE long guarded(void) { static long value = make(); return value + shared; }
static NOINLINE long called(void) { std::call_once(flag, made); return shared; }
static NOINLINE long called_by_pthread(void) { pthread_once(&once, made); return shared; }
static void left(void) { reach(1); for (int i = 0; i < 10; i++) WHICH(); }
static void right(void) { await(1); for (int i = 0; i < 10; i++) WHICH(); }
"""


@pytest.mark.parametrize("cc", COMPILERS)
@pytest.mark.parametrize("which", ["guarded", "called", "called_by_pthread"])
def test_what_is_done_once(tmp_path, cc, which):
    assert races_of(tmp_path, _ONCE.replace("WHICH", which), cc=cc, suffix=".cpp").races == []


@pytest.mark.parametrize("cc", COMPILERS)
def test_condition_variables_and_barriers(tmp_path, cc):
    source = """
#include <pthread.h>
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t told = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
__attribute__((constructor)) static void made(void) { pthread_barrier_init(&barrier, NULL, 2); }
static volatile long ready, shared, after;
static NOINLINE void writes(void) { shared++; }
static NOINLINE long reads(void) { return shared; }
static void left(void)
{
    writes();
    pthread_mutex_lock(&lock);
    ready = 1;
    pthread_cond_signal(&told);
    pthread_mutex_unlock(&lock);
    Py_BEGIN_ALLOW_THREADS
    pthread_barrier_wait(&barrier);
    Py_END_ALLOW_THREADS
    after++;
}
static void right(void)
{
    Py_BEGIN_ALLOW_THREADS
    pthread_mutex_lock(&lock);
    while (!ready) pthread_cond_wait(&told, &lock);
    pthread_mutex_unlock(&lock);
    Py_END_ALLOW_THREADS
    reads();
    after++;
    Py_BEGIN_ALLOW_THREADS
    pthread_barrier_wait(&barrier);
    Py_END_ALLOW_THREADS
}
"""
    assert races_of(tmp_path, source, cc=cc).races == []


_ONE_SIDE = """
{declare}
static volatile long shared;
static NOINLINE void writes(void) {{ {lock}; shared++; reach(1); await(2); {unlock}; }}
static NOINLINE long reads(void) {{ return shared; }}
static void left(void) {{ writes(); }}
static void right(void) {{ await(1); reads(); reach(2); }}
"""


@pytest.mark.parametrize("cc", COMPILERS)
@pytest.mark.parametrize(
    ("kind", "said"),
    [("PyMutex", "PyMutex lock"), ("pthread mutex", "mutex lock"), ("rwlock", "lock for writing lock"),
     ("spin", "spin lock lock"),
     ("C11 mutex", "mutex lock"), ("critical section", "critical section")],
)  # fmt: skip
def test_a_report_says_what_the_one_side_held(tmp_path, cc, kind, said):
    declare, lock, unlock = _C_LOCKS[kind]
    outcome = races_of(tmp_path, _ONE_SIDE.format(declare=declare, lock=lock, unlock=unlock), cc=cc)

    assert outcome.functions == {"writes", "reads"}
    assert f"holds {said}, taken at snippet.c:" in outcome.text
    assert outcome.text.count("holds no lock that is known") == 1


@pytest.mark.parametrize("cc", COMPILERS)
def test_what_was_given_back_is_not_held(tmp_path, cc):
    source = """
static PyMutex lock;
static char flag;
static volatile long shared;
static NOINLINE void writes(void) { PyMutex_Lock(&lock); PyMutex_Unlock(&lock); char no = 0;
    __atomic_compare_exchange_n(&flag, &no, 1, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); shared++; }
static NOINLINE long reads(void) { return shared; }
static void left(void) { writes(); reach(1); await(2); }
static void right(void) { await(1); reads(); reach(2); }
"""
    outcome = races_of(tmp_path, source, cc=cc)

    assert outcome.functions == {"writes", "reads"}
    assert "holds" not in outcome.text


@pytest.mark.parametrize("cc", COMPILERS)
@pytest.mark.parametrize("order", ["RELAXED", "RELEASE"])
def test_atomics_order_if_they_say_so(tmp_path, cc, order):
    source = """
static volatile long shared;
static int flag;
static NOINLINE void writes(void) { shared++; }
static NOINLINE long reads(void) { return shared; }
static void left(void) { writes(); __atomic_store_n(&flag, 1, __ATOMIC_ORDER); reach(1); await(2); }
static void right(void) { await(1); while (!__atomic_load_n(&flag, __ATOMIC_ACQUIRE)) rest(); reads(); reach(2); }
""".replace("ORDER", order)
    outcome = races_of(tmp_path, source, cc=cc)

    assert bool(outcome.races) is (order == "RELAXED")


@pytest.mark.parametrize("cc", COMPILERS)
def test_a_mutex_that_the_interpreter_has_released_orders(tmp_path, cc):
    """One side takes and releases it by a function that cannot be seen into, the other one takes it in the header."""
    source = """
static PyMutex lock;
static volatile long shared, other;
static NOINLINE void writes(void) { shared++; }
static NOINLINE long reads(void) { return shared; }
static void left(void)
{
    await(1);
    writes();
    PyCriticalSection section;
    PyCriticalSection_BeginMutex(&section, &lock);
    PyCriticalSection_End(&section);
    reach(2);
    await(3);
}
static void right(void) { other++; reach(1); await(2); PyMutex_Lock(&lock); reads(); reach(3); PyMutex_Unlock(&lock); }
"""
    assert races_of(tmp_path, source, cc=cc).races == []


@pytest.mark.parametrize("cc", COMPILERS)
@pytest.mark.parametrize("kind", ["release", "acquire", "both"])
def test_fences_make_relaxed_operations_order(tmp_path, cc, kind):
    fence = "__atomic_thread_fence(__ATOMIC_SEQ_CST)"
    release = f"{fence}; __atomic_store_n(&flag, 1, __ATOMIC_RELAXED)"
    acquire = f"while (!__atomic_load_n(&flag, __ATOMIC_RELAXED)) rest(); {fence}"
    if kind == "release":
        acquire = "while (!__atomic_load_n(&flag, __ATOMIC_ACQUIRE)) rest()"
    if kind == "acquire":
        release = "__atomic_store_n(&flag, 1, __ATOMIC_RELEASE)"
    source = f"""
static volatile long shared, other;
static int flag;
static NOINLINE void writes(void) {{ shared++; }}
static NOINLINE long reads(void) {{ return shared; }}
static void left(void) {{ await(1); writes(); {release}; reach(2); await(3); }}
static void right(void) {{ other++; reach(1); await(2); {acquire}; reads(); reach(3); }}
"""
    assert races_of(tmp_path, source, cc=cc).races == []

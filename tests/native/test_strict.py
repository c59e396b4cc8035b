"""The strict rule: what no explicit synchronisation orders is a possible race; what not even borders order is a race."""

import pytest

from tests.native.snippets import COMPILERS, build, run, watched_here

pytestmark = watched_here

_COUNTER = """
{declare}
static volatile long total;
static NOINLINE void add(void) {{ {lock}; total++; {unlock}; }}
static void left(void) {{ add(); }}
static void right(void) {{ add(); }}
"""
APART = """
import threading, time

def apart(*bodies):
    # one after the other, in threads that have both begun before: the turns are waited for where nobody sees it
    turns, begun = [0], threading.Barrier(len(bodies))
    def work(number, one):
        begun.wait()
        while turns[0] != number:
            time.sleep(0.001)
        one()
        turns[0] += 1
        while turns[0] != len(bodies):
            time.sleep(0.001)
    threads = [threading.Thread(target=work, args=pair) for pair in enumerate(bodies)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
"""
ONE_AFTER_THE_OTHER = """
def body():
    apart(snippet.left, snippet.right)
"""


def possible_of(folder, source, body=ONE_AFTER_THE_OTHER, *, rule="strict", **how):
    """Build a snippet and run it by a rule; the process must have come to its end, and must have seen accesses."""
    build(folder, source, **how)
    outcome = run(folder, body, begin=APART, rule=rule)
    assert outcome.status == 0, outcome.output
    assert outcome.seen["accesses"] > 0, outcome.output
    return outcome


def counter(declare="", lock="", unlock=""):
    return _COUNTER.format(declare=declare, lock=lock, unlock=unlock)


@pytest.mark.parametrize("cc", COMPILERS)
def test_two_calls_that_do_not_overlap_are_a_possible_race(tmp_path, cc):
    outcome = possible_of(tmp_path, counter(), cc=cc)

    assert outcome.races == []
    assert {("write", "add")} in outcome.possible, outcome.output
    assert "possible" not in outcome.text


def test_by_the_overlap_rule_they_are_none(tmp_path):
    outcome = possible_of(tmp_path, counter(), rule="overlap")

    assert outcome.races == outcome.possible == []


def test_what_overlaps_is_a_race_and_no_possible_one(tmp_path):
    source = """
    static volatile long total;
    static void left(void) { total++; reach(1); await(2); }
    static void right(void) { await(1); total++; reach(2); }
    """
    outcome = possible_of(tmp_path, source, "def body():\n    both(snippet.left, snippet.right)\n")

    assert outcome.functions == {"left", "right"}
    assert outcome.possible == []


def test_what_was_possible_first_and_overlaps_later_is_a_race(tmp_path):
    source = """
    static volatile long total;
    static int meets;
    static NOINLINE void adds(void) { total++; }
    static void left(void) { adds(); if (__atomic_load_n(&meets, __ATOMIC_RELAXED)) { reach(1); await(2); } }
    static void right(void) { if (__atomic_load_n(&meets, __ATOMIC_RELAXED)) await(1); adds(); reach(2); }
    static PyObject *meet(PyObject *m, PyObject *a)
    {
        __atomic_store_n(&meets, 1, __ATOMIC_RELAXED);
        stage = 0;
        Py_RETURN_NONE;
    }
    #define MORE {"meet", meet, METH_NOARGS, NULL},
    """
    body = """
    def body():
        apart(snippet.left, snippet.right)
        snippet.meet()
        both(snippet.left, snippet.right)
    """
    outcome = possible_of(tmp_path, source, body)

    assert outcome.functions == {"adds"}
    assert {("write", "adds")} in [set(pair) for pair in outcome.races]
    assert {("write", "adds")} not in outcome.possible, "one pair is one finding"


# --- explicit synchronisation orders ----------------------------------------------------------------------------------

_PTHREAD = "#include <pthread.h>\n"
_MADE = "__attribute__((constructor)) static void made(void)"
_LOCKS = {
    "PyMutex": ("static PyMutex lock;", "PyMutex_Lock(&lock)", "PyMutex_Unlock(&lock)"),
    "PyMutex by calls": (
        "#undef PyMutex_Lock\n#undef PyMutex_Unlock\nstatic PyMutex lock;",
        "PyMutex_Lock(&lock)",
        "PyMutex_Unlock(&lock)",
    ),
    "critical section": (
        "static PyObject *object(void) { return (PyObject *)&PyType_Type; }",
        "Py_BEGIN_CRITICAL_SECTION(object())",
        "Py_END_CRITICAL_SECTION()",
    ),
    "critical section with a mutex": (
        "static PyMutex lock;",
        "PyCriticalSection c; PyCriticalSection_BeginMutex(&c, &lock)",
        "PyCriticalSection_End(&c)",
    ),
    "two critical sections": (
        "static PyMutex one, two;",
        "PyCriticalSection2 c; PyCriticalSection2_BeginMutex(&c, &one, &two)",
        "PyCriticalSection2_End(&c)",
    ),
    "pthread mutex": (
        f"{_PTHREAD}static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;",
        "pthread_mutex_lock(&lock)",
        "pthread_mutex_unlock(&lock)",
    ),
    "trylock": (
        f"{_PTHREAD}static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;",
        "while (pthread_mutex_trylock(&lock)) rest()",
        "pthread_mutex_unlock(&lock)",
    ),
    "rwlock": (
        f"{_PTHREAD}static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;",
        "pthread_rwlock_wrlock(&lock)",
        "pthread_rwlock_unlock(&lock)",
    ),
    "spin lock": (
        f"{_PTHREAD}static pthread_spinlock_t lock;\n{_MADE} {{ pthread_spin_init(&lock, 0); }}",
        "pthread_spin_lock(&lock)",
        "pthread_spin_unlock(&lock)",
    ),
    "C11 mutex": (
        f"#include <threads.h>\nstatic mtx_t lock;\n{_MADE} {{ mtx_init(&lock, mtx_plain); }}",
        "mtx_lock(&lock)",
        "mtx_unlock(&lock)",
    ),
    "semaphore": (
        f"#include <semaphore.h>\nstatic sem_t lock;\n{_MADE} {{ sem_init(&lock, 0, 1); }}",
        "sem_wait(&lock)",
        "sem_post(&lock)",
    ),
    "semaphore that is tried": (
        f"#include <semaphore.h>\nstatic sem_t lock;\n{_MADE} {{ sem_init(&lock, 0, 1); }}",
        "while (sem_trywait(&lock)) rest()",
        "sem_post(&lock)",
    ),
    "thread lock": (
        f"static PyThread_type_lock lock;\n{_MADE} {{ lock = PyThread_allocate_lock(); }}",
        "PyThread_acquire_lock(lock, 1)",
        "PyThread_release_lock(lock)",
    ),
    "thread lock with a timeout": (
        f"static PyThread_type_lock lock;\n{_MADE} {{ lock = PyThread_allocate_lock(); }}",
        "PyThread_acquire_lock_timed(lock, 1000000, 0)",
        "PyThread_release_lock(lock)",
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
    "an annotation": (
        "extern void __tsan_acquire(void *); extern void __tsan_release(void *); static long lock;",
        "__tsan_acquire(&lock)",
        "__tsan_release(&lock)",
    ),
}


@pytest.mark.parametrize("cc", COMPILERS)
@pytest.mark.parametrize("kind", _LOCKS)
def test_what_a_lock_orders_is_no_possible_race(tmp_path, cc, kind):
    outcome = possible_of(tmp_path, counter(*_LOCKS[kind]), cc=cc)

    assert outcome.races == outcome.possible == [], outcome.output


_TWO = {
    "PyMutex": ("static PyMutex locks[16];", "PyMutex_Lock(&locks[{n}])", "PyMutex_Unlock(&locks[{n}])"),
    "critical section": (
        "static PyObject *objects[9]; __attribute__((constructor)) static void made(void)"
        "{ objects[0] = (PyObject *)&PyType_Type; objects[8] = (PyObject *)&PyLong_Type; }",
        "Py_BEGIN_CRITICAL_SECTION(objects[{n}])",
        "Py_END_CRITICAL_SECTION()",
    ),
    "pthread mutex": (
        f"{_PTHREAD}static pthread_mutex_t locks[16];",
        "pthread_mutex_lock(&locks[{n}])",
        "pthread_mutex_unlock(&locks[{n}])",
    ),
    "semaphore": (
        f"#include <semaphore.h>\nstatic sem_t locks[16];\n"
        f"{_MADE} {{ sem_init(&locks[0], 0, 1); sem_init(&locks[8], 0, 1); }}",
        "sem_wait(&locks[{n}])",
        "sem_post(&locks[{n}])",
    ),
    "atomic": (
        "static long locks[16];",
        "while (__atomic_exchange_n(&locks[{n}], 1, __ATOMIC_ACQUIRE)) rest()",
        "__atomic_store_n(&locks[{n}], 0, __ATOMIC_RELEASE)",
    ),
}


@pytest.mark.parametrize("kind", _TWO)
def test_two_locks_order_nothing_between_them(tmp_path, kind):
    declare, lock, unlock = _TWO[kind]
    source = f"""
    {declare}
    static volatile long total;
    static NOINLINE void left(void) {{ {lock.format(n=0)}; total++; {unlock.format(n=0)}; }}
    static NOINLINE void right(void) {{ {lock.format(n=8)}; total++; {unlock.format(n=8)}; }}
    """
    outcome = possible_of(tmp_path, source)

    assert outcome.races == []
    assert {("write", "left"), ("write", "right")} in outcome.possible, outcome.output


def test_atomic_operations_of_relaxed_order_order_nothing(tmp_path):
    relaxed = (
        "static int flag;",
        "__atomic_load_n(&flag, __ATOMIC_RELAXED)",
        "__atomic_store_n(&flag, 1, __ATOMIC_RELAXED)",
    )
    outcome = possible_of(tmp_path, counter(*relaxed))

    assert outcome.possible


def test_a_critical_section_that_is_suspended_is_given_back(tmp_path):
    """left() detaches within its section, and right() enters it meanwhile."""
    source = """
    static PyMutex lock;
    static volatile long total;
    static void left(void)
    {
        PyCriticalSection c;
        PyCriticalSection_BeginMutex(&c, &lock);
        total++;
        Py_BEGIN_ALLOW_THREADS
        reach(1);
        await(2);
        Py_END_ALLOW_THREADS
        total++;
        PyCriticalSection_End(&c);
    }
    static void right(void)
    {
        await(1);
        PyCriticalSection c;
        PyCriticalSection_BeginMutex(&c, &lock);
        total++;
        PyCriticalSection_End(&c);
        reach(2);
    }
    """
    outcome = possible_of(tmp_path, source, "def body():\n    both(snippet.left, snippet.right)\n")

    assert outcome.races == outcome.possible == [], outcome.output


def test_conditions_and_barriers_order(tmp_path):
    source = """
    #include <pthread.h>
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static pthread_cond_t moved = PTHREAD_COND_INITIALIZER;
    static pthread_barrier_t all;
    __attribute__((constructor)) static void made(void) { pthread_barrier_init(&all, NULL, 2); }
    static volatile long ready, total, later;
    static void left(void)
    {
        pthread_mutex_lock(&lock);
        while (!ready) pthread_cond_wait(&moved, &lock);
        total++;
        pthread_mutex_unlock(&lock);
        later++;
        pthread_barrier_wait(&all);
    }
    static void right(void)
    {
        pthread_mutex_lock(&lock);
        total++;
        ready = 1;
        pthread_cond_signal(&moved);
        pthread_mutex_unlock(&lock);
        pthread_barrier_wait(&all);
        later++;
    }
    """
    outcome = possible_of(tmp_path, source, "def body():\n    both(snippet.left, snippet.right)\n")

    assert outcome.races == outcome.possible == [], outcome.output


@pytest.mark.parametrize("kind", ["pthread", "C11"])
def test_threads_of_c_begin_after_what_was_before_and_have_ended_when_they_are_joined(tmp_path, kind):
    start, join = {
        "pthread": ("pthread_t one; pthread_create(&one, NULL, works, NULL)", "pthread_join(one, NULL)"),
        "C11": ("thrd_t one; thrd_create(&one, (thrd_start_t)works, NULL)", "thrd_join(one, NULL)"),
    }[kind]
    source = f"""
    #include <pthread.h>
    #include <threads.h>
    static volatile long total, while_it_runs;
    static void *works(void *argument) {{ (void)argument; total++; while_it_runs++; return NULL; }}
    static void left(void) {{ total++; {start}; while_it_runs++; {join}; total++; }}
    static void right(void) {{ }}
    """
    outcome = possible_of(tmp_path, source, "def body():\n    snippet.left()\n")

    found = list(outcome.races + outcome.possible)
    assert found, "what both do while they run is not ordered"
    assert "total" not in outcome.variables, outcome.output
    assert outcome.variables == {"while_it_runs"}


def test_what_is_done_once_is_ordered(tmp_path):
    source = """
    #include <pthread.h>
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    static volatile long made;
    static void make(void) { made = 1; }
    static NOINLINE void uses(void) { pthread_once(&once, make); if (!made) __builtin_trap(); }
    static void left(void) { uses(); }
    static void right(void) { uses(); }
    """
    outcome = possible_of(tmp_path, source)

    assert outcome.races == outcome.possible == [], outcome.output


@pytest.mark.parametrize("cc", COMPILERS)
def test_locks_and_threads_of_cxx(tmp_path, cc):
    source = """
    #include <mutex>
    #include <thread>
    #include <condition_variable>
    static std::mutex lock;
    static std::condition_variable moved;
    static std::once_flag flag;
    static volatile long total, made, ready, waited;
    static NOINLINE long *value(void) { static long *once = new long(7); return once; }
    static NOINLINE void add(void)
    {
        std::call_once(flag, [] { made = 1; });
        if (made != 1 || *value() != 7) __builtin_trap();
        std::lock_guard<std::mutex> held(lock);
        total++;
    }
    static void left(void)
    {
        add();
        waited = 1;
        std::thread other([] { std::unique_lock<std::mutex> held(lock); ready = 1; moved.notify_one(); waited = 2; });
        { std::unique_lock<std::mutex> held(lock); while (!ready) moved.wait(held); }
        other.join();
        waited = 3;
    }
    static void right(void) { add(); }
    """
    outcome = possible_of(tmp_path, source, cc=cc, suffix=".cpp", link=("-lstdc++",))

    assert outcome.races == outcome.possible == [], outcome.output


# --- what Python code orders by ---------------------------------------------------------------------------------------

_HANDED_OVER = {
    "Thread.join": """
        thread = threading.Thread(target=snippet.left)
        thread.start()
        thread.join()
        snippet.right()
    """,
    "Thread.start": """
        snippet.left()
        thread = threading.Thread(target=snippet.right)
        thread.start()
        thread.join()
    """,
    "Lock": """
        lock = threading.Lock()
        def under(one):
            with lock:
                one()
        apart(lambda: under(snippet.left), lambda: under(snippet.right))
    """,
    "Lock.acquire": """
        lock = threading.Lock()
        def under(one):
            lock.acquire()
            one()
            lock.release()
        apart(lambda: under(snippet.left), lambda: under(snippet.right))
    """,
    "RLock": """
        lock = threading.RLock()
        def under(one):
            with lock, lock:
                one()
        apart(lambda: under(snippet.left), lambda: under(snippet.right))
    """,
    "Condition": """
        moved, ready = threading.Condition(), []
        def first():
            snippet.left()
            with moved:
                ready.append(1)
                moved.notify()
        def second():
            with moved:
                moved.wait_for(lambda: ready)
            snippet.right()
        both(second, first)
    """,
    "Event": """
        done = threading.Event()
        both(lambda: (snippet.left(), done.set()), lambda: (done.wait(), snippet.right()))
    """,
    "Semaphore": """
        done = threading.Semaphore(0)
        both(lambda: (snippet.left(), done.release()), lambda: (done.acquire(), snippet.right()))
    """,
    "Barrier": """
        all_here = threading.Barrier(2)
        both(lambda: (snippet.left(), all_here.wait()), lambda: (all_here.wait(), snippet.right()))
    """,
    "SimpleQueue": """
        import queue
        handed = queue.SimpleQueue()
        both(lambda: (snippet.left(), handed.put(False)), lambda: (handed.get(), snippet.right()))
    """,
    "Queue": """
        import queue
        handed = queue.Queue()
        both(lambda: (snippet.left(), handed.put(1)), lambda: (handed.get(), snippet.right()))
    """,
    "a pool": """
        from concurrent.futures import ThreadPoolExecutor
        with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as other:
            one.submit(snippet.left).result()
            other.submit(snippet.right).result()
    """,
}


@pytest.mark.parametrize("kind", _HANDED_OVER)
def test_what_python_hands_over_is_ordered(tmp_path, kind):
    outcome = possible_of(tmp_path, counter(), f"def body():{_HANDED_OVER[kind]}")

    assert outcome.races == outcome.possible == [], outcome.output


def test_a_lock_that_could_not_be_had_orders_nothing(tmp_path):
    body = """
    def body():
        lock = threading.Lock()
        def first():
            lock.acquire()
            snippet.left()
        def second():
            assert not lock.acquire(blocking=False)
            snippet.right()
        apart(first, second)
    """
    assert possible_of(tmp_path, counter(), body).possible


def test_a_hand_over_by_a_dict_is_not_seen(tmp_path):
    """Known: the locks of containers are the interpreter's, so such a pair is listed, though it is ordered."""
    body = """
    def body():
        handed, begun = {}, threading.Barrier(2)
        def first():
            begun.wait()
            snippet.left()
            handed["done"] = True
        def second():
            begun.wait()
            while "done" not in handed:
                time.sleep(0.001)
            snippet.right()
        both(first, second)
    """
    outcome = possible_of(tmp_path, counter(), body)

    assert outcome.races == []
    assert outcome.possible


def test_locks_are_what_they_were_when_it_is_over(tmp_path):
    body = """
    import _queue, _thread
    kinds = (_thread.lock, _thread.RLock, _queue.SimpleQueue, threading.Thread)
    before = [dict(vars(kind)) for kind in kinds]

    def body():
        lock = threading.RLock()
        with lock:
            snippet.left()
        return [vars(kind)["__enter__"] is not was["__enter__"] for kind, was in zip(kinds[:2], before)]

    import atexit
    atexit.register(lambda: print("AFTER", [dict(vars(kind)) for kind in kinds] == before))
    """
    outcome = possible_of(tmp_path, counter(), body)

    assert outcome.said == [True, True]
    assert "AFTER True" in outcome.output


# --- memory -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("take", "give"), [("malloc", "free"), ("PyMem_RawMalloc", "PyMem_RawFree"), ("PyMem_Malloc", "PyMem_Free")]
)
def test_who_takes_memory_begins_anew(tmp_path, take, give):
    source = f"""
    #include <stdlib.h>
    static NOINLINE void fill(void)
    {{
        volatile long *block = {take}(64);
        for (int i = 0; i < 8; i++) block[i] = i;
        {give}((void *)block);
    }}
    static void left(void) {{ for (int i = 0; i < 50; i++) fill(); }}
    static void right(void) {{ for (int i = 0; i < 50; i++) fill(); }}
    """
    outcome = possible_of(tmp_path, source)

    assert outcome.races == outcome.possible == [], outcome.output

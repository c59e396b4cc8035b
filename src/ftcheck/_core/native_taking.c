/* What stands in for the functions by which C code takes locks, and may have to wait for them: under the explorer they wait for their
 * turn first (native_locks.c).
 *
 * In a run that is given up who did not get a lock goes on without it, and giving it back then does nothing.
 */
#include "native.h"
#include "sched.h"
#include <errno.h>
#include <string.h>

#undef PyMutex_Lock
#undef PyMutex_Unlock
#undef PyCriticalSection_Begin
#undef PyCriticalSection_BeginMutex
#undef PyCriticalSection2_Begin
#undef PyCriticalSection2_BeginMutex

#define PLACE ((uintptr_t)__builtin_return_address(0))

static void
lock_mutex(PyMutex *mutex)
{
    ftc_call_out(PLACE);
    if (ftc_native_await(FTC_PYMUTEX, mutex, PyMutex_Lock, PLACE)) {
        PyMutex_Lock(mutex);
        ftc_lock_taken(mutex, mutex, FTC_PY_MUTEX, PLACE);
    }
}

static void
unlock_mutex(PyMutex *mutex)
{
    ftc_lock_given_back(mutex);
    ftc_release_at((uintptr_t)mutex);
    ftc_call_out(PLACE);
    if (!(ftc_native_exploring && ftc_the.abandoning && !PyMutex_IsLocked(mutex))) {
        PyMutex_Unlock(mutex);
    }
}

static void
begin_section(PyCriticalSection *c, PyObject *object)
{
    ftc_call_out(PLACE);
#ifdef Py_GIL_DISABLED
    if (!ftc_native_await(FTC_PYMUTEX, &object->ob_mutex, PyCriticalSection_Begin, PLACE)) {
        c->_cs_mutex = NULL;
        return;
    }
#endif
    PyCriticalSection_Begin(c, object);
    ftc_lock_taken(object, c, FTC_SECTION, PLACE);
}

static void
begin_section_with(PyCriticalSection *c, PyMutex *mutex)
{
    ftc_call_out(PLACE);
#ifdef Py_GIL_DISABLED
    if (!ftc_native_await(FTC_PYMUTEX, mutex, PyCriticalSection_BeginMutex, PLACE)) {
        c->_cs_mutex = NULL;
        return;
    }
#endif
    PyCriticalSection_BeginMutex(c, mutex);
    ftc_lock_taken(mutex, c, FTC_SECTION, PLACE);
}

#ifdef Py_GIL_DISABLED
/* Both must be free at the same time: the interpreter takes the one with the lower address first, and waits for the other. */
static int
await_two(PyMutex *a, PyMutex *b, uintptr_t pc)
{
    PyMutex *low = a < b ? a : b, *high = a < b ? b : a;
    const void *function = PyCriticalSection2_Begin;
    return ftc_native_await(FTC_PYMUTEX, low, function, pc) && ftc_native_await(FTC_PYMUTEX, high, function, pc);
}
#endif

static void
begin_two_sections(PyCriticalSection2 *c, PyObject *a, PyObject *b)
{
    ftc_call_out(PLACE);
#ifdef Py_GIL_DISABLED
    if (!await_two(&a->ob_mutex, &b->ob_mutex, PLACE)) {
        c->_cs_base._cs_mutex = NULL;
        return;
    }
#endif
    PyCriticalSection2_Begin(c, a, b);
    ftc_lock_taken(a, c, FTC_SECTION, PLACE);
    ftc_lock_taken(b, c, FTC_SECTION, PLACE);
}

static void
begin_two_sections_with(PyCriticalSection2 *c, PyMutex *a, PyMutex *b)
{
    ftc_call_out(PLACE);
#ifdef Py_GIL_DISABLED
    if (!await_two(a, b, PLACE)) {
        c->_cs_base._cs_mutex = NULL;
        return;
    }
#endif
    PyCriticalSection2_BeginMutex(c, a, b);
    ftc_lock_taken(a, c, FTC_SECTION, PLACE);
    ftc_lock_taken(b, c, FTC_SECTION, PLACE);
}

#define WAITING(name, kind, held, type, real) \
    static int name(type *lock) \
    { \
        ftc_call_out(PLACE); \
        int failed = ftc_native_await(kind, (void *)lock, real, PLACE) ? real(lock) : 0; \
        if (held != 0 && (failed == 0 || failed == EOWNERDEAD)) { \
            ftc_lock_taken(lock, lock, held, PLACE); \
        } \
        else if (failed == 0) { \
            ftc_strict_heard((uintptr_t)lock); \
        } \
        return failed; \
    }

WAITING(lock_pthread_mutex, FTC_PTHREAD_MUTEX, FTC_MUTEX, pthread_mutex_t, pthread_mutex_lock)
WAITING(lock_for_reading, FTC_READING, FTC_READ_LOCK, pthread_rwlock_t, pthread_rwlock_rdlock)
WAITING(lock_for_writing, FTC_WRITING, FTC_WRITE_LOCK, pthread_rwlock_t, pthread_rwlock_wrlock)
WAITING(wait_for_semaphore, FTC_SEMAPHORE, 0, sem_t, sem_wait)
WAITING(lock_spinlock, FTC_SPINLOCK, FTC_SPIN_LOCK, pthread_spinlock_t, pthread_spin_lock)

static int
unlock_pthread_mutex(pthread_mutex_t *mutex)
{
    ftc_lock_given_back(mutex);
    ftc_release_at((uintptr_t)mutex);
    ftc_call_out(PLACE);
    int given_up = ftc_native_exploring && ftc_the.abandoning;
    return given_up && mutex->__data.__lock == 0 ? 0 : pthread_mutex_unlock(mutex);
}

/* Who does it tells that it is done, and everybody hears it. */
static _Thread_local struct { void (*routine)(void); uintptr_t control; } once_now;

static void
do_it(void)
{
    uintptr_t control = once_now.control;
    once_now.routine();
    ftc_strict_told(control);
}

static int
once(pthread_once_t *control, void (*routine)(void))
{
    ftc_call_out(PLACE);
    if (!ftc_native_await(FTC_ONCE, control, pthread_once, PLACE)) {
        return 0;
    }
    if (!ftc_strict) {
        return pthread_once(control, routine);
    }
    __typeof__(once_now) outer = once_now;
    once_now.routine = routine;
    once_now.control = (uintptr_t)control;
    int failed = pthread_once(control, do_it);
    once_now = outer;
    ftc_strict_heard((uintptr_t)control);
    return failed;
}

static int (*real_guard_acquire)(void *guard);         /* of the C++ library, which comes with who needs it */

static int
acquire_guard(void *guard)
{
    ftc_call_out(PLACE);
    int mine = ftc_native_await(FTC_GUARD, guard, (const void *)real_guard_acquire, PLACE) ? real_guard_acquire(guard) : 0;
    ftc_strict_heard((uintptr_t)guard);
    return mine;
}

typedef void (*function)(void);

static const struct { const char *name; function wrapper; } wrappers[] = {
    {"PyMutex_Lock", (function)lock_mutex}, {"PyMutex_Unlock", (function)unlock_mutex},
    {"PyCriticalSection_Begin", (function)begin_section}, {"PyCriticalSection_BeginMutex", (function)begin_section_with},
    {"PyCriticalSection2_Begin", (function)begin_two_sections},
    {"PyCriticalSection2_BeginMutex", (function)begin_two_sections_with},
    {"pthread_mutex_lock", (function)lock_pthread_mutex}, {"mtx_lock", (function)lock_pthread_mutex},
    {"pthread_mutex_unlock", (function)unlock_pthread_mutex}, {"mtx_unlock", (function)unlock_pthread_mutex},
    {"pthread_rwlock_rdlock", (function)lock_for_reading}, {"pthread_rwlock_wrlock", (function)lock_for_writing},
    {"pthread_spin_lock", (function)lock_spinlock}, {"sem_wait", (function)wait_for_semaphore},
    {"pthread_once", (function)once}, {"call_once", (function)once}, {"__cxa_guard_acquire", (function)acquire_guard},
};

void *
ftc_waiting_wrapper_for(const char *name, void *real)
{
    if (strcmp(name, "__cxa_guard_acquire") == 0 && real != (void *)acquire_guard) {
        real_guard_acquire = (int (*)(void *))real;
    }
    for (size_t i = 0; i < sizeof wrappers / sizeof *wrappers; i++) {
        if (strcmp(wrappers[i].name, name) == 0) {
            return (void *)wrappers[i].wrapper;
        }
    }
    return NULL;
}

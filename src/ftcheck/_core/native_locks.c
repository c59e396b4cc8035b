/* Locks of C code, under the explorer: who cannot have one does not wait for it, but for its turn.
 *
 * Whether such a lock is free stands in memory, so nobody has to say when it is given back: each time somebody is to be chosen,
 * it is looked at (ftc_native_refresh()).  A worker that waits for one can run when it is free; one that is parked while its
 * critical sections are suspended, when it can have the topmost again, because that is what it does first.
 *
 * Who waits for a lock is detached from the interpreter, as it would be in the real call, and so suspends its critical sections.
 * Who is stopped at an access is not (native_points.c), and keeps them.
 *
 * In a run that is given up nobody can be unwound out of C code.  There it goes on without the lock, in its turn, which no other
 * thread disturbs; and giving back what it does not have does nothing.
 */
#define Py_BUILD_CORE 1
#include "native.h"
#include "sched.h"
#include "internal/pycore_critical_section.h"
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>

#undef PyMutex_Lock
#undef PyMutex_Unlock
#undef PyCriticalSection_Begin
#undef PyCriticalSection_BeginMutex
#undef PyCriticalSection2_Begin
#undef PyCriticalSection2_BeginMutex

/* --- what is free ---------------------------------------------------------------------------------------------------- */

/* One of the critical sections that this thread is in, and that it suspends when it detaches. */
static int
is_in(const PyThreadState *tstate, const PyMutex *mutex)
{
    for (uintptr_t tag = tstate == NULL ? 0 : tstate->critical_section; tag != 0;) {
        const PyCriticalSection *c = (const PyCriticalSection *)(tag & ~(uintptr_t)_Py_CRITICAL_SECTION_MASK);
        if (c->_cs_mutex == mutex
            || (tag & _Py_CRITICAL_SECTION_TWO_MUTEXES && ((const PyCriticalSection2 *)c)->_cs_mutex2 == mutex)) {
            return 1;
        }
        tag = c->_cs_prev;
    }
    return 0;
}

/* `leaver`: is about to detach; NULL: nobody is. */
static int
mutex_is_free(const ftc_worker *who, const ftc_worker *leaver, const PyMutex *mutex)
{
    return mutex == NULL || !(__atomic_load_n(&mutex->_bits, __ATOMIC_ACQUIRE) & 1) || is_in(who->tstate, mutex)
        || (leaver != NULL && is_in(leaver->tstate, mutex));
}

static int
is_free(const ftc_worker *who, const ftc_worker *leaver, enum ftc_native_lock kind, const void *lock)
{
    pthread_rwlock_t *rw = (pthread_rwlock_t *)lock;
    pthread_spinlock_t *spin = (pthread_spinlock_t *)lock;
    const pthread_mutex_t *mutex = lock;
    int value = 1;
    switch (kind) {
        case FTC_PYMUTEX:
            return mutex_is_free(who, leaver, lock);
        case FTC_PTHREAD_MUTEX:                        /* one that is recursive, or checks, is let have its own */
            return mutex->__data.__lock == 0 || ((mutex->__data.__kind & 3) != 0 && mutex->__data.__owner == who->native);
        case FTC_READING:
            return pthread_rwlock_tryrdlock(rw) == 0 && pthread_rwlock_unlock(rw) == 0;
        case FTC_WRITING:
            return pthread_rwlock_trywrlock(rw) == 0 && pthread_rwlock_unlock(rw) == 0;
        case FTC_SPINLOCK:
            return pthread_spin_trylock(spin) == 0 && pthread_spin_unlock(spin) == 0;
        case FTC_SEMAPHORE:
            return sem_getvalue((sem_t *)lock, &value) != 0 || value > 0;
        case FTC_ONCE:                                 /* bit 0: somebody is at it; 1: done */
            return (__atomic_load_n((const int *)lock, __ATOMIC_ACQUIRE) & 3) != 1;
        case FTC_GUARD:                                /* of a static in C++: the second byte says that somebody is at it */
            return !(__atomic_load_n((const int *)lock, __ATOMIC_ACQUIRE) & 0x100);
        case FTC_GIVEN:
            return who->given;
        default:
            return 1;
    }
}

/* What it suspended when it detached it can have again. */
static int
can_resume(const ftc_worker *who, const ftc_worker *leaver)
{
    uintptr_t tag = who->tstate == NULL ? 0 : who->tstate->critical_section;
    if (!(tag & _Py_CRITICAL_SECTION_INACTIVE)) {
        return 1;
    }
    const PyCriticalSection *c = (const PyCriticalSection *)(tag & ~(uintptr_t)_Py_CRITICAL_SECTION_MASK);
    static const ftc_worker nobody;
    return mutex_is_free(&nobody, leaver, c->_cs_mutex)
        && (!(tag & _Py_CRITICAL_SECTION_TWO_MUTEXES)
            || mutex_is_free(&nobody, leaver, ((const PyCriticalSection2 *)c)->_cs_mutex2));
}

uint64_t
ftc_native_refresh(ftc_worker *me, int leaves)
{
    uint64_t held_back = 0;
    const ftc_worker *leaver = leaves && !me->in_extension ? me : NULL;
    for (uint64_t left = ftc_the.live & ~ftc_the.outside & ~FTC_BIT(me->id); left != 0; left &= left - 1) {
        ftc_worker *w = &ftc_workers[ftc_lowest(left)];
        if (w->wait == FTC_WAITS_NATIVE) {
            int can = is_free(w, leaver, w->native_lock, w->waits_on) && can_resume(w, leaver);
            can |= w->timed_out;
            ftc_the.enabled = can ? ftc_the.enabled | FTC_BIT(w->id) : ftc_the.enabled & ~FTC_BIT(w->id);
        }
        else if (!w->in_extension && !can_resume(w, leaver)) {
            held_back |= FTC_BIT(w->id);
        }
    }
    return held_back;
}

/* --- waiting --------------------------------------------------------------------------------------------------------- */

int
ftc_native_await(enum ftc_native_lock kind, void *lock, const void *function, uintptr_t pc)
{
    if (!ftc_native_is_managed()) {
        return 1;
    }
    int before = errno;
    ftc_native_call(FTC_WRITE, (uintptr_t)lock, function, pc);
    ftc_worker *me = ftc_my.worker;
    int mine = 1;
    if (me != NULL && !is_free(me, NULL, kind, lock)) {
        PyThreadState *tstate = PyThreadState_GetUnchecked() == NULL ? NULL : PyEval_SaveThread();
        if (ftc_native_enter() == 0) {
            me->pending = (ftc_op){.kind = FTC_ACQUIRE, .object = (uintptr_t)lock, .key = FTC_WHOLE};
            me->native_lock = kind;
            me->in_extension = 1;
            for (mine = 0; !mine && !ftc_the.abandoning; mine = is_free(me, NULL, kind, lock)) {
                me->wait = FTC_WAITS_NATIVE;
                me->waits_on = lock;
                ftc_block(me, -1);
                me->wait = FTC_RUNS;
                me->waits_on = NULL;
            }
            mine = is_free(me, NULL, kind, lock);
            me->in_extension = 0;
            ftc_exit();
        }
        if (tstate != NULL) {
            PyEval_RestoreThread(tstate);
        }
    }
    errno = before;
    return mine;
}

/* --- the calls ------------------------------------------------------------------------------------------------------- */

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

/* Both must be free at the same time: the interpreter takes the one with the lower address first, and waits for the other. */
static int
await_two(PyMutex *a, PyMutex *b, uintptr_t pc)
{
    PyMutex *low = a < b ? a : b, *high = a < b ? b : a;
    const void *function = PyCriticalSection2_Begin;
    return ftc_native_await(FTC_PYMUTEX, low, function, pc) && ftc_native_await(FTC_PYMUTEX, high, function, pc);
}

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

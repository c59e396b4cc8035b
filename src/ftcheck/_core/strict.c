/* The strict rule: what is ordered by explicit synchronisation, and by nothing else.
 *
 * By the overlap rule (native.h) every border orders, so a race of two calls that do not overlap is never reported.  By the strict
 * rule borders order nothing.  Both are asked in one run: what even the overlap rule leaves unordered is a race; what only the
 * strict rule does is a possible one, because the interpreter orders by what is not seen here.  What a thread has heard of
 * others is one vector clock (watchers.c) for both: all that tells or hears in this file is at a border, which orders more.
 *
 * To synchronise is to tell the clock of an address, or to hear it (atomics.c): those of locks and the like at their calls
 * (held.c, native_locks.c, sync.c), those of Python's locks and queues by methods that are replaced, at the address of the
 * object (handover.c); the same for Thread.start() and join(), from Python (native/watch.py).
 *
 * A critical section is left and entered again where a thread detaches, which is somewhere in a call of the interpreter.  So at each
 * border the mutexes of those that the thread is in are heard and told.  That orders nothing that is not ordered: who enters one
 * later comes after whoever has had it.
 *
 * Memory that is given back: that is ordered by reference counts, which the interpreter keeps.  So it is asked of the overlap rule
 * only, and who takes memory begins anew with it.
 */
#define Py_BUILD_CORE 1
#include "native.h"
#include "internal/pycore_critical_section.h"

int ftc_strict;

static int
on(void)
{
    return ftc_strict && __atomic_load_n(&ftc_native_on, __ATOMIC_RELAXED) != FTC_RESTS;
}

void
ftc_strict_told(uintptr_t address)
{
    if (on()) {
        ftc_release_at(address);
    }
}

void
ftc_strict_heard(uintptr_t address)
{
    if (on()) {
        ftc_acquire_at(address);
    }
}

/* A thread begins, and nothing has come before that but what this address was told. */
void
ftc_strict_begins(uintptr_t address)
{
    if (on()) {
        ftc_watcher *me = ftc_watcher_if_any();
        if (me != NULL || (me = ftc_new_announced_watcher()) != NULL) {
            ftc_name_watcher(me);
            ftc_acquire_at(address);
        }
    }
}

/* The mutexes of the critical sections that this thread is in, and that are not suspended.  With the GIL there are none. */
void
ftc_strict_sections(int tell)
{
#ifndef Py_GIL_DISABLED
    (void)tell;
#else
    const PyThreadState *tstate = PyThreadState_GetUnchecked();
    for (uintptr_t tag = tstate == NULL ? 0 : tstate->critical_section; tag != 0;) {
        const PyCriticalSection *c = (const PyCriticalSection *)(tag & ~(uintptr_t)_Py_CRITICAL_SECTION_MASK);
        const PyMutex *both[2] = {c->_cs_mutex, NULL};
        if (tag & _Py_CRITICAL_SECTION_TWO_MUTEXES) {
            both[1] = ((const PyCriticalSection2 *)c)->_cs_mutex2;
        }
        for (int i = 0; i < 2 && !(tag & _Py_CRITICAL_SECTION_INACTIVE); i++) {
            if (both[i] != NULL) {
                ftc_acquire_at((uintptr_t)both[i]);
                if (tell) {
                    ftc_release_at((uintptr_t)both[i]);
                }
            }
        }
        tag = c->_cs_prev;
    }
#endif
}

/* native_tell(address), native_hear(address), native_begins(address): from Python. */
#define FROM_PYTHON(name, does) \
    PyObject * \
    ftc_native_##name(PyObject *Py_UNUSED(module), PyObject *address) \
    { \
        uintptr_t at = (uintptr_t)PyLong_AsUnsignedLongLong(address); \
        if (at == (uintptr_t)-1 && PyErr_Occurred()) { \
            return NULL; \
        } \
        does(at); \
        Py_RETURN_NONE; \
    }

FROM_PYTHON(tell, ftc_strict_told)
FROM_PYTHON(hear, ftc_strict_heard)
FROM_PYTHON(begins, ftc_strict_begins)

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

/* --- what is free ---------------------------------------------------------------------------------------------------- */

#ifdef Py_GIL_DISABLED
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
#else                                /* there are none with the GIL */
static int
is_in(const PyThreadState *Py_UNUSED(tstate), const PyMutex *Py_UNUSED(mutex))
{
    return 0;
}
#endif

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

#ifdef Py_GIL_DISABLED
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
#else
static int
can_resume(const ftc_worker *Py_UNUSED(who), const ftc_worker *Py_UNUSED(leaver))
{
    return 1;
}
#endif

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

ftc_stay
ftc_stay_begins(ftc_worker *me)
{
    ftc_stay stay = {PyThreadState_GetUnchecked() == NULL ? NULL : PyEval_SaveThread(), 0};
    stay.is_inside = ftc_native_enter() == 0;
    if (stay.is_inside) {
        me->in_extension = 1;
    }
    return stay;
}

void
ftc_stay_ends(ftc_worker *me, ftc_stay stay)
{
    if (stay.is_inside) {
        me->in_extension = 0;
        ftc_exit();
    }
    if (stay.tstate != NULL) {
        PyEval_RestoreThread(stay.tstate);
    }
}

int
ftc_native_block(ftc_worker *me, enum ftc_native_lock kind, const void *what, int64_t deadline)
{
    me->pending = (ftc_op){.kind = FTC_ACQUIRE, .object = (uintptr_t)what, .key = FTC_WHOLE};
    me->native_lock = kind;
    me->wait = FTC_WAITS_NATIVE;
    me->waits_on = what;
    int late = ftc_block(me, deadline) == 1;
    me->wait = FTC_RUNS;
    me->waits_on = NULL;
    return late;
}

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
        ftc_stay stay = ftc_stay_begins(me);
        if (stay.is_inside) {
            for (mine = 0; !mine && !ftc_the.abandoning; mine = is_free(me, NULL, kind, lock)) {
                ftc_native_block(me, kind, lock, -1);
            }
            mine = is_free(me, NULL, kind, lock);
        }
        ftc_stay_ends(me, stay);
    }
    errno = before;
    return mine;
}

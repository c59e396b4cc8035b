/* Functions of the C library, of C++ and of the interpreter by which threads synchronise, and that are no locks (held.c,
 * native_locks.c), nor begin or end threads (begun.c): conditions, semaphores, barriers.
 *
 * Each is a border as any call is; what it tells and hears besides is for the strict rule (strict.c).
 */
#include "native.h"
#include <errno.h>
#include <semaphore.h>
#include <threads.h>

#define TELL(what) ftc_strict_told((uintptr_t)(what))
#define HEAR(what) ftc_strict_heard((uintptr_t)(what))

/* --- conditions: the mutex is given back, and taken again ----------------------------------------------------------- */

/* The clock that a condition was made with (glibc, nptl/pthread_cond_init.c). */
static clockid_t
clock_of(const pthread_cond_t *condition)
{
    return condition->__data.__wrefs & 2 ? CLOCK_MONOTONIC : CLOCK_REALTIME;
}

#define WAITS(wrapper, real, condition_type, mutex_type, parameters, when, by, late, ...) \
    static int wrapper(condition_type *condition, mutex_type *mutex parameters) \
    { \
        TELL(mutex); \
        ftc_call_out(FTC_CALLER); \
        int result = ftc_native_wait(condition, (pthread_mutex_t *)mutex, when, by, (const void *)real, FTC_CALLER); \
        result = result == ETIMEDOUT ? late : result < 0 ? real(condition, mutex __VA_ARGS__) : result; \
        HEAR(mutex); \
        return result; \
    }
#define NO_MORE
#define UNTIL , const struct timespec *when
#define BY_CLOCK , clockid_t clock, const struct timespec *when

WAITS(wait_for, pthread_cond_wait, pthread_cond_t, pthread_mutex_t, NO_MORE, NULL, CLOCK_REALTIME, ETIMEDOUT)
WAITS(wait_until, pthread_cond_timedwait, pthread_cond_t, pthread_mutex_t, UNTIL, when, clock_of(condition), ETIMEDOUT, , when)
WAITS(wait_by_clock, pthread_cond_clockwait, pthread_cond_t, pthread_mutex_t, BY_CLOCK, when, clock, ETIMEDOUT, , clock, when)
WAITS(c_wait_for, cnd_wait, cnd_t, mtx_t, NO_MORE, NULL, CLOCK_REALTIME, thrd_timedout)
WAITS(c_wait_until, cnd_timedwait, cnd_t, mtx_t, UNTIL, when, CLOCK_REALTIME, thrd_timedout, , when)

#define SIGNALS(wrapper, real, condition_type, all) \
    static int wrapper(condition_type *condition) \
    { \
        ftc_call_out(FTC_CALLER); \
        ftc_native_signal(condition, all, (const void *)real, FTC_CALLER); \
        return real(condition); \
    }

SIGNALS(give_one, pthread_cond_signal, pthread_cond_t, 0)
SIGNALS(give_all, pthread_cond_broadcast, pthread_cond_t, 1)
SIGNALS(c_give_one, cnd_signal, cnd_t, 0)
SIGNALS(c_give_all, cnd_broadcast, cnd_t, 1)

static void (*real_cxx_wait)(void *condition, void **lock);
static void (*real_cxx_give_one)(void *condition);
static void (*real_cxx_give_all)(void *condition);

static void
cxx_wait(void *condition, void **lock)                 /* std::unique_lock: the first member is the mutex */
{
    TELL(*lock);
    ftc_call_out(FTC_CALLER);
    if (ftc_native_wait(condition, *lock, NULL, CLOCK_REALTIME, (const void *)real_cxx_wait, FTC_CALLER) < 0) {
        real_cxx_wait(condition, lock);
    }
    HEAR(*lock);
}

static void
cxx_give_one(void *condition)
{
    ftc_call_out(FTC_CALLER);
    ftc_native_signal(condition, 0, (const void *)real_cxx_give_one, FTC_CALLER);
    real_cxx_give_one(condition);
}

static void
cxx_give_all(void *condition)
{
    ftc_call_out(FTC_CALLER);
    ftc_native_signal(condition, 1, (const void *)real_cxx_give_all, FTC_CALLER);
    real_cxx_give_all(condition);
}

/* --- semaphores, barriers, locks of the interpreter ------------------------------------------------------------------ */

static int
post(sem_t *semaphore)
{
    TELL(semaphore);
    ftc_call_out(FTC_CALLER);
    return sem_post(semaphore);
}

static int
heard_if(int failed, const void *what)
{
    int before = errno;
    if (!failed) {
        HEAR(what);
    }
    errno = before;
    return failed;
}

static int
try_semaphore(sem_t *semaphore)
{
    ftc_call_out(FTC_CALLER);
    return heard_if(sem_trywait(semaphore), semaphore);
}

static int
semaphore_until(sem_t *semaphore, const struct timespec *when)
{
    ftc_call_out(FTC_CALLER);
    return heard_if(sem_timedwait(semaphore, when), semaphore);
}

static int
barrier(pthread_barrier_t *all)
{
    TELL(all);
    ftc_call_out(FTC_CALLER);
    int result = ftc_native_barrier(all, (const void *)pthread_barrier_wait, FTC_CALLER);
    result = result == -1 ? pthread_barrier_wait(all) : result == 1 ? PTHREAD_BARRIER_SERIAL_THREAD : 0;
    HEAR(all);
    return result;
}

static PyLockStatus
timed_lock(PyThread_type_lock lock, PY_TIMEOUT_T microseconds, int interrupted)
{
    ftc_call_out(FTC_CALLER);
    PyLockStatus result = PyThread_acquire_lock_timed(lock, microseconds, interrupted);
    if (result == PY_LOCK_ACQUIRED) {
        ftc_lock_taken(lock, lock, FTC_THREAD_LOCK, FTC_CALLER);
    }
    return result;
}

/* --- the list ---------------------------------------------------------------------------------------------------------- */

typedef void (*function)(void);

static const ftc_wrapper wrappers[] = {
    {"pthread_cond_wait", (function)wait_for}, {"pthread_cond_timedwait", (function)wait_until},
    {"pthread_cond_clockwait", (function)wait_by_clock}, {"cnd_wait", (function)c_wait_for}, {"cnd_timedwait", (function)c_wait_until},
    {"pthread_cond_signal", (function)give_one}, {"pthread_cond_broadcast", (function)give_all},
    {"cnd_signal", (function)c_give_one}, {"cnd_broadcast", (function)c_give_all},
    {"_ZNSt18condition_variable4waitERSt11unique_lockISt5mutexE", (function)cxx_wait, (void **)&real_cxx_wait},
    {"_ZNSt18condition_variable10notify_oneEv", (function)cxx_give_one, (void **)&real_cxx_give_one},
    {"_ZNSt18condition_variable10notify_allEv", (function)cxx_give_all, (void **)&real_cxx_give_all},
    {"sem_post", (function)post}, {"sem_trywait", (function)try_semaphore}, {"sem_timedwait", (function)semaphore_until},
    {"pthread_barrier_wait", (function)barrier}, {"PyThread_acquire_lock_timed", (function)timed_lock},
};

void *
ftc_sync_wrapper_for(const char *name, void *real)
{
    return ftc_wrapper_in(wrappers, sizeof wrappers / sizeof *wrappers, name, real);
}

/* Functions of the C library, of C++ and of the interpreter by which threads synchronise, and that are no locks (held.c,
 * native_locks.c): conditions, semaphores, barriers, what is done once, the beginning and the end of threads.
 *
 * Each is a border as any call is; what it tells and hears besides is for the strict rule (strict.c).  A thread that was begun by a
 * function that is not here, such as std::thread's, hears all that is over when it first accesses something.
 *
 * Memory that an extension takes from malloc() was somebody else's, whose giving back is ordered with that by what cannot be seen:
 * by the strict rule, who takes it begins anew.
 */
#include "native.h"
#include <errno.h>
#include <malloc.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <threads.h>

#define TELL(what) ftc_strict_told((uintptr_t)(what))
#define HEAR(what) ftc_strict_heard((uintptr_t)(what))

/* --- conditions: the mutex is given back, and taken again ----------------------------------------------------------- */

#define WAITS(wrapper, real, condition_type, mutex_type, parameters, ...) \
    static int wrapper(condition_type *condition, mutex_type *mutex parameters) \
    { \
        TELL(mutex); \
        ftc_call_out(FTC_CALLER); \
        int result = real(condition, mutex __VA_ARGS__); \
        HEAR(mutex); \
        return result; \
    }
#define NO_MORE
#define UNTIL , const struct timespec *when
#define BY_CLOCK , clockid_t clock, const struct timespec *when

WAITS(wait_for, pthread_cond_wait, pthread_cond_t, pthread_mutex_t, NO_MORE)
WAITS(wait_until, pthread_cond_timedwait, pthread_cond_t, pthread_mutex_t, UNTIL, , when)
WAITS(wait_by_clock, pthread_cond_clockwait, pthread_cond_t, pthread_mutex_t, BY_CLOCK, , clock, when)
WAITS(c_wait_for, cnd_wait, cnd_t, mtx_t, NO_MORE)
WAITS(c_wait_until, cnd_timedwait, cnd_t, mtx_t, UNTIL, , when)

static void (*real_cxx_wait)(void *condition, void **lock);

static void
cxx_wait(void *condition, void **lock)                 /* std::unique_lock: the first member is the mutex */
{
    TELL(*lock);
    ftc_call_out(FTC_CALLER);
    real_cxx_wait(condition, lock);
    HEAR(*lock);
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
    int result = pthread_barrier_wait(all);
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

/* --- threads --------------------------------------------------------------------------------------------------------- */

typedef struct {
    void *(*work)(void *);
    thrd_start_t c_work;
    void *argument;
} beginning;

static beginning
begun(void *of)
{
    beginning mine = *(beginning *)of;
    ftc_strict_begins((uintptr_t)of);
    free(of);
    return mine;
}

static void *
begin(void *of)
{
    beginning mine = begun(of);
    return mine.work(mine.argument);
}

static int
begin_c(void *of)
{
    beginning mine = begun(of);
    return mine.c_work(mine.argument);
}

static beginning *
begins(beginning what)
{
    beginning *all = ftc_strict && ftc_native_on ? malloc(sizeof *all) : NULL;
    if (all != NULL) {
        *all = what;
        ftc_block_taken(all, sizeof *all);             /* the clock of who had this memory is not ours */
        TELL(all);
    }
    return all;
}

static int
create(pthread_t *thread, const pthread_attr_t *attributes, void *(*work)(void *), void *argument)
{
    ftc_call_out(FTC_CALLER);
    beginning *of = begins((beginning){.work = work, .argument = argument});
    int failed = of == NULL ? pthread_create(thread, attributes, work, argument) : pthread_create(thread, attributes, begin, of);
    if (failed) {
        free(of);
    }
    return failed;
}

static int
create_c(thrd_t *thread, thrd_start_t work, void *argument)
{
    ftc_call_out(FTC_CALLER);
    beginning *of = begins((beginning){.c_work = work, .argument = argument});
    int result = of == NULL ? thrd_create(thread, work, argument) : thrd_create(thread, begin_c, of);
    if (result != thrd_success) {
        free(of);
    }
    return result;
}

static int
join(pthread_t thread, void **result)
{
    ftc_call_out(FTC_CALLER);
    int failed = pthread_join(thread, result);
    if (!failed) {
        HEAR(thread);                                  /* which it has told at its end: watchers.c */
    }
    return failed;
}

static int
join_c(thrd_t thread, int *result)
{
    ftc_call_out(FTC_CALLER);
    int status = thrd_join(thread, result);
    if (status == thrd_success) {
        HEAR(thread);
    }
    return status;
}

static void (*real_cxx_join)(pthread_t *thread);

static void
cxx_join(pthread_t *thread)                            /* std::thread: its only member is that */
{
    pthread_t which = *thread;
    ftc_call_out(FTC_CALLER);
    real_cxx_join(thread);
    HEAR(which);
}

/* --- memory that is taken (by operator new, too, which comes with who needs it) -------------------------------------------------------------------------------------------- */

static void *
taken(void *block)
{
    if (ftc_strict) {
        int before = errno;
        ftc_block_taken(block, block == NULL ? 0 : malloc_usable_size(block));
        errno = before;
    }
    return block;
}

static void *
take(size_t size)
{
    ftc_call_out(FTC_CALLER);
    return taken(malloc(size));
}

#define NEW(name) \
    static void *(*real##name)(size_t size); \
    static void *new##name(size_t size) \
    { \
        ftc_call_out(FTC_CALLER); \
        return taken(real##name(size)); \
    }
NEW(_Znwm)
NEW(_Znam)

static void *
take_zeros(size_t count, size_t size)
{
    ftc_call_out(FTC_CALLER);
    return taken(calloc(count, size));
}

static void *
take_raw(size_t size)
{
    ftc_call_out(FTC_CALLER);
    void *block = PyMem_RawMalloc(size);
    if (ftc_strict) {
        ftc_block_taken(block, size);
    }
    return block;
}

static void *
take_raw_zeros(size_t count, size_t size)
{
    ftc_call_out(FTC_CALLER);
    void *block = PyMem_RawCalloc(count, size);
    if (ftc_strict) {
        ftc_block_taken(block, count * size);
    }
    return block;
}

/* --- the list ---------------------------------------------------------------------------------------------------------- */

typedef void (*function)(void);

static const struct { const char *name; function wrapper; void **real; } wrappers[] = {
    {"pthread_cond_wait", (function)wait_for}, {"pthread_cond_timedwait", (function)wait_until},
    {"pthread_cond_clockwait", (function)wait_by_clock}, {"cnd_wait", (function)c_wait_for}, {"cnd_timedwait", (function)c_wait_until},
    {"_ZNSt18condition_variable4waitERSt11unique_lockISt5mutexE", (function)cxx_wait, (void **)&real_cxx_wait},
    {"sem_post", (function)post}, {"sem_trywait", (function)try_semaphore}, {"sem_timedwait", (function)semaphore_until},
    {"pthread_barrier_wait", (function)barrier}, {"PyThread_acquire_lock_timed", (function)timed_lock},
    {"pthread_create", (function)create}, {"pthread_join", (function)join},
    {"thrd_create", (function)create_c}, {"thrd_join", (function)join_c},
    {"_ZNSt6thread4joinEv", (function)cxx_join, (void **)&real_cxx_join},
    {"_Znwm", (function)new_Znwm, (void **)&real_Znwm}, {"_Znam", (function)new_Znam, (void **)&real_Znam},
    {"malloc", (function)take}, {"calloc", (function)take_zeros},
    {"PyMem_RawMalloc", (function)take_raw}, {"PyMem_RawCalloc", (function)take_raw_zeros},
};

void *
ftc_sync_wrapper_for(const char *name, void *real)
{
    for (size_t i = 0; i < sizeof wrappers / sizeof *wrappers; i++) {
        if (strcmp(wrappers[i].name, name) == 0) {
            void *wrapper = (void *)wrappers[i].wrapper, **kept = wrappers[i].real;
            if (kept == NULL || real == wrapper) {
                return wrapper;
            }
            *kept = *kept == NULL ? real : *kept;      /* where there are two of that name, the other is a border only */
            return *kept == real ? wrapper : NULL;
        }
    }
    return NULL;
}

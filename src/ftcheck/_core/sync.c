/* Functions of the C library, of C++ and of the interpreter by which threads synchronise, and that are no locks (held.c,
 * native_locks.c): conditions, semaphores, barriers, what is done once, the beginning and the end of threads.
 *
 * Each is a border as any call is; what it tells and hears besides is for the strict rule (strict.c).  A thread that was begun by a
 * function that is not here hears all that is over when it first accesses something.
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

/* --- threads --------------------------------------------------------------------------------------------------------- */

typedef struct {
    void *(*work)(void *);
    thrd_start_t c_work;
    void *argument;
    ftc_c_thread thread;             /* under the explorer: native_threads.c */
} beginning;

static beginning
begun(void *of)
{
    beginning mine = *(beginning *)of;
    ftc_strict_begins((uintptr_t)of);
    free(of);
    ftc_c_thread_begins(mine.thread);
    return mine;
}

static void
ends(void *Py_UNUSED(ignored))
{
    ftc_c_thread_ends();
}

static void *
begin(void *of)
{
    beginning mine = begun(of);
    void *result;
    pthread_cleanup_push(ends, NULL);
    result = mine.work(mine.argument);
    pthread_cleanup_pop(1);
    return result;
}

static int
begin_c(void *of)
{
    beginning mine = begun(of);
    int result;
    pthread_cleanup_push(ends, NULL);
    result = mine.c_work(mine.argument);
    pthread_cleanup_pop(1);
    return result;
}

/* NULL: nobody has to know that it begins. */
static beginning *
begins(beginning what)
{
    what.thread = ftc_c_thread_comes();
    beginning *all = (ftc_strict && ftc_native_on) || what.thread.worker != NULL ? malloc(sizeof *all) : NULL;
    if (all != NULL) {
        *all = what;
        ftc_block_taken(all, sizeof *all);             /* the clock of who had this memory is not ours */
        TELL(all);
    }
    else {
        ftc_c_thread_does_not_come(what.thread);
    }
    return all;
}

/* It is on its way, or could not be made; it has freed `of` itself, perhaps. */
static void
made(int failed, beginning *of, ftc_c_thread mine, pthread_t thread)
{
    if (!failed) {
        ftc_c_thread_is(mine, thread);
        return;
    }
    ftc_c_thread_does_not_come(mine);
    free(of);
}

static int
create(pthread_t *thread, const pthread_attr_t *attributes, void *(*work)(void *), void *argument)
{
    ftc_call_out(FTC_CALLER);
    beginning *of = begins((beginning){.work = work, .argument = argument});
    if (of == NULL) {
        return pthread_create(thread, attributes, work, argument);
    }
    ftc_c_thread mine = of->thread;
    int failed = pthread_create(thread, attributes, begin, of);
    made(failed, of, mine, *thread);
    return failed;
}

static int
create_c(thrd_t *thread, thrd_start_t work, void *argument)
{
    ftc_call_out(FTC_CALLER);
    beginning *of = begins((beginning){.c_work = work, .argument = argument});
    if (of == NULL) {
        return thrd_create(thread, work, argument);
    }
    ftc_c_thread mine = of->thread;
    int result = thrd_create(thread, begin_c, of);
    made(result != thrd_success, of, mine, *thread);
    return result;
}

static int
join(pthread_t thread, void **result)
{
    ftc_call_out(FTC_CALLER);
    ftc_c_thread_join(thread);
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
    ftc_c_thread_join(thread);
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
    ftc_c_thread_join(which);
    real_cxx_join(thread);
    HEAR(which);
}

static void (*real_cxx_start)(pthread_t *thread, void **state, void (*depend)(void));

/* What std::thread is to run is an object with three virtual functions: two destructors, of which the second frees it, and run(). */
static void *
run_state(void *state)
{
    void (**functions)(void *) = *(void (***)(void *))state;
    functions[2](state);
    functions[1](state);
    return NULL;
}

/* std::thread::_M_start_thread() of libstdc++ makes the thread within the library, where nobody sees it; so it is made here. */
static void
cxx_start(pthread_t *thread, void **state, void (*depend)(void))
{
    ftc_call_out(FTC_CALLER);
    beginning *of = begins((beginning){.work = run_state, .argument = *state});
    ftc_c_thread mine = of == NULL ? (ftc_c_thread){0} : of->thread;
    int failed = of == NULL || pthread_create(thread, NULL, begin, of) != 0;
    if (of != NULL) {
        made(failed, of, mine, *thread);
    }
    if (failed) {
        real_cxx_start(thread, state, depend);
    }
    else {
        *state = NULL;                                 /* a std::unique_ptr: the thread has it */
    }
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
    {"pthread_cond_signal", (function)give_one}, {"pthread_cond_broadcast", (function)give_all},
    {"cnd_signal", (function)c_give_one}, {"cnd_broadcast", (function)c_give_all},
    {"_ZNSt18condition_variable4waitERSt11unique_lockISt5mutexE", (function)cxx_wait, (void **)&real_cxx_wait},
    {"_ZNSt18condition_variable10notify_oneEv", (function)cxx_give_one, (void **)&real_cxx_give_one},
    {"_ZNSt18condition_variable10notify_allEv", (function)cxx_give_all, (void **)&real_cxx_give_all},
    {"sem_post", (function)post}, {"sem_trywait", (function)try_semaphore}, {"sem_timedwait", (function)semaphore_until},
    {"pthread_barrier_wait", (function)barrier}, {"PyThread_acquire_lock_timed", (function)timed_lock},
    {"pthread_create", (function)create}, {"pthread_join", (function)join},
    {"thrd_create", (function)create_c}, {"thrd_join", (function)join_c},
    {"_ZNSt6thread4joinEv", (function)cxx_join, (void **)&real_cxx_join},
    {"_ZNSt6thread15_M_start_threadESt10unique_ptrINS_6_StateESt14default_deleteIS1_EEPFvvE", (function)cxx_start,
     (void **)&real_cxx_start},
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

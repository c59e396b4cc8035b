/* Conditions and barriers of C code, under the explorer: who waits for one waits for its turn.
 *
 * A condition wakes those who wait in the order in which they came (POSIX lets it be any), and nobody without a signal.  A timeout
 * comes when nobody else can run, as all do (clock.c).  A barrier lets all go on when the last one has come.
 *
 * That is so where every thread of the process is one that Python knows or that the run has seen come (native_threads.c).  Where there are
 * others, such as those that a library started before, one of them may be who gives the signal: then it is waited for in earnest,
 * outside of control.
 *
 * In a run that is given up a wait is over at once, as if without reason (POSIX, "spurious wakeup"), a number of times; who still waits then
 * is left behind.
 */
#define Py_BUILD_CORE 1
#include "native.h"
#include "sched.h"
#include "internal/pycore_interp.h"
#include "internal/pycore_runtime.h"
#include <dirent.h>
#include <errno.h>

#define SPURIOUS 200

static long order;                   /* in which they came: touched by who has the token only */
static _Thread_local int spurious;

static int
tasks(void)
{
    DIR *all = opendir("/proc/self/task");
    int count = 0;
    for (struct dirent *one; all != NULL && (one = readdir(all)) != NULL;) {
        count += one->d_name[0] != '.';
    }
    if (all != NULL) {
        closedir(all);
    }
    return count;
}

static int
known_threads(void)
{
    int count = 0;
    PyMutex_LockFlags(&_PyRuntime.interpreters.mutex, 0);              /* HEAD_LOCK, of pycore_pystate.h */
    for (PyInterpreterState *interpreter = _PyRuntime.interpreters.head; interpreter != NULL; interpreter = interpreter->next) {
        for (PyThreadState *one = interpreter->threads.head; one != NULL; one = one->next) {
            count += one->thread_id != 0;
        }
    }
    PyMutex_Unlock(&_PyRuntime.interpreters.mutex);
    for (int i = 1; i < ftc_the.workers; i++) {
        count += ftc_workers[i].c_thread && ftc_the.live & FTC_BIT(i);
    }
    return count + ftc_dead_man_is_there();
}

/* Those who wait for this and were not told to go on. */
static uint64_t
waiting_for(const void *what)
{
    uint64_t found = 0;
    for (int i = 0; i < ftc_the.workers; i++) {
        if (ftc_the.live & FTC_BIT(i) && ftc_workers[i].awaits == what && !ftc_workers[i].given) {
            found |= FTC_BIT(i);
        }
    }
    return found;
}

static void
come(ftc_worker *me, const void *what)
{
    me->awaits = what;
    me->since = ++order;
    me->given = 0;
}

/* 1: it is to go on; 0: the time is over, or the run is. */
static int
await(ftc_worker *me, int64_t deadline)
{
    ftc_stay stay = ftc_stay_begins(me);
    int given = 0;
    if (stay.is_inside) {
        me->code = NULL;
        for (int late = 0; !me->given && !late && !ftc_the.abandoning;) {
            late = ftc_native_block(me, FTC_GIVEN, me->awaits, deadline);
        }
        given = me->given;
        me->awaits = NULL;
    }
    ftc_stay_ends(me, stay);
    return given;
}

/* The worker that is to wait, after the point before that; NULL: it is to wait in earnest. */
static ftc_worker *
who_waits(const void *what, const void *function, uintptr_t pc)
{
    if (!ftc_native_is_managed() || ftc_the.abandoning || tasks() > known_threads()) {
        return NULL;
    }
    ftc_native_call(FTC_WRITE, (uintptr_t)what, function, pc);
    return ftc_the.abandoning ? NULL : ftc_my.worker;
}

int
ftc_native_wait(void *condition, pthread_mutex_t *mutex, const struct timespec *when, clockid_t clock, const void *function, uintptr_t pc)
{
    int before = errno;
    ftc_worker *me = who_waits(condition, function, pc);
    if (me == NULL) {
        errno = before;
        return ftc_native_is_managed() && ftc_the.abandoning && ++spurious <= SPURIOUS ? 0 : -1;
    }
    spurious = 0;
    int64_t deadline = -1;
    if (when != NULL) {                                /* in whole milliseconds: the same each time */
        struct timespec now;
        clock_gettime(clock, &now);
        int64_t left = (when->tv_sec - now.tv_sec) * 1000 + (when->tv_nsec - now.tv_nsec + 999999) / 1000000;
        deadline = ftc_the.clock + (left > 0 ? left * 1000000 : 0);
    }
    come(me, condition);
    ftc_lock_given_back(mutex);
    ftc_release_at((uintptr_t)mutex);
    pthread_mutex_unlock(mutex);
    int given = await(me, deadline);
    if (ftc_native_await(FTC_PTHREAD_MUTEX, mutex, (const void *)pthread_mutex_lock, pc)) {
        pthread_mutex_lock(mutex);
        ftc_lock_taken(mutex, mutex, FTC_MUTEX, pc);
    }
    errno = before;
    return given || when == NULL || ftc_the.abandoning ? 0 : ETIMEDOUT;
}

void
ftc_native_signal(const void *condition, int all, const void *function, uintptr_t pc)
{
    int before = errno;
    if (ftc_native_is_managed() && !ftc_the.abandoning) {
        ftc_native_call(FTC_WRITE, (uintptr_t)condition, function, pc);
        if (ftc_my.worker != NULL && ftc_native_enter() == 0) {
            uint64_t left = waiting_for(condition);
            while (left != 0) {
                int first = ftc_lowest(left);
                for (uint64_t others = left; others != 0; others &= others - 1) {
                    first = ftc_workers[ftc_lowest(others)].since < ftc_workers[first].since ? ftc_lowest(others) : first;
                }
                ftc_workers[first].given = 1;
                left = all ? left & ~FTC_BIT(first) : 0;
            }
            ftc_exit();
        }
    }
    errno = before;
}

/* How many it is for stands in its third word (glibc, nptl/pthread_barrier_init.c). */
int
ftc_native_barrier(const void *barrier, const void *function, uintptr_t pc)
{
    ftc_worker *me = who_waits(barrier, function, pc);
    if (me == NULL) {
        return ftc_native_is_managed() && ftc_the.abandoning && ++spurious <= SPURIOUS ? 0 : -1;
    }
    spurious = 0;
    uint64_t others = waiting_for(barrier);
    if ((unsigned)__builtin_popcountll(others) + 1 < ((const unsigned *)barrier)[2]) {
        come(me, barrier);
        await(me, -1);
        return 0;
    }
    for (; others != 0; others &= others - 1) {
        ftc_workers[ftc_lowest(others)].given = 1;
    }
    return 1;
}

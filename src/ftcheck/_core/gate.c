/* The gate: who has the token, for those who are not in the scheduler; and threads that block where nobody controls them.
 *
 * A worker that runs code has its token in the gate.  It enters the scheduler by taking it out, and puts it back when it
 * leaves, so the state of sched.h is touched by one thread at a time even if somebody takes the token away from a worker
 * that blocks in a call that is not under control: a socket, a lock in C, a child process.  That is what the watchdog does
 * (explore/outside.py): a thread that sleeps in the kernel, has used no CPU time and has come to no point for a while is
 * *outside*.  The others go on.  When it comes back it finds its token gone, waits in the lobby, and is one of those who can
 * run again.  When that is depends on the outside world: the run is no longer determined by its decisions, and says so.
 *
 * If all others are blocked while somebody is outside, that is no deadlock: the token is *parked*, for whoever comes back
 * first.  Meanwhile virtual time passes as real time does.
 *
 * A run that ends while a thread is outside (a daemon in accept(), say) leaves it behind.  Its seat is of an earlier era,
 * so that it gets an exception when it comes back, and touches nothing.
 */
#include "sched.h"
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#  include <sys/syscall.h>
#endif

_Thread_local ftc_seat ftc_my FTC_NEAR;
static _Thread_local long native;    /* what the kernel calls this thread; 0: it was not asked yet */
atomic_ullong ftc_gate;
static atomic_ullong era;            /* of the run, in the tokens; grows at each run's end */

static pthread_mutex_t lobby = PTHREAD_MUTEX_INITIALIZER;              /* never held while a thread state is waited for */
static pthread_cond_t news = PTHREAD_COND_INITIALIZER;
static uint64_t returned, admitted;  /* those who wait in the lobby; those of them whose turn it is */
static int64_t parked_since;         /* real nanoseconds */

/* --- seats ----------------------------------------------------------------------------------------------------------- */

void
ftc_sit_in_c(ftc_worker *me)
{
    ftc_my = (ftc_seat){me, atomic_load(&era) << 8 | (unsigned long long)(me->id + FTC_PARKED + 1), 1};
    me->ident = (unsigned long)pthread_self();
#ifdef __linux__
    native = native ? native : (long)syscall(SYS_gettid);
    me->native = native;
#endif
}

void
ftc_sit(ftc_worker *me)
{
    ftc_sit_in_c(me);
    me->tstate = PyThreadState_Get();
}

void
ftc_stand_up(void)
{
    ftc_my = (ftc_seat){0};
}

int
ftc_worker_of(unsigned long long token)
{
    return (int)(token & 0xFF) - FTC_PARKED - 1;
}

struct timespec
ftc_in(long milliseconds)
{
    struct timespec then;
    clock_gettime(CLOCK_REALTIME, &then);
    then.tv_nsec += milliseconds * 1000 * 1000;
    then.tv_sec += then.tv_nsec / 1000000000;
    then.tv_nsec %= 1000000000;
    return then;
}

static void
wait_for_news(void)
{
    struct timespec until = ftc_in(100);
    pthread_cond_timedwait(&news, &lobby, &until);
}

/* 1: it is its turn; 0: not yet; -1: the run is over. */
static int
look_around(unsigned long long token)
{
    int id = ftc_worker_of(token), found = 0;
    unsigned long long parked = FTC_PARKED;
    pthread_mutex_lock(&lobby);
    if (atomic_load(&era) != token >> 8) {
        found = -1;
    }
    else if (admitted & FTC_BIT(id)) {
        found = 1;
    }
    else if (atomic_compare_exchange_strong(&ftc_gate, &parked, FTC_BUSY)) {
        ftc_the.outside &= ~FTC_BIT(id);
        ftc_the.enabled |= FTC_BIT(id);
        ftc_workers[id].wait = FTC_RUNS;
        found = 1;
    }
    else {
        returned |= FTC_BIT(id);
        wait_for_news();
    }
    if (found > 0) {
        returned &= ~FTC_BIT(id);
        admitted &= ~FTC_BIT(id);
    }
    pthread_mutex_unlock(&lobby);
    return found;
}

/* Nobody wants to read what a thread dies of that its run has left behind; threading.Thread would tell its excepthook. */
static void
end_quietly(void)
{
    PyObject *current = PyImport_ImportModuleAttrString("threading", "current_thread");
    PyObject *nothing = PyImport_ImportModuleAttrString("builtins", "callable");       /* of one argument, like the hook */
    PyObject *thread = current == NULL ? NULL : PyObject_CallNoArgs(current);
    if (thread == NULL || nothing == NULL || PyObject_SetAttrString(thread, "_invoke_excepthook", nothing) < 0) {
        PyErr_Clear();
    }
    Py_XDECREF(thread);
    Py_XDECREF(nothing);
    Py_XDECREF(current);
}

int
ftc_come_back_as_is(ftc_seat *my)
{
    int found = 0;
    while (found == 0) {
        found = look_around(my->token);
    }
    if (found < 0) {
        ftc_stand_up();
    }
    return found < 0 ? -1 : 0;
}

int
ftc_come_back(ftc_seat *my)
{
    int found = 0;
    while (found == 0) {
        Py_BEGIN_ALLOW_THREADS
        found = look_around(my->token);
        Py_END_ALLOW_THREADS
        if (found == 0) {
            ftc_look_for_signals(ftc_worker_of(my->token));
        }
    }
    if (found < 0) {
        ftc_stand_up();
        end_quietly();
        PyErr_SetString(ftc_abandoned, "this run is over");
        return -1;
    }
    return 0;
}

/* --- for the scheduler ----------------------------------------------------------------------------------------------- */

void
ftc_admit(void)
{
    if (ftc_the.outside == 0) {
        return;
    }
    pthread_mutex_lock(&lobby);
    uint64_t back = returned & ftc_the.outside;
    returned &= ~back;
    pthread_mutex_unlock(&lobby);
    ftc_the.outside &= ~back;
    ftc_the.enabled |= back;
    for (; back != 0; back &= back - 1) {
        ftc_worker *w = &ftc_workers[ftc_lowest(back)];
        w->wait = FTC_RUNS;
        w->in_lobby = 1;
    }
}

int
ftc_anybody_back(void)
{
    pthread_mutex_lock(&lobby);
    int found = returned != 0;
    pthread_mutex_unlock(&lobby);
    return found;
}

void
ftc_wake(int to)
{
    ftc_worker *w = &ftc_workers[to];
    if (!w->in_lobby) {
        sem_post(w->go);
        return;
    }
    w->in_lobby = 0;
    pthread_mutex_lock(&lobby);
    admitted |= FTC_BIT(to);
    pthread_cond_broadcast(&news);
    pthread_mutex_unlock(&lobby);
}

void
ftc_park(void)
{
    pthread_mutex_lock(&lobby);
    parked_since = ftc_now();
    atomic_store(&ftc_gate, FTC_PARKED);
    pthread_cond_broadcast(&news);
    pthread_mutex_unlock(&lobby);
}

/* Nobody can run but those who are outside: time passes. */
void
ftc_let_real_time_pass(void)
{
    unsigned long long parked = FTC_PARKED;
    if (!atomic_compare_exchange_strong(&ftc_gate, &parked, FTC_BUSY)) {
        return;
    }
    ftc_admit();
    int64_t nearest = ftc_nearest_deadline();          /* INT64_MAX: there is none */
    if (ftc_the.enabled == 0 && nearest - ftc_the.clock <= ftc_now() - parked_since) {
        ftc_let_time_pass();
    }
    if (ftc_the.enabled != 0) {
        ftc_the.switches++;
        ftc_wake(ftc_lowest(ftc_the.enabled));
        return;
    }
    pthread_mutex_lock(&lobby);                        /* as it was */
    atomic_store(&ftc_gate, FTC_PARKED);
    pthread_cond_broadcast(&news);
    pthread_mutex_unlock(&lobby);
}

void
ftc_new_era(void)
{
    pthread_mutex_lock(&lobby);
    atomic_fetch_add(&era, 1);
    atomic_store(&ftc_gate, FTC_NOBODY);
    returned = admitted = 0;
    pthread_cond_broadcast(&news);
    pthread_mutex_unlock(&lobby);
}

void
ftc_pause(long milliseconds)
{
    struct timespec length = {0, milliseconds * 1000 * 1000};
    nanosleep(&length, NULL);
}

uint64_t
ftc_unwind_all(ftc_worker *me, uint64_t who, long milliseconds)
{
    int64_t until = 0;
    while (ftc_the.live & who) {
        ftc_admit();
        uint64_t here = ftc_the.live & who & ~ftc_the.outside;
        if (here) {
            ftc_let_unwind(me, ftc_first_to_unwind(here));
            continue;
        }
        int64_t now = ftc_now();
        until = until ? until : now + milliseconds * 1000000;
        if (now >= until) {
            break;
        }
        Py_BEGIN_ALLOW_THREADS
        ftc_pause(1);
        Py_END_ALLOW_THREADS
    }
    return ftc_the.live & who;
}

/* A forked child has one thread, and nobody to hand the token to: it is not under control. */
static void
forget_control(void)
{
    ftc_stand_up();
    native = 0;
    ftc_the.active = 0;
    atomic_fetch_add(&era, 1);
    atomic_store(&ftc_gate, FTC_NOBODY);
}

int
ftc_gate_init(PyObject *Py_UNUSED(module))
{
    return pthread_atfork(NULL, NULL, forget_control) == 0 ? 0 : (PyErr_NoMemory(), -1);
}

/* The token: who may run, who is blocked on what, handing over, deadlocks, the virtual clock.  sched.h has the words.
 *
 * Blocking is modelled, not waited for.  A worker that cannot go on is taken out of `enabled`, and whoever makes it able
 * to go on again puts it back; so the set of those who can run is known exactly, and it is empty in a deadlock and in no
 * other case.  Timeouts and sleeps end when nothing else can run: then the virtual clock jumps to the nearest of them.
 *
 * A run that cannot be ended by its own code (a deadlock, a limit, Ctrl-C) is given up: every worker that is still there
 * gets the token once more, and at each point and at each call that would block it gets an exception that unwinds it.
 */
#define Py_BUILD_CORE 1
#include "sched.h"
#include "internal/pycore_ceval.h"
#include <errno.h>
#include <time.h>
#include <unistd.h>

ftc_run ftc_the;
ftc_worker ftc_workers[FTC_MAX_WORKERS];
PyObject *ftc_abandoned;

atomic_int ftc_interrupted;
PyObject *ftc_interruption;

/* --- the token ----------------------------------------------------------------------------------------------------- */

static int
give_up(enum ftc_outcome outcome)
{
    if (!ftc_the.abandoning) {
        ftc_the.abandoning = 1;
        ftc_the.outcome = outcome;
        for (int i = 0; i < ftc_the.workers; i++) {
            ftc_worker *w = &ftc_workers[i];
            w->unfinished = ftc_the.live & FTC_BIT(i) ? w->pending : (ftc_op){0};
            ftc_identify(&w->unfinished);
            w->unfinished_code = w->code;
            w->unfinished_offset = w->offset;
        }
    }
    return -1;
}

void
ftc_give_up(enum ftc_outcome outcome)
{
    give_up(outcome);
}

static int
unwind(ftc_worker *me)
{
    if (me->id == 0 && ftc_interruption != NULL) {
        PyErr_SetRaisedException(ftc_interruption);
        ftc_interruption = NULL;
    }
    else if (!PyErr_Occurred()) {
        PyErr_SetString(ftc_abandoned, "this run is given up");
    }
    return -1;
}

/* On the main thread a signal handler may have to run although it is not this thread's turn. */
void
ftc_look_for_signals(int id)
{
    if (id == 0 && ftc_interruption == NULL && PyErr_CheckSignals() < 0) {
        ftc_interruption = PyErr_GetRaisedException();
        atomic_store(&ftc_interrupted, 1);
    }
}

static int
wait_so_long(ftc_worker *me, long milliseconds)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += milliseconds * 1000 * 1000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    return sem_timedwait(me->go, &until) == 0;
}

/* The main thread: 0 if a signal has come.  One that comes just before the wait does not interrupt it, so it looks now and
 * then, without being attached.  After Ctrl-C the thread that has the token is to come to a point soon: if it is blocked where
 * it cannot be reached (in recv(), say), all that is left is to end the process. */
static int
wait_as_main(ftc_worker *me, int interrupted)
{
    if (interrupted) {
        return wait_so_long(me, 1000);
    }
    while (!wait_so_long(me, 100)) {
        if (errno == EINTR || _Py_eval_breaker_bit_is_set(me->tstate, _PY_SIGNALS_PENDING_BIT)) {
            return 0;
        }
    }
    return 1;
}

/* Who is to run next is woken when this thread is detached from the interpreter, not before.  The last reference to an
 * object may be dropped by another thread than the one that made it, and the interpreter then looks at whether that one
 * is detached: if it is, the object is gone at once, with its finaliser and its weakref callbacks; if not, some time later
 * (biased reference counting).  So those who wait must be detached always, or the same schedule is not the same run. */
static _Thread_local int to_wake = -1;

void
ftc_pass_on(void)
{
    int next = to_wake;
    to_wake = -1;
    if (next >= 0) {
        ftc_wake(next);
    }
}

void
ftc_wait_for_turn(ftc_worker *me)
{
    long seen = -1;
    int patience = 3;                                  /* seconds without any progress */
    for (;;) {
        int got, hurry = me->id == 0 && ftc_interruption != NULL;
        Py_BEGIN_ALLOW_THREADS
        ftc_pass_on();
        got = me->id == 0 ? wait_as_main(me, hurry) : sem_wait(me->go) == 0;
        Py_END_ALLOW_THREADS
        if (got) {
            return;
        }
        ftc_look_for_signals(me->id);
        if (hurry && seen == ftc_the.steps && --patience <= 0) {
            ftc_write(2, "\nftcheck: interrupted, but a thread is blocked outside of control; the process ends\n");
            _exit(130);
        }
        patience = seen == ftc_the.steps ? patience : 3;
        seen = ftc_the.steps;
    }
}

static void
hand_over(ftc_worker *me, int to)
{
    ftc_the.switches++;
    me->stay = 0;
    to_wake = to;
    ftc_wait_for_turn(me);
}

void
ftc_let_unwind(ftc_worker *me, int who)
{
    ftc_the.abandoning = 1;
    hand_over(me, who);
}

int64_t
ftc_later(int64_t nanoseconds)
{
    return nanoseconds > INT64_MAX - ftc_the.clock ? -1 : ftc_the.clock + nanoseconds;
}

int64_t
ftc_nearest_deadline(void)
{
    int64_t nearest = INT64_MAX;
    for (int i = 0; i < ftc_the.workers; i++) {
        ftc_worker *w = &ftc_workers[i];
        if (ftc_the.live & FTC_BIT(i) && w->deadline >= 0 && w->deadline < nearest) {
            nearest = w->deadline;
        }
    }
    return nearest;
}

void
ftc_let_time_pass(void)
{
    int64_t nearest = ftc_nearest_deadline();
    ftc_the.clock = nearest > ftc_the.clock ? nearest : ftc_the.clock;
    for (int i = 0; i < ftc_the.workers; i++) {
        ftc_worker *w = &ftc_workers[i];
        if (ftc_the.live & FTC_BIT(i) && w->deadline >= 0 && w->deadline <= ftc_the.clock) {
            w->timed_out = 1;
            w->deadline = -1;
            ftc_the.enabled |= FTC_BIT(i);
        }
    }
}

static int
decide(ftc_worker *me, uint64_t enabled, enum ftc_why why)
{
    ftc_the.decisions++;
    ftc_the.before = enabled;
    int next = ftc_the.policy->choose(me, enabled, why);
    ftc_trace_decision(me, enabled, next, why);
    if (next != ftc_unplanned(me, enabled, why)) {
        ftc_trace_switch(me, next, why);
        ftc_the.preemptions += why == FTC_FREE;
    }
    return next;
}

int
ftc_successor(ftc_worker *me, enum ftc_why why)
{
    ftc_admit();
    if (ftc_the.enabled == 0 && ftc_the.outside == 0) {
        ftc_await_strangers();
    }
    if (ftc_the.enabled == 0) {
        if (ftc_the.outside != 0 || ftc_nearest_deadline() == INT64_MAX) {
            return -1;
        }
        ftc_let_time_pass();
    }
    uint64_t enabled = ftc_the.enabled;
    return (enabled & (enabled - 1)) == 0 ? ftc_lowest(enabled) : decide(me, enabled, why);
}

/* The point alone; what is pending may not be executed yet. */
int
ftc_stop(ftc_worker *me, enum ftc_why why)
{
    me->step++;
    if (ftc_the.abandoning) {
        return unwind(me);
    }
    if (++ftc_the.steps > ftc_the.limit) {
        give_up(FTC_TOO_LONG);
        return unwind(me);
    }
    if (ftc_the.outside != 0) {
        ftc_admit();
    }
    if (ftc_the.enabled != FTC_BIT(me->id) && !(me->cold && ftc_the.only_hot && why == FTC_FREE)) {
        if (why == FTC_FREE && ++me->stay > ftc_the.stay_limit) {
            why = FTC_YIELDED;                         /* it may be waiting for somebody in a loop */
            me->stay = 0;
        }
        int next = decide(me, ftc_the.enabled, why);
        if (next != me->id) {
            hand_over(me, next);
        }
        if (ftc_the.abandoning) {
            return unwind(me);
        }
        if (atomic_load_explicit(&ftc_interrupted, memory_order_relaxed)) {
            give_up(FTC_INTERRUPTED);
            return unwind(me);
        }
    }
    return 0;
}

void
ftc_execute(ftc_worker *me)
{
    ftc_the.before = ftc_the.before ? ftc_the.before : FTC_BIT(me->id);
    if (ftc_the.policy->executes != NULL) {
        ftc_the.policy->executes(me);
    }
    ftc_trace_op(me);
    ftc_the.before = 0;
    if (me->pending.kind == FTC_JOIN && me->id == 0) {
        ftc_the.unjoined &= ~me->pending.also;
    }
}

int
ftc_point(ftc_worker *me, enum ftc_why why)
{
    if (ftc_stop(me, why) < 0) {
        return -1;
    }
    ftc_execute(me);
    return 0;
}

int
ftc_block(ftc_worker *me, int64_t deadline)
{
    me->deadline = deadline;
    me->timed_out = 0;
    ftc_the.timed |= deadline >= 0;
    ftc_the.enabled &= ~FTC_BIT(me->id);
    int next = ftc_the.abandoning ? -1 : ftc_successor(me, FTC_BLOCKED);
    if (next >= 0 && next != me->id) {
        hand_over(me, next);
    }
    else if (next < 0 && !ftc_the.abandoning && ftc_the.outside != 0) {
        me->stay = 0;
        ftc_park();
        ftc_wait_for_turn(me);
    }
    else if (next < 0 && !ftc_the.abandoning) {
        give_up(FTC_DEADLOCK);
    }
    ftc_the.enabled |= FTC_BIT(me->id);
    me->deadline = -1;
    if (ftc_the.abandoning) {
        me->wait = FTC_RUNS;
        return unwind(me);
    }
    int timed_out = me->timed_out;
    me->timed_out = 0;
    return timed_out;
}

void
ftc_can(const void *what)
{
    for (int i = 0; i < ftc_the.workers; i++) {
        ftc_worker *w = &ftc_workers[i];
        if (w->waits_on == what && (w->wait == FTC_WAITS_LOCK || w->wait == FTC_WAITS_QUEUE)) {
            ftc_the.enabled |= FTC_BIT(i);
        }
    }
}

void
ftc_cannot(const void *what)
{
    for (int i = 0; i < ftc_the.workers; i++) {
        ftc_worker *w = &ftc_workers[i];
        if (w->waits_on == what && w != ftc_my.worker && !w->timed_out && (w->wait == FTC_WAITS_LOCK || w->wait == FTC_WAITS_QUEUE)) {
            ftc_the.enabled &= ~FTC_BIT(i);
        }
    }
}

ftc_worker *
ftc_new_worker(ftc_worker *parent)
{
    if (ftc_the.workers == FTC_MAX_WORKERS) {
        give_up(FTC_TOO_MANY);
        PyErr_Format(ftc_abandoned, "this run has more than %d threads", FTC_MAX_WORKERS);
        return NULL;
    }
    int id = ftc_the.workers++;
    ftc_worker *w = &ftc_workers[id];
    sem_t own = w->own_go;
    *w = (ftc_worker){.id = id, .deadline = -1, .pending = {.kind = FTC_BEGIN}, .go = &w->own_go, .own_go = own};
    sem_init(&w->own_go, 0, 0);
    ftc_the.live |= FTC_BIT(id);
    ftc_the.enabled |= FTC_BIT(id);
    if (ftc_the.policy->born != NULL) {
        ftc_the.policy->born(w, parent);
    }
    if (parent != NULL) {
        ftc_the.unjoined |= FTC_BIT(id);
        ftc_op doing = parent->pending;
        parent->pending = (ftc_op){.kind = FTC_START, .also = FTC_BIT(id)};
        ftc_trace_op(parent);
        parent->pending = doing;
    }
    return w;
}

void
ftc_leave(ftc_worker *me)
{
    ftc_the.live &= ~FTC_BIT(me->id);
    ftc_the.enabled &= ~FTC_BIT(me->id);
    me->wait = FTC_ENDED;
    me->pending = (ftc_op){.kind = FTC_END};
    ftc_trace_op(me);
    for (int i = 0; i < ftc_the.workers; i++) {
        ftc_worker *w = &ftc_workers[i];
        if (w->wait == FTC_WAITS_WORKERS && (w->waits_for & ftc_the.live) == 0) {
            ftc_the.enabled |= FTC_BIT(i);
        }
    }
    ftc_stand_up();
    int next = ftc_the.abandoning ? -1 : ftc_successor(me, FTC_FINISHED);
    if (next < 0 && !ftc_the.abandoning && ftc_the.outside == 0) {
        give_up(FTC_DEADLOCK);
    }
    if (next < 0 && ftc_the.abandoning) {              /* those who are left unwind, the main thread last */
        uint64_t left = ftc_the.live & ~ftc_the.outside;
        next = left == 0 ? -1 : left & ~FTC_BIT(0) ? ftc_lowest(left & ~FTC_BIT(0)) : 0;
    }
    if (next < 0) {
        ftc_park();
        return;
    }
    ftc_the.switches++;
    to_wake = next;
}

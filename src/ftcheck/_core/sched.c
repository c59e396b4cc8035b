/* The token: who may run, who is blocked on what, deadlocks, the virtual clock.  sched.h has the words.
 *
 * Blocking is modelled, not waited for.  A worker that cannot go on is taken out of `enabled`, and whoever makes it able
 * to go on again puts it back; so the set of those who can run is known exactly, and it is empty in a deadlock and in no
 * other case.  Timeouts and sleeps end when nothing else can run: then the virtual clock jumps to the nearest of them.
 */
#include "native.h"
#include "sched.h"

ftc_run ftc_the;
ftc_worker ftc_workers[FTC_MAX_WORKERS];

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
    ftc_trace_time();
    int64_t nearest = ftc_nearest_deadline();
    ftc_the.clock = nearest > ftc_the.clock ? nearest : ftc_the.clock;
    for (int i = 0; i < ftc_the.workers; i++) {
        ftc_worker *w = &ftc_workers[i];
        if (ftc_the.live & FTC_BIT(i) && w->deadline >= 0 && w->deadline <= ftc_the.clock) {
            w->timed_out = 1;
            if (w->pending.kind == FTC_ACQUIRE) {      /* it takes the lock if it can, but does not wait any longer */
                w->pending.kind = FTC_TRY;
                w->pending.also_key = 1;
            }
            w->deadline = -1;
            ftc_the.enabled |= FTC_BIT(i);
        }
    }
}

int
ftc_decide(ftc_worker *me, uint64_t enabled, enum ftc_why why)
{
    ftc_the.before = enabled;
    int next = ftc_the.policy->choose(me, enabled, why);
    if (next == me->id && me->pending.kind == FTC_END && !ftc_the.ends_count) {
        return next;                                   /* as if there had been no such point */
    }
    ftc_the.decisions++;
    ftc_trace_decision(me, enabled, next, why);
    if (next != ftc_unplanned(me, enabled, why)) {
        ftc_trace_switch(me, next, why);
        ftc_the.preemptions += why == FTC_FREE;
    }
    return next;
}

/* Locks in C code are given back without a word. */
uint64_t
ftc_runnable(ftc_worker *me, int leaves)
{
#ifdef FTC_NATIVE
    if (ftc_native_exploring) {
        uint64_t held_back = ftc_native_refresh(me, leaves);
        return ftc_the.enabled & ~held_back;
    }
#endif
    return ftc_the.enabled;
}

/* Whoever comes next, if this one has had its turn. */
static int
by_turns(const ftc_worker *me, uint64_t enabled, enum ftc_why why)
{
    uint64_t behind = enabled & (FTC_ALL << me->id << 1);
    return why == FTC_FREE ? me->id : ftc_lowest(behind != 0 ? behind : enabled);
}

int
ftc_successor(ftc_worker *me, enum ftc_why why)
{
    ftc_admit();
    uint64_t enabled = ftc_runnable(me, 1);
    if (enabled == 0 && ftc_workers[0].wait == FTC_WAITS_REST) {
        enabled = ftc_the.enabled |= FTC_BIT(0);
    }
    if (enabled == 0 && ftc_the.outside == 0 && ftc_await_strangers()) {
        enabled = ftc_runnable(me, 1);
    }
    if (enabled == 0) {
        if (ftc_the.outside != 0 || ftc_nearest_deadline() == INT64_MAX) {
            return -1;
        }
        ftc_let_time_pass();
        enabled = ftc_the.enabled;
    }
    if ((enabled & (enabled - 1)) == 0) {
        return ftc_lowest(enabled);
    }
    return ftc_the.letting_out ? by_turns(me, enabled, why) : ftc_decide(me, enabled, why);
}

/* No conflict was ever seen here, and only where one was a thread is to be stopped; but C code that waits in a loop for another
 * thread cannot be given up, so it gives way as elsewhere. */
static inline int
goes_on(ftc_worker *me)
{
    return me->cold && ftc_the.only_hot && !(me->in_extension && ++me->stay > ftc_the.stay_limit);
}

/* The point alone; what is pending may not be executed yet. */
int
ftc_stop(ftc_worker *me, enum ftc_why why)
{
    me->step++;
    if (ftc_the.abandoning) {
        return ftc_unwind(me);
    }
    if (ftc_the.overtime != 0 && --ftc_the.overtime == 0) {
        ftc_the.enabled |= FTC_BIT(0);
        ftc_hand_over(me, 0);
        return ftc_unwind(me);
    }
    if (++ftc_the.steps > ftc_the.limit && (ftc_the.letting_out || !ftc_let_out(FTC_TOO_LONG))) {
        ftc_really_give_up(FTC_TOO_LONG);
        return ftc_unwind(me);
    }
    if (ftc_the.outside != 0) {
        ftc_admit();
    }
    uint64_t enabled = why == FTC_FREE && goes_on(me) ? FTC_BIT(me->id) : ftc_runnable(me, 0);
    if (enabled != FTC_BIT(me->id)) {
        if (why == FTC_FREE && ++me->stay > ftc_the.stay_limit) {
            why = FTC_YIELDED;                         /* it may be waiting for somebody in a loop */
            me->stay = 0;
        }
        int next = ftc_the.letting_out ? by_turns(me, enabled, why) : ftc_decide(me, enabled, why);
        if (next != me->id) {
            ftc_hand_over(me, next);
        }
        if (ftc_the.abandoning) {
            return ftc_unwind(me);
        }
        if (atomic_load_explicit(&ftc_interrupted, memory_order_relaxed)) {
            ftc_really_give_up(FTC_INTERRUPTED);
            return ftc_unwind(me);
        }
    }
    return 0;
}

void
ftc_execute(ftc_worker *me)
{
    if (ftc_the.letting_out) {
        return;
    }
    ftc_the.before = ftc_the.before ? ftc_the.before : FTC_BIT(me->id);
    if (ftc_the.policy->executes != NULL) {
        ftc_the.policy->executes(me);
    }
    ftc_trace_op(me);
    ftc_the.before = 0;
    if (me->pending.kind == FTC_JOIN && !me->pending.typed && me->id == 0) {
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
        ftc_hand_over(me, next);
    }
    else if (next < 0 && !ftc_the.abandoning && ftc_the.outside != 0) {
        me->stay = 0;
        ftc_park();
        ftc_wait_for_turn(me);
    }
    else if (next < 0 && !ftc_the.abandoning) {
        ftc_really_give_up(FTC_DEADLOCK);
    }
    ftc_the.enabled |= FTC_BIT(me->id);
    me->deadline = -1;
    if (ftc_the.abandoning) {
        me->wait = FTC_RUNS;
        return ftc_unwind(me);
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
        ftc_really_give_up(FTC_TOO_MANY);
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
    int logged = ftc_end(me);
    ftc_the.live &= ~FTC_BIT(me->id);
    ftc_the.enabled &= ~FTC_BIT(me->id);
    me->wait = FTC_ENDED;
    if (!logged) {
        me->pending = (ftc_op){.kind = FTC_END, .object = (uintptr_t)me->handle, .also = FTC_BIT(me->id)};
        ftc_trace_op(me);
    }
    for (int i = 0; i < ftc_the.workers; i++) {
        ftc_worker *w = &ftc_workers[i];
        if (w->wait == FTC_WAITS_WORKERS && (w->waits_for & ftc_the.live) == 0) {
            ftc_the.enabled |= FTC_BIT(i);
        }
    }
    ftc_stand_up();
    int next = ftc_the.abandoning ? -1 : ftc_successor(me, FTC_FINISHED);
    if (next < 0 && !ftc_the.abandoning && ftc_the.outside == 0) {
        ftc_really_give_up(FTC_DEADLOCK);
    }
    if (next < 0 && ftc_the.abandoning) {              /* those who are left unwind, the main thread last */
        uint64_t left = ftc_the.live & ~ftc_the.outside;
        next = left == 0 ? -1 : left & ~FTC_BIT(0) ? ftc_first_to_unwind(left & ~FTC_BIT(0)) : 0;
    }
    if (next < 0) {
        ftc_park();
        return;
    }
    ftc_the.switches++;
    ftc_pass_on_to(next);
}

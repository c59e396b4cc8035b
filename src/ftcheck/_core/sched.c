/* The token: who may run, who is blocked on what, handing over, deadlocks, the virtual clock.  sched.h has the words.
 *
 * Blocking is modelled, not waited for.  A worker that cannot go on is taken out of `enabled`, and whoever makes it able
 * to go on again puts it back; so the set of those who can run is known exactly, and it is empty in a deadlock and in no
 * other case.  Timeouts and sleeps end when nothing else can run: then the virtual clock jumps to the nearest of them.
 *
 * A run that cannot be ended by its own code (a deadlock, a limit, Ctrl-C) is given up: every worker that is still there
 * gets the token once more, and at each point and at each call that would block it gets an exception that unwinds it.
 */
#include "sched.h"
#include <errno.h>
#include <time.h>
#include <unistd.h>

ftc_run ftc_the;
ftc_worker ftc_workers[FTC_MAX_WORKERS];
_Thread_local ftc_worker *ftc_me;
PyObject *ftc_abandoned;

static atomic_int interrupted;       /* a signal handler has raised, on the main thread, while it waited for its turn */
static PyObject *interruption;       /* what it raised */

/* --- chance: splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014) ---------- */

uint64_t
ftc_random(void)
{
    uint64_t z = ftc_the.random += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

double
ftc_uniform(void)
{
    return (double)(ftc_random() >> 11) * 0x1.0p-53;
}

/* --- operations ---------------------------------------------------------------------------------------------------- */

static int
meets(uintptr_t object, uintptr_t key, uintptr_t other, uintptr_t other_key)
{
    return object != 0 && object == other && (key == other_key || key == FTC_WHOLE || other_key == FTC_WHOLE);
}

/* What it does to its object, as far as reads and writes of that are concerned. */
static int
effect(const ftc_op *op)
{
    switch (op->kind) {
        case FTC_ACQUIRE: case FTC_RELEASE: case FTC_TRY: case FTC_PUT: case FTC_GET:
            return FTC_WRITE;
        case FTC_READ: case FTC_WRITE:
            return op->kind;
        default:
            return FTC_NOTHING;
    }
}

int
ftc_dependent(const ftc_op *a, const ftc_op *b)
{
    int a_data = a->kind == FTC_READ || a->kind == FTC_WRITE, b_data = b->kind == FTC_READ || b->kind == FTC_WRITE;
    int a_does = effect(a), b_does = effect(b);
    if (a_does == FTC_NOTHING || b_does == FTC_NOTHING || (a_does == FTC_READ && b_does == FTC_READ)) {
        return 0;
    }
    if (!a_data && !b_data) {
        /* to give a lock back matters to those who only try; the others it lets go on, and orders */
        int released = (a->kind == FTC_RELEASE) + (b->kind == FTC_RELEASE);
        int tries = a->kind == FTC_TRY || b->kind == FTC_TRY;
        return a->object == b->object && (released == 0 || (released == 1 && tries));
    }
    return meets(a->object, a->key, b->object, b->key)
        || (b_does == FTC_WRITE && meets(a->also, a->also_key, b->object, b->key))      /* `also` is only read */
        || (a_does == FTC_WRITE && meets(a->object, a->key, b->also, b->also_key));
}

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
    if (me->id == 0 && interruption != NULL) {
        PyErr_SetRaisedException(interruption);
        interruption = NULL;
    }
    else if (!PyErr_Occurred()) {
        PyErr_SetString(ftc_abandoned, "this run is given up");
    }
    return -1;
}

/* On the main thread a signal handler may have to run although it is not this thread's turn. */
static void
look_for_signals(ftc_worker *me)
{
    if (me->id == 0 && interruption == NULL && PyErr_CheckSignals() < 0) {
        interruption = PyErr_GetRaisedException();
        atomic_store(&interrupted, 1);
    }
}

/* After Ctrl-C the thread that has the token is to come to a point soon.  If it is blocked where it cannot be reached (in
 * recv(), say), all that is left is to end the process. */
static int
wait_a_second(ftc_worker *me)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec++;
    return sem_timedwait(&me->go, &until) == 0;
}

void
ftc_wait_for_turn(ftc_worker *me)
{
    long seen = -1;
    int patience = 3;                                  /* seconds without any progress */
    for (;;) {
        int got, hurry = me->id == 0 && interruption != NULL;
        Py_BEGIN_ALLOW_THREADS
        got = hurry ? wait_a_second(me) : sem_wait(&me->go) == 0;
        Py_END_ALLOW_THREADS
        if (got) {
            return;
        }
        look_for_signals(me);
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
    sem_post(&ftc_workers[to].go);
    ftc_wait_for_turn(me);
}

void
ftc_let_unwind(ftc_worker *me)
{
    ftc_the.abandoning = 1;
    hand_over(me, ftc_lowest(ftc_the.live & ~FTC_BIT(me->id)));
}

/* Nobody can run: let the nearest timeout pass.  0 if there is none: a deadlock. */
static int
let_time_pass(void)
{
    int64_t nearest = INT64_MAX;
    for (int i = 0; i < ftc_the.workers; i++) {
        ftc_worker *w = &ftc_workers[i];
        if (ftc_the.live & FTC_BIT(i) && w->deadline >= 0 && w->deadline < nearest) {
            nearest = w->deadline;
        }
    }
    if (nearest == INT64_MAX) {
        return 0;
    }
    ftc_the.clock = nearest > ftc_the.clock ? nearest : ftc_the.clock;
    for (int i = 0; i < ftc_the.workers; i++) {
        ftc_worker *w = &ftc_workers[i];
        if (ftc_the.live & FTC_BIT(i) && w->deadline >= 0 && w->deadline <= ftc_the.clock) {
            w->timed_out = 1;
            w->deadline = -1;
            ftc_the.enabled |= FTC_BIT(i);
        }
    }
    return 1;
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

/* Who goes on, now that `me` cannot; -1: nobody can. */
static int
successor(ftc_worker *me, enum ftc_why why)
{
    if (ftc_the.enabled == 0 && !let_time_pass()) {
        return -1;
    }
    uint64_t enabled = ftc_the.enabled;
    return (enabled & (enabled - 1)) == 0 ? ftc_lowest(enabled) : decide(me, enabled, why);
}

static void
call_on_deadlock(void)
{
    if (ftc_the.on_deadlock == NULL) {
        return;
    }
    ftc_worker *me = ftc_me;
    ftc_me = NULL;                                     /* what it does is not under control */
    PyObject *raised = PyErr_GetRaisedException();
    PyObject *result = PyObject_CallNoArgs(ftc_the.on_deadlock);
    if (result == NULL) {
        PyErr_WriteUnraisable(ftc_the.on_deadlock);
    }
    Py_XDECREF(result);
    PyErr_SetRaisedException(raised);
    ftc_me = me;
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
        if (atomic_load_explicit(&interrupted, memory_order_relaxed)) {
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
    int next = ftc_the.abandoning ? -1 : successor(me, FTC_BLOCKED);
    if (next < 0 && !ftc_the.abandoning) {
        call_on_deadlock();
        give_up(FTC_DEADLOCK);
    }
    if (next >= 0 && next != me->id) {
        hand_over(me, next);
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
        if (w->waits_on == what && w != ftc_me && !w->timed_out && (w->wait == FTC_WAITS_LOCK || w->wait == FTC_WAITS_QUEUE)) {
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
    sem_t go = w->go;
    *w = (ftc_worker){.id = id, .deadline = -1, .pending = {.kind = FTC_BEGIN}, .go = go};
    sem_init(&w->go, 0, 0);
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
    ftc_me = NULL;
    int next = ftc_the.abandoning ? -1 : successor(me, FTC_FINISHED);
    if (next < 0 && !ftc_the.abandoning) {
        call_on_deadlock();
        give_up(FTC_DEADLOCK);
    }
    if (next < 0) {                                    /* those who are left unwind, the main thread last */
        uint64_t others = ftc_the.live & ~FTC_BIT(0);
        next = others ? ftc_lowest(others) : 0;
    }
    ftc_the.switches++;
    sem_post(&ftc_workers[next].go);
}

/* --- a run, as Python sees it -------------------------------------------------------------------------------------- */

PyObject *
ftc_begin_run(PyObject *Py_UNUSED(module), PyObject *args, PyObject *names)
{
    static char *keywords[] = {"policy", "parameters", "seed", "limit", "stay_limit", "log", "only_hot", "on_deadlock", NULL};
    const char *policy;
    PyObject *parameters, *on_deadlock = Py_None;
    unsigned long long seed;
    long limit, stay_limit;
    int log, only_hot;
    if (!PyArg_ParseTupleAndKeywords(args, names, "sOKllip|O:begin_run", keywords, &policy, &parameters, &seed, &limit,
                                     &stay_limit, &log, &only_hot, &on_deadlock)) {
        return NULL;
    }
    const ftc_policy *chosen = ftc_policy_named(policy);
    if (chosen == NULL) {
        return PyErr_Format(PyExc_ValueError, "there is no policy %s", policy);
    }
    if (ftc_the.active) {
        PyErr_SetString(PyExc_RuntimeError, "another run is under way in this process");
        return NULL;
    }
    ftc_the = (ftc_run){
        .number = ftc_the.number + 1, .policy = chosen, .limit = limit, .stay_limit = stay_limit, .random = seed, .only_hot = only_hot,
        .on_deadlock = on_deadlock == Py_None ? NULL : Py_NewRef(on_deadlock),
    };
    atomic_store(&interrupted, 0);
    Py_CLEAR(interruption);
    ftc_trace_reset(log);
    ftc_worker *me = chosen->prepare(parameters) < 0 ? NULL : ftc_new_worker(NULL);
    if (me == NULL) {
        Py_CLEAR(ftc_the.on_deadlock);
        return NULL;
    }
    me->pending = (ftc_op){0};
    me->tstate = PyThreadState_Get();
    ftc_the.active = 1;
    ftc_me = me;
    Py_RETURN_NONE;
}

/* The test's own code is through.  Threads that nobody joined run to their end; daemon threads are given up. */
PyObject *
ftc_end_run(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    ftc_worker *me = ftc_me;
    if (me == NULL || me->id != 0) {
        PyErr_SetString(PyExc_RuntimeError, "no run is under way on this thread");
        return NULL;
    }
    uint64_t daemons = 0;
    for (int i = 1; i < ftc_the.workers; i++) {
        daemons |= ftc_workers[i].background ? FTC_BIT(i) : 0;
    }
    uint64_t awaited = ftc_the.live & ~daemons & ~FTC_BIT(0);
    if (awaited && !ftc_the.abandoning) {
        me->wait = FTC_WAITS_WORKERS;
        me->waits_for = awaited;
        if (ftc_block(me, -1) < 0) {
            PyErr_Clear();
        }
        me->wait = FTC_RUNS;
    }
    while (ftc_the.live & ~FTC_BIT(0)) {
        ftc_let_unwind(me);
    }
    ftc_me = NULL;
    ftc_the.active = 0;
    Py_CLEAR(ftc_the.on_deadlock);
    if (interruption != NULL) {
        PyErr_SetRaisedException(interruption);
        interruption = NULL;
        return NULL;
    }
    return Py_BuildValue("illlliLi", (int)ftc_the.outcome, ftc_the.steps, ftc_the.decisions, ftc_the.switches,
                         ftc_the.preemptions, ftc_the.workers, (long long)ftc_the.clock, ftc_the.timed);
}

static int controlled;

PyObject *
ftc_take_control(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    if (controlled) {
        PyErr_SetString(PyExc_RuntimeError, "this process is under control already");
        return NULL;
    }
    controlled = 1;
    if (ftc_locks_control(1) < 0 || ftc_queues_control(1) < 0 || ftc_threads_control(1) < 0 || ftc_clocks_control(1) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyObject *
ftc_give_back(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    controlled = 0;
    if (ftc_locks_control(0) < 0 || ftc_queues_control(0) < 0 || ftc_threads_control(0) < 0 || ftc_clocks_control(0) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

int
ftc_sched_init(PyObject *module)
{
    ftc_abandoned = PyErr_NewExceptionWithDoc(
        "ftcheck._core.Abandoned", "Unwinds the threads of a controlled run that is given up.", PyExc_BaseException, NULL);
    for (int i = 0; i < FTC_MAX_WORKERS; i++) {
        sem_init(&ftc_workers[i].go, 0, 0);
    }
    return ftc_abandoned == NULL ? -1 : PyModule_AddObjectRef(module, "Abandoned", ftc_abandoned);
}

/* A run, as Python sees it: begin_run() and end_run() around the test's code, and who is under control at all. */
#include "sched.h"

#define OVERTIME 1000                /* points of daemon threads after the end of the test */

PyObject *
ftc_begin_run(PyObject *Py_UNUSED(module), PyObject *args, PyObject *names)
{
    static char *keywords[] = {"policy", "parameters", "seed", "limit", "stay_limit", "log", "only_hot", NULL};
    const char *policy;
    PyObject *parameters;
    unsigned long long seed;
    long limit, stay_limit;
    int log, only_hot;
    if (!PyArg_ParseTupleAndKeywords(args, names, "sOKllip:begin_run", keywords, &policy, &parameters, &seed, &limit,
                                     &stay_limit, &log, &only_hot)) {
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
        .ends_count = ftc_ends_asked(),
    };
    atomic_store(&ftc_interrupted, 0);
    Py_CLEAR(ftc_interruption);
    ftc_trace_reset(log);
    ftc_worker *me = chosen->prepare(parameters) < 0 ? NULL : ftc_new_worker(NULL);
    if (me == NULL) {
        return NULL;
    }
    me->pending = (ftc_op){0};
    Py_XDECREF(ftc_take_calls());
    ftc_the.active = 1;
    ftc_sit(me);
    ftc_exit();
    Py_RETURN_NONE;
}

/* Daemon threads go on until they wait or have ended, as they would beside the tests that come after this one: what they do
 * now they could have done before, so its races with what the others did are those of a longer test.  Time does not pass for
 * them, and one that does not come to rest is cut off. */
static void
let_daemons_run(ftc_worker *me, uint64_t daemons)
{
    if ((daemons & ftc_the.live & ftc_the.enabled) == 0 || ftc_the.abandoning) {
        return;
    }
    ftc_the.overtime = OVERTIME;
    me->wait = FTC_WAITS_REST;
    if (ftc_block(me, -1) < 0) {
        PyErr_Clear();
    }
    me->wait = FTC_RUNS;
    ftc_the.overtime = 0;
}

/* The test's own code is through.  Threads that nobody joined run to their end. */
PyObject *
ftc_end_run(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    ftc_worker *me = ftc_my.worker;
    if (me == NULL || me->id != 0) {
        PyErr_SetString(PyExc_RuntimeError, "no run is under way on this thread");
        return NULL;
    }
    if (ftc_enter() < 0) {
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
    let_daemons_run(me, daemons);
    uint64_t alive = ftc_the.abandoning ? 0 : daemons & ftc_the.live;
    int left = (alive & ftc_the.enabled) != 0;
    ftc_unwind_all(me, ~FTC_BIT(0), ftc_the.outcome == FTC_COMPLETE ? 0 : FTC_GRACE);
    ftc_stand_up();
    ftc_the.active = 0;
    ftc_new_era();
    PyObject *calls = ftc_take_calls();
    ftc_trace_end();
    if (ftc_interruption != NULL) {
        PyErr_SetRaisedException(ftc_interruption);
        ftc_interruption = NULL;
        Py_XDECREF(calls);
        return NULL;
    }
    return Py_BuildValue("illlliLiiiilN", (int)ftc_the.outcome, ftc_the.steps, ftc_the.decisions, ftc_the.switches,
                         ftc_the.preemptions, ftc_the.workers, (long long)ftc_the.clock, ftc_the.timed, left,
                         __builtin_popcountll(daemons), __builtin_popcountll(alive), ftc_the.uncontrolled, calls);
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
        sem_init(&ftc_workers[i].own_go, 0, 0);
    }
    return ftc_abandoned == NULL ? -1 : PyModule_AddObjectRef(module, "Abandoned", ftc_abandoned);
}

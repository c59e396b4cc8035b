/* Time under control: a worker that sleeps is not awake until virtual time has come so far, and the clocks show that time.
 *
 * Virtual time stands still while anybody can run, so a run takes no longer for its sleeps, and is the same each time.  A
 * loop that looks at the clock until some time has passed would never end: so a look costs some virtual time.  Where all
 * who can run do nothing but look at the clock and read, or one who cannot be stopped, it costs more and more, and time
 * passes for those who sleep as if nobody could run.  (Not where somebody still gets on: then a loop that waits for that would come to the end of its
 * patience although nobody was slow.)
 *
 * So it matters who looks first, and whether a look comes before or after somebody has reckoned when to stop waiting: both are
 * operations (FTC_CLOCK).  Systematic search stops there; samplers need no point for it, as for the release of a lock.
 */
#include "sched.h"
#include <string.h>
#include <time.h>

enum { SLEEP, MONOTONIC, MONOTONIC_NS, TIME, TIME_NS, COUNTER, COUNTER_NS, FUNCTIONS };
static PyMethodDef *definitions[FUNCTIONS];
static PyCFunction originals[FUNCTIONS];
static int64_t base_monotonic, base_time;              /* when control was taken */

#define LOOK 1000                    /* nanoseconds that a look costs */
#define LONGEST_LOOK 10000000
#define PART 128                     /* of the time that everybody has idled: what a look costs then */
#define IN_VAIN 64                   /* looks, and nothing but looks, until that is taken to be idling */

static struct {
    long run, deeds;                 /* of which run, and after how many deeds in it, the rest is said */
    int64_t since;                   /* virtual nanoseconds */
    uint64_t idlers;
    int looks[FTC_MAX_WORKERS];
} all;

static struct {
    long run, steps;
    int64_t since;
    int looks;
} alone;                             /* looks of one worker that nobody can stop between them */

/* Since when there has been nothing but looks; -1: something else goes on, or may. */
static int64_t
idle_since(const ftc_worker *me)
{
    if (all.run != ftc_the.number || all.deeds != ftc_the.deeds) {
        memset(&all, 0, sizeof all);
        all.run = ftc_the.number;
        all.deeds = ftc_the.deeds;
        all.since = ftc_the.clock;
    }
    if (alone.run != ftc_the.number || alone.steps != ftc_the.steps) {
        alone.run = ftc_the.number;
        alone.steps = ftc_the.steps;
        alone.since = ftc_the.clock;
        alone.looks = 0;
    }
    if (++all.looks[me->id] >= IN_VAIN) {
        all.idlers |= FTC_BIT(me->id);
    }
    return ++alone.looks >= IN_VAIN ? alone.since : ftc_the.enabled & ~all.idlers ? -1 : all.since;
}

static int64_t
look(const ftc_worker *me)
{
    int64_t since = idle_since(me), nearest = ftc_nearest_deadline();
    if (since < 0) {
        return ftc_the.clock += LOOK;
    }
    int64_t cost = (ftc_the.clock - since) / PART;
    cost = cost < LOOK ? LOOK : cost > LONGEST_LOOK ? LONGEST_LOOK : cost;
    if (nearest <= ftc_the.clock + cost) {             /* somebody sleeps, or waits, no longer than until now */
        ftc_let_time_pass();
        return ftc_the.clock;
    }
    return ftc_the.clock += cost;
}

enum { NOT_SEEN, SEEN, STOPPED };

/* The calling worker, in code that is explored, is about to look at the clock, or to set a time by it.  -1: given up. */
static int
come_to_the_clock(ftc_worker *me, int moves_it)
{
    const ftc_policy *policy = ftc_the.policy;
    if (me->code == NULL || ftc_the.abandoning) {
        return NOT_SEEN;
    }
    me->pending = (ftc_op){.kind = FTC_CLOCK, .typed = moves_it};
    if (policy->stops_at != NULL && policy->stops_at(me, FTC_CLOCK)) {
        return ftc_stop(me, FTC_FREE) < 0 ? -1 : STOPPED;
    }
    me->step++;                                        /* so that a schedule means the same under all policies */
    return SEEN;
}

static void
leave_the_clock(ftc_worker *me, int how)
{
    if (how == STOPPED) {
        ftc_execute(me);
    }
    else if (how == SEEN) {
        ftc_trace_op(me);
    }
}

int
ftc_set_deadline(ftc_worker *me, int64_t nanoseconds, int64_t *deadline)
{
    int how = come_to_the_clock(me, 0);
    if (how < 0) {
        return -1;
    }
    leave_the_clock(me, how);
    *deadline = nanoseconds > INT64_MAX - ftc_the.clock ? -1 : ftc_the.clock + nanoseconds;
    return 0;
}

static PyObject *
show(int which, PyObject *self, int64_t base, int in_seconds)
{
    if (ftc_my.worker == NULL) {
        return originals[which](self, NULL);
    }
    if (ftc_enter() < 0) {
        return NULL;
    }
    ftc_worker *me = ftc_my.worker;
    me->code = ftc_find_caller(me) ? NULL : me->code;
    int how = come_to_the_clock(me, 1);
    int64_t now = base + look(me);
    PyObject *shown = how < 0 ? NULL : in_seconds ? PyFloat_FromDouble((double)now * 1e-9) : PyLong_FromLongLong(now);
    if (shown != NULL) {
        if (how != NOT_SEEN && ftc_trace_wants(FTC_LOG_VALUES)) {
            me->value = PyObject_Repr(shown);
        }
        leave_the_clock(me, how);
        ftc_changes();                                 /* it will see another time when it looks again */
    }
    ftc_exit();
    return shown;
}

static PyObject *monotonic(PyObject *s, PyObject *Py_UNUSED(n)) { return show(MONOTONIC, s, base_monotonic, 1); }
static PyObject *monotonic_ns(PyObject *s, PyObject *Py_UNUSED(n)) { return show(MONOTONIC_NS, s, base_monotonic, 0); }
static PyObject *time_(PyObject *s, PyObject *Py_UNUSED(n)) { return show(TIME, s, base_time, 1); }
static PyObject *time_ns(PyObject *s, PyObject *Py_UNUSED(n)) { return show(TIME_NS, s, base_time, 0); }
static PyObject *counter(PyObject *s, PyObject *Py_UNUSED(n)) { return show(COUNTER, s, base_monotonic, 1); }
static PyObject *counter_ns(PyObject *s, PyObject *Py_UNUSED(n)) { return show(COUNTER_NS, s, base_monotonic, 0); }

static PyObject *
sleep_(PyObject *self, PyObject *seconds)
{
    ftc_worker *me = ftc_my.worker;
    double length = me == NULL ? 0 : PyFloat_AsDouble(seconds);
    if (me == NULL || !(length >= 0 && length <= FTC_LONGEST) || PyErr_Occurred()) {
        PyErr_Clear();
        return originals[SLEEP](self, seconds);        /* which raises */
    }
    if (ftc_enter() < 0) {
        return NULL;
    }
    int got = 0;
    int64_t deadline = -1;
    ftc_find_caller(me);
    if (length > 0 && ftc_set_deadline(me, (int64_t)(length * 1e9), &deadline) < 0) {
        ftc_exit();
        return NULL;
    }
    me->pending = (ftc_op){.kind = FTC_SLEEP};
    if (ftc_the.unjoined != 0 && length == 0) {
        got = ftc_point(me, FTC_YIELDED);
    }
    else if (length > 0) {
        me->step++;
        ftc_changes();                                 /* time passes */
        me->wait = FTC_SLEEPS;
        got = ftc_block(me, deadline);
        me->wait = FTC_RUNS;
        if (got >= 0) {
            ftc_execute(me);
        }
    }
    ftc_exit();
    return got < 0 ? NULL : Py_NewRef(Py_None);
}

int
ftc_clocks_control(int on)
{
    static const char *const names[FUNCTIONS] = {
        "sleep", "monotonic", "monotonic_ns", "time", "time_ns", "perf_counter", "perf_counter_ns"};
    static const PyCFunction ours[FUNCTIONS] = {
        sleep_, monotonic, monotonic_ns, time_, time_ns, counter, counter_ns};
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    base_time = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
    base_monotonic = ftc_now();
    for (int i = 0; i < FUNCTIONS; i++) {
        if (definitions[i] == NULL) {
            PyObject *function = PyImport_ImportModuleAttrString("time", names[i]);             /* kept for good */
            int flags = function != NULL && PyCFunction_Check(function) ? PyCFunction_GET_FLAGS(function) : 0;
            if (flags != (i == SLEEP ? METH_O : METH_NOARGS)) {
                PyErr_Format(PyExc_RuntimeError, "time.%s is not as this version of ftcheck knows it", names[i]);
                return -1;
            }
            definitions[i] = ((PyCFunctionObject *)function)->m_ml;
            originals[i] = definitions[i]->ml_meth;
            ftc_classify_own(definitions[i]);
        }
        __atomic_store_n(&definitions[i]->ml_meth, on ? ours[i] : originals[i], __ATOMIC_RELEASE);
    }
    return 0;
}

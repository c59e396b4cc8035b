/* The watchdog: notices that the worker which has the token blocks where nobody controls it.  gate.c has the idea.
 *
 * It runs on a thread that Python starts, and looks without a thread state, some times a second; more often once it has
 * found something, because the next run is likely to block there as well.
 */
#define Py_BUILD_CORE 1
#include "sched.h"
#include "internal/pycore_interp.h"
#include "internal/pycore_runtime.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LOOKS 3                      /* so often it has to be asleep, without CPU time in between */
static atomic_int watching, stalls;  /* stalls: since watching began */
static sem_t bell;                   /* rings when watching is over */
static PyObject *calls;              /* where the run's threads were outside, as text */

char
ftc_task_state(long native)
{
#ifdef __linux__
    char text[512];
    snprintf(text, sizeof text, "/proc/self/task/%ld/stat", native);
    int fd = open(text, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return 0;
    }
    ssize_t size = read(fd, text, sizeof text - 1);
    close(fd);
    text[size > 0 ? size : 0] = 0;
    const char *name_ends = strrchr(text, ')');        /* "12 (its name) R 1 ..." */
    return name_ends != NULL && name_ends[1] == ' ' ? name_ends[2] : 0;
#else
    return 'S';
#endif
}

/* The CPU time that a thread has used, in nanoseconds; -1: there is no such thread.  The clock's number is made as
 * pthread_getcpuclockid() makes it, which needs a thread that is certain to exist. */
static int64_t
cpu_time(long native)
{
#ifdef __linux__
    struct timespec t;
    clockid_t clock = (clockid_t)((~(unsigned)native << 3) | 6);
    return clock_gettime(clock, &t) == 0 ? (int64_t)t.tv_sec * 1000000000 + t.tv_nsec : -1;
#else
    return -1;
#endif
}

/* Those who are stopped within C code: attached, so this thread could not attach if somebody wants to stop the world. */
static uint64_t
who_is_in_c(int but)
{
    uint64_t found = 0;
    for (uint64_t left = ftc_the.live & ~ftc_the.outside & ~FTC_BIT(but); left != 0; left &= left - 1) {
        int id = ftc_lowest(left);
        found |= ftc_workers[id].in_extension ? FTC_BIT(id) : 0;
    }
    return found;
}

static void
pass_over(ftc_worker *w)
{
    ftc_admit();
    uint64_t others = ftc_the.live & ~ftc_the.outside & ~FTC_BIT(w->id);
    atomic_fetch_add(&stalls, 1);
    ftc_the.outside |= FTC_BIT(w->id);
    ftc_the.enabled &= ~FTC_BIT(w->id);
    ftc_the.uncontrolled++;
    w->wait = FTC_OUTSIDE;
    w->pending = (ftc_op){.kind = FTC_OUT};
    ftc_trace_op(w);
    if (w->value != NULL) {                            /* the log does not want it */
        Py_CLEAR(w->value);
    }
    int next = ftc_the.abandoning ? (others ? ftc_lowest(others) : -1) : ftc_successor(w, FTC_BLOCKED);
    if (next < 0) {
        ftc_park();
    }
    else {
        ftc_the.switches++;
        ftc_wake(next);
    }
}

static long in_c;                    /* times that the token was handed on from here */

/* Without Python, and without a word where it was. */
static void
hand_on_at_once(unsigned long long token)
{
    unsigned long long expected = token;
    if (!atomic_compare_exchange_strong(&ftc_gate, &expected, FTC_BUSY)) {
        return;
    }
    in_c++;
    pass_over(&ftc_workers[ftc_worker_of(token)]);
}

/* Somebody wants to, and looks now and then whether the others have. */
static int
the_world_is_to_stop(void)
{
#ifdef Py_GIL_DISABLED
    return PyInterpreterState_Main()->stoptheworld.requested || _PyRuntime.stoptheworld.requested;
#else
    return 0;
#endif
}

static void
wait_for_bell(long milliseconds)
{
    struct timespec until = ftc_in(milliseconds);
    sem_timedwait(&bell, &until);
}

/* (token, thread ident) of a worker that seems to be blocked outside of control; None: watching is over. */
PyObject *
ftc_await_stall(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    unsigned long long token = 0, last = 0;
    long steps = 0;
    int64_t used = 0;
    int seen = 0, id = 0;
    Py_BEGIN_ALLOW_THREADS
    while (seen < LOOKS && atomic_load(&watching)) {
        wait_for_bell(atomic_load(&stalls) ? 2 : 10);
        token = atomic_load(&ftc_gate);
        if (token == FTC_PARKED) {
            ftc_let_real_time_pass();
        }
        id = ftc_worker_of(token);
        const ftc_worker *w = &ftc_workers[id & (FTC_MAX_WORKERS - 1)];
        int alone = (ftc_the.live & ~ftc_the.outside & ~FTC_BIT(id)) == 0;
        if (token <= FTC_PARKED || (alone && !ftc_anybody_back())) {
            seen = 0;
            last = 0;
            continue;
        }
        int64_t now = cpu_time(w->native);
        int same = token == last && steps == ftc_the.steps && (now == used || the_world_is_to_stop());
        seen = same && ftc_task_state(w->native) == 'S' ? seen + 1 : 0;
        last = token;
        steps = ftc_the.steps;
        used = now;
        if (seen == LOOKS && who_is_in_c(id) != 0) {
            hand_on_at_once(token);
            seen = 0;
        }
    }
    Py_END_ALLOW_THREADS
    if (!atomic_load(&watching)) {
        Py_RETURN_NONE;
    }
    return Py_BuildValue("(Kk)", token, ftc_workers[id].ident);
}

void
ftc_add_call(PyObject *where)
{
    if (calls == NULL || PyList_Append(calls, where) < 0) {
        PyErr_Clear();                                 /* the count tells it all the same */
    }
    Py_DECREF(where);
}

/* hand_on(token, where, code, offset): take the token from a worker that is outside, if it still is. */
PyObject *
ftc_hand_on(PyObject *Py_UNUSED(module), PyObject *args)
{
    unsigned long long token;
    PyObject *where, *code;
    int offset;
    if (!PyArg_ParseTuple(args, "KUOi:hand_on", &token, &where, &code, &offset)) {
        return NULL;
    }
    unsigned long long expected = token;
    if (token <= FTC_PARKED || !atomic_compare_exchange_strong(&ftc_gate, &expected, FTC_BUSY)) {
        Py_RETURN_FALSE;
    }
    ftc_worker *w = &ftc_workers[ftc_worker_of(token)];
    ftc_admit();
    uint64_t others = ftc_the.live & ~ftc_the.outside & ~FTC_BIT(w->id);
    if (!(ftc_the.abandoning ? others : ftc_the.enabled & others) && ftc_nearest_deadline() == INT64_MAX) {
        atomic_store(&ftc_gate, token);                /* nobody could do anything with it */
        Py_RETURN_FALSE;
    }
    w->code = code == Py_None ? NULL : code;
    w->offset = offset;
    Py_XSETREF(w->value, Py_NewRef(where));
    ftc_add_call(Py_NewRef(where));
    pass_over(w);
    Py_RETURN_TRUE;
}

/* A list of texts: where threads of the run were outside. */
PyObject *
ftc_take_calls(void)
{
    if (in_c > 0) {
        PyObject *where = PyUnicode_FromString("an extension, or the interpreter");
        in_c = 0;
        if (where != NULL) {
            ftc_add_call(where);
        }
    }
    PyObject *taken = calls == NULL ? PyList_New(0) : calls;
    calls = PyList_New(0);
    return taken;
}

PyObject *
ftc_watch_stalls(PyObject *Py_UNUSED(module), PyObject *on)
{
    int yes = PyObject_IsTrue(on);
    if (yes < 0) {
        return NULL;
    }
    atomic_store(&stalls, 0);
    if (yes) {
        sem_init(&bell, 0, 0);
    }
    atomic_store(&watching, yes);
    if (!yes) {
        sem_post(&bell);
    }
    Py_RETURN_NONE;
}

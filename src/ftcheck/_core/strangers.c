/* Threads that are not of the run, and for which its workers may be waiting: one that a library has started long since, and
 * that sets an Event or has a lock; one that an earlier run has left behind.
 *
 * If nobody can run, that looks like a deadlock.  It is one if there is no stranger.  If there is, he gets some time, real
 * time, and is looked for all the while; where he then lets somebody go on, the run goes on, and is not determined by its
 * decisions alone.  After a few times in vain these are waited for no more, because minimising a deadlock takes many runs.
 */
#include "sched.h"

#define PATIENCE 1000                /* milliseconds, the first time */
#define LESS 100                     /* and then, or if a timeout will end the wait */
#define VAIN 5

static PyObject *is_there;           /* Python's part: called with the idents of the run's threads */
static Py_ssize_t them;              /* a number for those who are there */
static int vain;                     /* times that they were waited for in vain */

static int
can_now(const ftc_worker *w)
{
    PyObject *what = (PyObject *)w->waits_on;
    return w->wait == FTC_WAITS_LOCK ? ftc_lock_is_free(what) : w->wait == FTC_WAITS_QUEUE && ftc_queue_has_some(what);
}

static void
note(const ftc_worker *w)
{
    PyObject *where = NULL;
    if (w->code != NULL) {
        PyObject *file = ((PyCodeObject *)w->code)->co_filename;
        Py_ssize_t length = PyUnicode_GET_LENGTH(file), name = PyUnicode_FindChar(file, '/', 0, length, -1) + 1;
        PyObject *base = PyUnicode_Substring(file, name, length);
        int line = PyCode_Addr2Line((PyCodeObject *)w->code, w->offset);
        where = base == NULL ? NULL : PyUnicode_FromFormat("%U:%d, for a thread that is not under control", base, line);
        Py_XDECREF(base);
    }
    else {
        where = PyUnicode_FromString("a thread waits for one that is not under control");
    }
    if (where != NULL) {
        ftc_add_call(where);
    }
    PyErr_Clear();
}

static int
let_go_on(void)
{
    int found = 0;
    for (uint64_t left = ftc_the.live & ~ftc_the.outside; left != 0; left &= left - 1) {
        ftc_worker *w = &ftc_workers[ftc_lowest(left)];
        if (can_now(w)) {
            ftc_the.enabled |= FTC_BIT(w->id);
            ftc_the.uncontrolled++;
            note(w);
            found = 1;
        }
    }
    return found;
}

/* Whether there is anybody worth waiting for. */
static int
ask(void)
{
    PyObject *yes = NULL;
    ftc_seat seat = ftc_my;
    ftc_my = (ftc_seat){0};                            /* not under control while it looks */
    PyObject *idents = PyList_New(0);
    for (uint64_t left = ftc_the.live; idents != NULL && left != 0; left &= left - 1) {
        PyObject *ident = PyLong_FromUnsignedLong(ftc_workers[ftc_lowest(left)].ident);
        if (ident == NULL || PyList_Append(idents, ident) < 0) {
            Py_CLEAR(idents);
        }
        Py_XDECREF(ident);
    }
    if (idents != NULL) {
        yes = PyObject_CallOneArg(is_there, idents);
    }
    Py_ssize_t found = yes == NULL ? 0 : PyLong_AsSsize_t(yes);
    Py_XDECREF(idents);
    Py_XDECREF(yes);
    PyErr_Clear();
    ftc_my = seat;
    vain = found == them ? vain : 0;
    them = found;
    return found != 0 && vain < VAIN;
}

int
ftc_await_strangers(void)
{
    int waiting = 0;
    for (uint64_t left = ftc_the.live; left != 0; left &= left - 1) {
        enum ftc_wait wait = ftc_workers[ftc_lowest(left)].wait;
        waiting |= wait == FTC_WAITS_LOCK || wait == FTC_WAITS_QUEUE;
    }
    int in_c = PyThreadState_GetUnchecked() == NULL;   /* who is stopped there is attached, and cannot be looked at */
    for (uint64_t left = ftc_the.live; left != 0; left &= left - 1) {
        in_c |= ftc_workers[ftc_lowest(left)].in_extension;
    }
    if (!waiting || in_c || is_there == NULL) {
        return 0;
    }
    PyObject *raised = PyErr_GetRaisedException();
    int64_t began = ftc_now(), nearest = ftc_nearest_deadline();
    int found = let_go_on();
    while (!found) {
        if (!ask()) {
            found = let_go_on();                       /* who was there has given it back in between, and gone */
            break;
        }
        int64_t patience = vain > 0 || nearest != INT64_MAX ? LESS : PATIENCE;
        if (ftc_now() - began > patience * 1000000) {
            vain++;
            break;
        }
        Py_BEGIN_ALLOW_THREADS
        ftc_pause(1);
        Py_END_ALLOW_THREADS
        found = let_go_on();
    }
    PyErr_SetRaisedException(raised);
    return found;
}

/* look_for_strangers(callable or None): it is called with a list of idents, and gives a number for the other threads. */
PyObject *
ftc_look_for_strangers(PyObject *Py_UNUSED(module), PyObject *callable)
{
    Py_XSETREF(is_there, callable == Py_None ? NULL : Py_NewRef(callable));
    Py_RETURN_NONE;
}

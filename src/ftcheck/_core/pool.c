/* Pooled threads, for the bodies of a test.
 *
 * To start a thread costs more than to run a short schedule, so the bodies that concurrently() gets run on threads that
 * live as long as the exploration: each waits in serve() for its next body.  Its threading.local values go with the body.
 * The pool grows when more bodies run at a time than ever before (explore/pool.py).
 */
#include "sched.h"

static struct {
    sem_t job;
    PyObject *thread;                /* the Thread that serves here; NULL: none does */
    atomic_int idle;                 /* it waits for a body; else it has one, perhaps of a run that is over long since */
    int retired;                     /* it is to go home when it comes back from there */
    ftc_worker *worker;              /* under which it is to run `body`; NULL: go home */
    PyObject *body, *called, *failure;                 /* called: what the body calls, if that is known */
} pool[FTC_MAX_WORKERS];

/* Without its threading.local values a thread is as good as new.  Their destructors are not under control. */
static void
forget_locals(void)
{
    PyThreadState *tstate = PyThreadState_Get();
    ftc_worker *me = ftc_my.worker;
    ftc_my.worker = NULL;
    Py_CLEAR(tstate->threading_local_key);
    Py_CLEAR(tstate->threading_local_sentinel);
    ftc_my.worker = me;
}

/* Its first step is to call `called`, which may be a builtin.  -1: the run is given up. */
static int
begin(ftc_worker *me, PyObject *called)
{
    ftc_execute(me);                                   /* its BEGIN */
    if (called == NULL) {
        return 0;
    }
    me->code = NULL;
    me->pending = (ftc_op){0};
    ftc_call_operation(&me->pending, called, NULL, 0);
    return me->pending.kind == FTC_NOTHING ? 0 : ftc_point(me, FTC_FREE);
}

PyObject *
ftc_serve(PyObject *Py_UNUSED(module), PyObject *number)
{
    long n = PyLong_AsLong(number);
    if (n < 0 || n >= FTC_MAX_WORKERS || pool[n].thread == NULL) {
        PyErr_SetString(PyExc_IndexError, "no such place in the pool");
        return NULL;
    }
    for (;;) {
        ftc_worker *me;
        Py_BEGIN_ALLOW_THREADS
        ftc_pass_on();
        while (sem_wait(&pool[n].job) != 0) {}
        me = pool[n].worker;
        while (me != NULL && sem_wait(&me->go) != 0) {}                /* without a moment in which it is attached */
        Py_END_ALLOW_THREADS
        if (me == NULL) {
            Py_CLEAR(pool[n].thread);
            Py_RETURN_NONE;
        }
        PyObject *body = Py_NewRef(pool[n].body), *called = Py_XNewRef(pool[n].called), *failure = NULL;
        ftc_sit(me);
        if (!ftc_the.abandoning && begin(me, called) == 0) {
            ftc_exit();
            Py_XDECREF(PyObject_CallNoArgs(body));
            failure = PyErr_GetRaisedException();
            if (ftc_my.worker == NULL || ftc_enter() < 0) {            /* left behind by its run */
                PyErr_Clear();
                Py_CLEAR(failure);
            }
        }
        else {
            failure = PyErr_GetRaisedException();
        }
        Py_DECREF(body);
        Py_XDECREF(called);
        forget_locals();
        if (ftc_my.worker != NULL) {
            pool[n].failure = failure;
            atomic_store(&pool[n].idle, 1);
            ftc_leave(me);
        }
        else if (pool[n].retired) {
            pool[n].retired = 0;
            Py_CLEAR(pool[n].thread);
            Py_RETURN_NONE;
        }
        else {
            atomic_store(&pool[n].idle, 1);
        }
    }
}

/* Places for the bodies, and what each of them is to do; the set of the workers, or 0 with an exception. */
static uint64_t
hand_out(ftc_worker *me, PyObject *bodies, PyObject *called, int *places)
{
    Py_ssize_t count = PyList_GET_SIZE(bodies);
    int place = 0;
    for (Py_ssize_t i = 0; i < count; i++) {
        for (; place < FTC_MAX_WORKERS && (pool[place].body != NULL || !atomic_load(&pool[place].idle)); place++) {}
        if (i >= FTC_MAX_WORKERS || place == FTC_MAX_WORKERS) {
            PyErr_Format(PyExc_RuntimeError, "there are not enough threads in the pool for %zd bodies", count);
            return 0;
        }
        places[i] = place++;
    }
    uint64_t children = 0;
    for (Py_ssize_t i = 0; i < count; i++) {
        ftc_worker *w = ftc_new_worker(me);
        if (w == NULL) {
            return 0;
        }
        int p = places[i];
        pool[p].worker = w;
        pool[p].body = Py_NewRef(PyList_GET_ITEM(bodies, i));
        pool[p].called = called == NULL ? NULL : Py_NewRef(PyList_GET_ITEM(called, i));
        pool[p].failure = NULL;
        atomic_store(&pool[p].idle, 0);
        children |= FTC_BIT(w->id);
        sem_post(&pool[p].job);
    }
    return children;
}

static PyObject *
run_bodies(ftc_worker *me, PyObject *bodies, PyObject *called)
{
    int places[FTC_MAX_WORKERS];
    uint64_t children = PyList_GET_SIZE(bodies) == 0 ? 0 : hand_out(me, bodies, called, places);
    if (children == 0) {
        return PyErr_Occurred() ? NULL : PyList_New(0);
    }
    ftc_find_caller(me);
    me->pending = (ftc_op){.kind = FTC_JOIN, .also = children};
    me->step++;
    me->wait = FTC_WAITS_WORKERS;
    me->waits_for = children;
    int got = (children & ftc_the.live) == 0 ? 0 : ftc_block(me, -1);
    me->wait = FTC_RUNS;
    PyObject *raised = PyErr_GetRaisedException();
    ftc_unwind_all(me, children, FTC_GRACE);           /* given up: the bodies go first */
    PyErr_SetRaisedException(raised);
    Py_ssize_t count = PyList_GET_SIZE(bodies);
    PyObject *result = PyList_New(count);
    for (Py_ssize_t i = 0; i < count; i++) {
        int p = places[i];
        PyObject *failure = pool[p].failure == NULL ? Py_NewRef(Py_None) : pool[p].failure;
        pool[p].failure = NULL;
        Py_CLEAR(pool[p].called);
        Py_CLEAR(pool[p].body);
        if (result != NULL) {
            PyList_SET_ITEM(result, i, failure);
        }
        else {
            Py_DECREF(failure);
        }
    }
    if (got < 0) {
        Py_CLEAR(result);
    }
    else {
        ftc_execute(me);
    }
    return result;
}

/* Runs each of these callables on a pooled thread, waits for all, and gives what each raised, or None. */
PyObject *
ftc_run_bodies(PyObject *Py_UNUSED(module), PyObject *args)
{
    ftc_worker *me = ftc_my.worker;
    PyObject *bodies, *called = NULL;
    if (!PyArg_ParseTuple(args, "O!|O!:run_bodies", &PyList_Type, &bodies, &PyList_Type, &called)) {
        return NULL;
    }
    if (me == NULL || (called != NULL && PyList_GET_SIZE(called) != PyList_GET_SIZE(bodies))) {
        PyErr_SetString(PyExc_RuntimeError, "bodies run under control only");
        return NULL;
    }
    if (ftc_enter() < 0) {
        return NULL;
    }
    PyObject *result = run_bodies(me, bodies, called);
    ftc_exit();
    return result;
}

/* claim_place(thread): the number of a place for it, which it is to serve. */
PyObject *
ftc_claim_place(PyObject *Py_UNUSED(module), PyObject *thread)
{
    for (int i = 0; i < FTC_MAX_WORKERS - 1; i++) {
        if (pool[i].thread == NULL) {
            pool[i].thread = Py_NewRef(thread);
            pool[i].worker = NULL;
            pool[i].retired = 0;
            sem_init(&pool[i].job, 0, 0);
            atomic_store(&pool[i].idle, 1);
            return PyLong_FromLong(i);
        }
    }
    PyErr_Format(PyExc_RuntimeError, "a controlled run can have %d threads at most", FTC_MAX_WORKERS - 1);
    return NULL;
}

PyObject *
ftc_idle_places(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    long count = 0;
    for (int i = 0; i < FTC_MAX_WORKERS; i++) {
        count += pool[i].thread != NULL && pool[i].body == NULL && atomic_load(&pool[i].idle);
    }
    return PyLong_FromLong(count);
}

/* The threads that go home now, to be joined.  One that a run has left behind goes when it comes back from where it is. */
PyObject *
ftc_send_home(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    PyObject *threads = PyList_New(0);
    for (int i = 0; threads != NULL && i < FTC_MAX_WORKERS; i++) {
        if (pool[i].thread == NULL || pool[i].retired) {
            continue;
        }
        if (!atomic_exchange(&pool[i].idle, 0)) {
            pool[i].retired = 1;
            continue;
        }
        if (PyList_Append(threads, pool[i].thread) < 0) {
            PyErr_Clear();
        }
        pool[i].worker = NULL;
        sem_post(&pool[i].job);
    }
    return threads;
}

/* uncontrolled(callable): calls it as if the calling thread were not under control; the others stand still meanwhile. */
PyObject *
ftc_uncontrolled(PyObject *Py_UNUSED(module), PyObject *callable)
{
    ftc_worker *me = ftc_my.worker;
    if (me != NULL && ftc_enter() < 0) {
        return NULL;
    }
    ftc_my.worker = NULL;
    PyObject *result = PyObject_CallNoArgs(callable);
    ftc_my.worker = me;
    if (me != NULL) {
        ftc_exit();
    }
    return result;
}

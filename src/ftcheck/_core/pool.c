/* Pooled threads, for the bodies of a test.
 *
 * To start a thread costs more than to run a short schedule, so the bodies that concurrently() gets run on threads that
 * live as long as the exploration: each waits in serve() for the first turn of its next body, so that it is woken once, and
 * only if that turn comes.  Its threading.local values go with the body.
 * The pool grows when more bodies run at a time than ever before (explore/pool.py).
 */
#include "sched.h"

static struct {
    sem_t go;                        /* posted for each of its turns, and for the last time when it is to go home */
    PyObject *thread;                /* the Thread that serves here; NULL: none does */
    atomic_int idle;                 /* it waits for a body; else it has one, perhaps of a run that is over long since */
    int retired;                     /* it is to go home when it comes back from there */
    ftc_worker *worker;              /* under which it is to run `body`, once it is its turn; NULL: it is to go home */
    PyObject *body, *context, *failure;                /* context: in which it is called */
    int steps;                       /* it may be a builtin, whose call is a step of its own */
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

/* -1: the run is given up. */
static int
begin(ftc_worker *me, PyObject *body, int steps)
{
    ftc_execute(me);                                   /* its BEGIN */
    if (!steps) {
        return 0;
    }
    me->code = NULL;
    me->pending = (ftc_op){0};
    ftc_call_operation(&me->pending, body, NULL, 0);
    return me->pending.kind == FTC_NOTHING ? 0 : ftc_point(me, FTC_FREE);
}

/* What it raised, or NULL. */
static PyObject *
call_in(PyObject *context, PyObject *body)
{
    if (PyContext_Enter(context) == 0) {
        Py_XDECREF(PyObject_CallNoArgs(body));
        PyObject *failure = PyErr_GetRaisedException();
        if (PyContext_Exit(context) == 0) {
            return failure;
        }
        Py_XDECREF(failure);
    }
    return PyErr_GetRaisedException();
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
        while (sem_wait(&pool[n].go) != 0) {}
        me = pool[n].worker;
        Py_END_ALLOW_THREADS
        if (me == NULL) {
            Py_CLEAR(pool[n].thread);
            Py_RETURN_NONE;
        }
        PyObject *body = Py_NewRef(pool[n].body), *context = Py_NewRef(pool[n].context), *failure = NULL;
        ftc_sit(me);
        if (!ftc_the.abandoning && begin(me, body, pool[n].steps) == 0) {
            ftc_exit();
            failure = call_in(context, body);
            if (ftc_my.worker == NULL || ftc_enter() < 0) {            /* left behind by its run */
                PyErr_Clear();
                Py_CLEAR(failure);
            }
        }
        else {
            failure = PyErr_GetRaisedException();
        }
        Py_DECREF(body);
        Py_DECREF(context);
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
hand_out(ftc_worker *me, PyObject *bodies, PyObject *contexts, int steps, int *places)
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
        pool[p].context = Py_NewRef(PyList_GET_ITEM(contexts, i));
        pool[p].steps = steps;
        pool[p].failure = NULL;
        atomic_store(&pool[p].idle, 0);
        children |= FTC_BIT(w->id);
        while (sem_trywait(&pool[p].go) == 0) {}       /* turns that an earlier body did not need any more */
        w->go = &pool[p].go;
    }
    return children;
}

static PyObject *
run_bodies(ftc_worker *me, PyObject *bodies, PyObject *contexts, int steps)
{
    int places[FTC_MAX_WORKERS];
    uint64_t children = PyList_GET_SIZE(bodies) == 0 ? 0 : hand_out(me, bodies, contexts, steps, places);
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
        Py_CLEAR(pool[p].context);
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

/* Runs each of these callables in its context on a pooled thread, waits for all, and gives what each raised, or None. */
PyObject *
ftc_run_bodies(PyObject *Py_UNUSED(module), PyObject *args)
{
    ftc_worker *me = ftc_my.worker;
    PyObject *bodies, *contexts;
    int steps;
    if (!PyArg_ParseTuple(args, "O!O!p:run_bodies", &PyList_Type, &bodies, &PyList_Type, &contexts, &steps)) {
        return NULL;
    }
    if (me == NULL || PyList_GET_SIZE(contexts) != PyList_GET_SIZE(bodies)) {
        PyErr_SetString(PyExc_RuntimeError, "bodies run under control only, each in a context");
        return NULL;
    }
    if (ftc_enter() < 0) {
        return NULL;
    }
    PyObject *result = run_bodies(me, bodies, contexts, steps);
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
            sem_init(&pool[i].go, 0, 0);
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

PyObject *
ftc_idle_threads(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    PyObject *threads = PyList_New(0);
    for (int i = 0; threads != NULL && i < FTC_MAX_WORKERS; i++) {
        if (pool[i].thread != NULL && atomic_load(&pool[i].idle) && PyList_Append(threads, pool[i].thread) < 0) {
            Py_CLEAR(threads);
        }
    }
    return threads;
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
        sem_post(&pool[i].go);
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

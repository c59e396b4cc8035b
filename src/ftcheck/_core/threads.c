/* Threads under control: pooled ones for the bodies of a test, and those that the code under test starts itself.
 *
 * To start a thread costs more than to run a short schedule, so the bodies that concurrently() gets run on threads that
 * live as long as the exploration: each waits in serve() for its next body.  Its threading.local values go with the body.
 *
 * A thread that the code under test starts (threading.Thread, an executor, _thread) is a real new thread.  What it is to
 * call is wrapped, so that it waits for its turn before anything runs, and hands the token on at its end.  Both functions
 * of _thread that start threads are caught where all of their function objects read the C function (see builtins.c).
 */
#include "sched.h"

static struct {
    sem_t job;
    int used;                        /* there is a thread */
    ftc_worker *worker;              /* under which it is to run `body`; NULL: go home */
    PyObject *body, *called, *failure;                 /* called: what the body calls, if that is known */
} pool[FTC_MAX_WORKERS];

static ftc_method handle_methods[2];  /* of _ThreadHandle: join, is_done */
static PyMethodDef *starters[2];
static PyCFunction original_starters[2];

/* --- the pool -------------------------------------------------------------------------------------------------------- */

static void
forget_locals(void)
{
    PyThreadState *tstate = PyThreadState_Get();
    Py_CLEAR(tstate->threading_local_key);
    Py_CLEAR(tstate->threading_local_sentinel);
}

PyObject *
ftc_serve(PyObject *Py_UNUSED(module), PyObject *number)
{
    long n = PyLong_AsLong(number);
    if (n < 0 || n >= FTC_MAX_WORKERS) {
        PyErr_SetString(PyExc_IndexError, "no such place in the pool");
        return NULL;
    }
    for (;;) {
        Py_BEGIN_ALLOW_THREADS
        while (sem_wait(&pool[n].job) != 0) {}
        Py_END_ALLOW_THREADS
        ftc_worker *me = pool[n].worker;
        if (me == NULL) {
            Py_RETURN_NONE;
        }
        me->tstate = PyThreadState_Get();
        ftc_wait_for_turn(me);
        if (!ftc_the.abandoning) {
            ftc_execute(me);                           /* its BEGIN */
            ftc_me = me;
            if (pool[n].called != NULL) {
                me->code = NULL;
                me->pending = (ftc_op){0};
                ftc_call_operation(&me->pending, pool[n].called, NULL, 0);
            }
            int given_up = me->pending.kind != FTC_BEGIN && me->pending.kind != FTC_NOTHING && ftc_point(me, FTC_FREE) < 0;
            PyObject *result = given_up ? NULL : PyObject_CallNoArgs(pool[n].body);
            ftc_me = NULL;
            Py_XDECREF(result);
            pool[n].failure = result == NULL ? PyErr_GetRaisedException() : NULL;
        }
        forget_locals();
        ftc_leave(me);
    }
}

/* Runs each of these callables on a pooled thread, waits for all, and gives what each raised, or None. */
PyObject *
ftc_run_bodies(PyObject *Py_UNUSED(module), PyObject *args)
{
    ftc_worker *me = ftc_me;
    PyObject *bodies, *called = NULL;
    if (!PyArg_ParseTuple(args, "O!|O!:run_bodies", &PyList_Type, &bodies, &PyList_Type, &called)) {
        return NULL;
    }
    if (me == NULL || (called != NULL && PyList_GET_SIZE(called) != PyList_GET_SIZE(bodies))) {
        PyErr_SetString(PyExc_RuntimeError, "bodies run under control only");
        return NULL;
    }
    Py_ssize_t count = PyList_GET_SIZE(bodies);
    int places[FTC_MAX_WORKERS], place = 0;
    for (Py_ssize_t i = 0; i < count; i++) {
        for (; place < FTC_MAX_WORKERS && (!pool[place].used || pool[place].body != NULL); place++) {}
        if (i >= FTC_MAX_WORKERS || place == FTC_MAX_WORKERS) {
            PyErr_Format(PyExc_RuntimeError, "there are not enough threads in the pool for %zd bodies", count);
            return NULL;
        }
        places[i] = place++;
    }
    uint64_t children = 0;
    for (Py_ssize_t i = 0; i < count; i++) {
        ftc_worker *w = ftc_new_worker(me);
        if (w == NULL) {
            return NULL;
        }
        int p = places[i];
        pool[p].worker = w;
        pool[p].body = Py_NewRef(PyList_GET_ITEM(bodies, i));
        pool[p].called = called == NULL ? NULL : Py_NewRef(PyList_GET_ITEM(called, i));
        pool[p].failure = NULL;
        children |= FTC_BIT(w->id);
        sem_post(&pool[p].job);
    }
    ftc_find_caller(me);
    me->pending = (ftc_op){.kind = FTC_JOIN, .also = children};
    me->step++;
    me->wait = FTC_WAITS_WORKERS;
    me->waits_for = children;
    int got = (children & ftc_the.live) == 0 ? 0 : ftc_block(me, -1);
    me->wait = FTC_RUNS;
    while (children & ftc_the.live) {                  /* given up: the bodies go first */
        ftc_let_unwind(me);
    }
    PyObject *result = PyList_New(count);
    for (Py_ssize_t i = 0; i < count; i++) {
        int p = places[i];
        Py_CLEAR(pool[p].body);
        Py_CLEAR(pool[p].called);
        PyObject *failure = pool[p].failure == NULL ? Py_NewRef(Py_None) : pool[p].failure;
        pool[p].failure = NULL;
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

/* Readies (count > 0) or sends home (0) the pool's threads; Python starts them, each with serve(its number). */
PyObject *
ftc_pool(PyObject *Py_UNUSED(module), PyObject *count)
{
    long n = PyLong_AsLong(count);
    for (int i = 0; i < FTC_MAX_WORKERS; i++) {
        if (pool[i].used && i >= n) {
            pool[i].worker = NULL;
            pool[i].used = 0;
            sem_post(&pool[i].job);
        }
        else if (!pool[i].used && i < n) {
            sem_init(&pool[i].job, 0, 0);
            pool[i].used = 1;
        }
    }
    Py_RETURN_NONE;
}

/* --- threads of the code under test ----------------------------------------------------------------------------------- */

typedef struct {
    PyObject_HEAD
    PyObject *function;
    ftc_worker *worker;
    long run;                        /* so that a thread that outlives its run does not disturb the next one */
} wrapped;

static PyObject *
wrapped_call(wrapped *self, PyObject *args, PyObject *names)
{
    ftc_worker *me = self->worker;
    if (self->run != ftc_the.number || !ftc_the.active) {
        return PyObject_Call(self->function, args, names);
    }
    me->tstate = PyThreadState_Get();
    ftc_wait_for_turn(me);
    ftc_execute(me);
    ftc_me = me;
    PyObject *result = ftc_the.abandoning ? Py_NewRef(Py_None) : PyObject_Call(self->function, args, names);
    ftc_me = NULL;
    PyObject *raised = PyErr_GetRaisedException();
    if (raised != NULL && PyErr_GivenExceptionMatches(raised, ftc_abandoned)) {
        Py_CLEAR(raised);
        result = Py_NewRef(Py_None);
    }
    ftc_leave(me);
    PyErr_SetRaisedException(raised);
    return result;
}

static void
wrapped_dealloc(wrapped *self)
{
    PyTypeObject *type = Py_TYPE(self);
    Py_XDECREF(self->function);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyType_Slot wrapped_slots[] = {
    {Py_tp_call, wrapped_call}, {Py_tp_dealloc, wrapped_dealloc}, {0, NULL},
};
static PyType_Spec wrapped_spec = {
    .name = "ftcheck._core.Controlled", .basicsize = sizeof(wrapped),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, .slots = wrapped_slots,
};
static PyTypeObject *wrapped_type;

/* start_joinable_thread(function, handle=None, daemon=True) and start_new_thread(function, args[, kwargs]) */
static PyObject *
start(int which, PyObject *self, PyObject *args, PyObject *names)
{
    PyCFunctionWithKeywords call = (PyCFunctionWithKeywords)(void (*)(void))original_starters[which];
    ftc_worker *me = ftc_me;
    if (me == NULL || ftc_the.abandoning || PyTuple_GET_SIZE(args) < 1) {
        return call(self, args, names);
    }
    wrapped *w = PyObject_New(wrapped, wrapped_type);
    PyObject *changed = PyTuple_New(PyTuple_GET_SIZE(args));
    if (w == NULL || changed == NULL) {
        Py_XDECREF(w);
        Py_XDECREF(changed);
        return NULL;
    }
    w->function = Py_NewRef(PyTuple_GET_ITEM(args, 0));
    w->run = ftc_the.number;
    w->worker = ftc_new_worker(me);
    PyTuple_SET_ITEM(changed, 0, (PyObject *)w);
    for (Py_ssize_t i = 1; i < PyTuple_GET_SIZE(args); i++) {
        PyTuple_SET_ITEM(changed, i, Py_NewRef(PyTuple_GET_ITEM(args, i)));
    }
    PyObject *result = NULL;
    if (w->worker != NULL) {
        PyObject *daemon = which == 1 ? Py_True : names == NULL ? NULL : PyDict_GetItemString(names, "daemon");
        daemon = daemon == NULL && PyTuple_GET_SIZE(args) > 2 ? PyTuple_GET_ITEM(args, 2) : daemon;
        w->worker->background = daemon == NULL ? 1 : PyObject_IsTrue(daemon);
        if (which == 0) {
            PyObject *handle = names == NULL ? NULL : PyDict_GetItemString(names, "handle");
            handle = handle == NULL && PyTuple_GET_SIZE(args) > 1 ? PyTuple_GET_ITEM(args, 1) : handle;
            w->worker->handle = handle == Py_None ? NULL : handle;
        }
        result = call(self, changed, names);
        if (result == NULL) {                          /* it could not be started after all */
            ftc_the.live &= ~FTC_BIT(w->worker->id);
            ftc_the.enabled &= ~FTC_BIT(w->worker->id);
            w->worker->wait = FTC_ENDED;
        }
    }
    Py_DECREF(changed);
    return result;
}

static PyObject *start_joinable(PyObject *self, PyObject *args, PyObject *names) { return start(0, self, args, names); }
static PyObject *start_new(PyObject *self, PyObject *args) { return start(1, self, args, NULL); }

/* _ThreadHandle.join(timeout=-1): the thread's code is through when its worker is; what is left is brief. */
static PyObject *
handle_join(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    ftc_worker *me = ftc_me;
    PyObject *all[3] = {self, nargs > 0 ? args[0] : NULL};
    for (int i = 0; me != NULL && i < ftc_the.workers; i++) {
        ftc_worker *w = &ftc_workers[i];
        if (w->handle != self || w == me) {
            continue;
        }
        me->pending = (ftc_op){.kind = FTC_JOIN, .also = FTC_BIT(i)};
        if (w->wait == FTC_ENDED) {
            ftc_execute(me);
            continue;
        }
        double seconds = nargs > 0 && args[0] != Py_None ? PyFloat_AsDouble(args[0]) : -1;
        if (seconds == -1 && PyErr_Occurred()) {
            return NULL;
        }
        ftc_find_caller(me);
        me->pending = (ftc_op){.kind = FTC_JOIN, .also = FTC_BIT(i)};
        me->step++;
        me->wait = FTC_WAITS_WORKERS;
        me->waits_for = FTC_BIT(i);
        int got = ftc_block(me, seconds < 0 ? -1 : ftc_the.clock + (int64_t)(seconds * 1e9));
        me->wait = FTC_RUNS;
        if (got < 0) {
            return NULL;
        }
        ftc_execute(me);
        if (got == 1) {
            Py_RETURN_NONE;                            /* timed out */
        }
    }
    return PyObject_Vectorcall(handle_methods[0].original, all, (size_t)nargs + 1, NULL);
}

/* _ThreadHandle.is_done(): Thread.is_alive() is to see the thread as the run does, not as the kernel does. */
static PyObject *
handle_is_done(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    for (int i = 0; ftc_me != NULL && i < ftc_the.workers; i++) {
        if (ftc_workers[i].handle == self) {
            return PyBool_FromLong(ftc_workers[i].wait == FTC_ENDED);
        }
    }
    return PyObject_Vectorcall(handle_methods[1].original, &self, 1, NULL);
}

static PyMethodDef is_done_definition = {"is_done", handle_is_done, METH_NOARGS, NULL};
static PyMethodDef join_definition = {"join", (PyCFunction)(void (*)(void))handle_join, METH_FASTCALL, NULL};

int
ftc_threads_control(int on)
{
    static const char *const names[2] = {"start_joinable_thread", "start_new_thread"};
    static const PyCFunction ours[2] = {(PyCFunction)(void (*)(void))start_joinable, start_new};
    if (wrapped_type == NULL) {
        PyTypeObject *handle = (PyTypeObject *)PyImport_ImportModuleAttrString("_thread", "_ThreadHandle");
        handle_methods[0] = (ftc_method){handle, &join_definition, NULL};
        handle_methods[1] = (ftc_method){handle, &is_done_definition, NULL};
        wrapped_type = (PyTypeObject *)PyType_FromSpec(&wrapped_spec);
        if (handle == NULL || wrapped_type == NULL) {
            return -1;
        }
    }
    for (int i = 0; i < 2; i++) {
        if (starters[i] == NULL) {
            PyObject *function = PyImport_ImportModuleAttrString("_thread", names[i]);          /* kept for good */
            int flags = function != NULL && PyCFunction_Check(function) ? PyCFunction_GET_FLAGS(function) : 0;
            if (flags != (i == 0 ? METH_VARARGS | METH_KEYWORDS : METH_VARARGS)) {
                PyErr_Format(PyExc_RuntimeError, "_thread.%s is not as this version of ftcheck knows it", names[i]);
                return -1;
            }
            starters[i] = ((PyCFunctionObject *)function)->m_ml;
            original_starters[i] = starters[i]->ml_meth;
            ftc_classify_own(starters[i]);
        }
        __atomic_store_n(&starters[i]->ml_meth, on ? ours[i] : original_starters[i], __ATOMIC_RELEASE);
    }
    return ftc_replace_methods(handle_methods, 2, on);
}

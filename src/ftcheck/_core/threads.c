/* Threads that the code under test starts itself, and joining them.
 *
 * A thread that is started (threading.Thread, an executor, _thread) is a real new thread.  What it is to call is wrapped,
 * so that it waits for its turn before anything runs, and hands the token on at its end.  Both functions of _thread that
 * start threads are caught where all of their function objects read the C function (see builtins.c).
 */
#include "sched.h"

static ftc_method handle_methods[2];  /* of _ThreadHandle: join, is_done */
static PyMethodDef *starters[2];
static PyCFunction original_starters[2];

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
    ftc_sit(me);
    ftc_wait_for_turn(me);
    ftc_execute(me);
    PyObject *result = NULL;
    if (!ftc_the.abandoning) {
        ftc_exit();
        result = PyObject_Call(self->function, args, names);
    }
    PyObject *raised = PyErr_GetRaisedException();
    if (raised == NULL || PyErr_GivenExceptionMatches(raised, ftc_abandoned)) {
        Py_CLEAR(raised);
        result = result == NULL ? Py_NewRef(Py_None) : result;
    }
    if (ftc_my.worker != NULL && (ftc_my.inside > 0 || ftc_enter() == 0)) {
        ftc_leave(me);
    }
    PyErr_Clear();                                     /* left behind by its run */
    PyErr_SetRaisedException(raised);
    ftc_pass_on();
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

static PyObject *asked;              /* Python's part: called with each Thread that starts */

/* watch_starts(callable or None): it says of a Thread whether nobody is to wait for its end, as if it were a daemon. */
PyObject *
ftc_watch_starts(PyObject *Py_UNUSED(module), PyObject *callable)
{
    Py_XSETREF(asked, callable == Py_None ? NULL : Py_NewRef(callable));
    Py_RETURN_NONE;
}

static int
is_not_awaited(PyObject *function)
{
    if (asked == NULL || !PyMethod_Check(function)) {
        return 0;
    }
    ftc_seat seat = ftc_my;
    ftc_my = (ftc_seat){0};                            /* not under control while it looks */
    PyObject *answer = PyObject_CallOneArg(asked, PyMethod_GET_SELF(function));
    int yes = answer != NULL && PyObject_IsTrue(answer) == 1;
    Py_XDECREF(answer);
    PyErr_Clear();
    ftc_my = seat;
    return yes;
}

/* start_joinable_thread(function, handle=None, daemon=True) and start_new_thread(function, args[, kwargs]) */
static PyObject *
start(int which, PyObject *self, PyObject *args, PyObject *names)
{
    PyCFunctionWithKeywords call = (PyCFunctionWithKeywords)(void (*)(void))original_starters[which];
    ftc_worker *me = ftc_my.worker;
    if (me == NULL || ftc_the.abandoning || PyTuple_GET_SIZE(args) < 1) {
        return call(self, args, names);
    }
    if (ftc_enter() < 0) {
        return NULL;
    }
    wrapped *w = PyObject_New(wrapped, wrapped_type);
    PyObject *changed = PyTuple_New(PyTuple_GET_SIZE(args));
    if (w == NULL || changed == NULL) {
        Py_XDECREF(w);
        Py_XDECREF(changed);
        ftc_exit();
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
        w->worker->background = is_not_awaited(w->function) || daemon == NULL || PyObject_IsTrue(daemon);
        if (which == 0) {
            PyObject *handle = names == NULL ? NULL : PyDict_GetItemString(names, "handle");
            handle = handle == NULL && PyTuple_GET_SIZE(args) > 1 ? PyTuple_GET_ITEM(args, 1) : handle;
            w->worker->handle = handle == Py_None ? NULL : handle;
            w->worker->pending.object = (uintptr_t)w->worker->handle;
        }
        result = call(self, changed, names);
        if (result == NULL) {                          /* it could not be started after all */
            ftc_the.live &= ~FTC_BIT(w->worker->id);
            ftc_the.enabled &= ~FTC_BIT(w->worker->id);
            w->worker->wait = FTC_ENDED;
        }
    }
    Py_DECREF(changed);
    ftc_exit();
    return result;
}

static PyObject *start_joinable(PyObject *self, PyObject *args, PyObject *names) { return start(0, self, args, names); }
static PyObject *start_new(PyObject *self, PyObject *args) { return start(1, self, args, NULL); }

/* Waits for the worker of this thread, so long (-1: as long as it takes).  1: that was too short; -1: given up. */
static int
join(ftc_worker *me, const ftc_worker *who, double seconds)
{
    ftc_find_caller(me);
    int64_t deadline = -1;
    if (seconds >= 0 && ftc_set_deadline(me, (int64_t)(seconds * 1e9), &deadline) < 0) {
        return -1;
    }
    me->pending = (ftc_op){.kind = FTC_JOIN, .also = FTC_BIT(who->id)};
    int got = 0;
    if (who->wait != FTC_ENDED) {
        me->step++;
        me->wait = FTC_WAITS_WORKERS;
        me->waits_for = FTC_BIT(who->id);
        got = ftc_block(me, deadline);
        me->wait = FTC_RUNS;
        me->pending.typed = got == 1;
    }
    if (got >= 0) {
        ftc_execute(me);
    }
    return got;
}

/* _ThreadHandle.join(timeout=-1): the thread's code is through when its worker is; what is left is brief. */
static PyObject *
handle_join(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    ftc_worker *me = ftc_my.worker;
    PyObject *all[3] = {self, nargs > 0 ? args[0] : NULL};
    double seconds = me != NULL && nargs > 0 && args[0] != Py_None ? PyFloat_AsDouble(args[0]) : -1;
    if (seconds == -1 && PyErr_Occurred()) {
        return NULL;
    }
    if (!(seconds <= FTC_LONGEST)) {
        me = NULL;                                     /* the original is to refuse it */
    }
    if (me != NULL && ftc_enter() < 0) {
        return NULL;
    }
    int got = 0;
    for (int i = 0; me != NULL && got == 0 && i < ftc_the.workers; i++) {
        if (ftc_workers[i].handle == self && i != me->id) {
            got = join(me, &ftc_workers[i], seconds);
        }
    }
    if (me != NULL) {
        ftc_exit();                                    /* what is left is not under control */
    }
    if (got != 0) {
        return got < 0 ? NULL : Py_NewRef(Py_None);    /* timed out */
    }
    return PyObject_Vectorcall(handle_methods[0].original, all, (size_t)nargs + 1, NULL);
}

/* _ThreadHandle.is_done(): Thread.is_alive() is to see the thread as the run does, not as the kernel does. */
static PyObject *
handle_is_done(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    ftc_worker *me = ftc_my.worker;
    if (me != NULL && ftc_enter() < 0) {
        return NULL;
    }
    const ftc_worker *who = me == NULL ? NULL : ftc_worker_with(self);
    int done = 0;
    if (who != NULL && who != me) {
        int said = ftc_the.unjoined == 0 || ftc_called_in_scope();
        done = said ? who->wait == FTC_ENDED : ftc_look(me, who);
    }
    if (me != NULL) {
        ftc_exit();
    }
    if (done < 0) {
        return NULL;
    }
    return who != NULL ? PyBool_FromLong(done) : PyObject_Vectorcall(handle_methods[1].original, &self, 1, NULL);
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

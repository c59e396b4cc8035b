/* _queue.SimpleQueue under control: it blocks in C, without any lock that could be seen (Modules/_queuemodule.c). */
#include "sched.h"

enum { PUT, PUT_NOWAIT, GET, GET_NOWAIT, QSIZE, METHODS };
static ftc_method methods[METHODS];

static PyObject *
original(int which, PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *names)
{
    return ftc_original(&methods[which], self, args, nargs, names);
}

static long
size_of(PyObject *self)
{
    PyObject *size = original(QSIZE, self, NULL, 0, NULL);
    long n = size == NULL ? -1 : PyLong_AsLong(size);
    Py_XDECREF(size);
    return n;
}

int
ftc_queue_has_some(PyObject *queue)
{
    return size_of(queue) > 0;
}

static PyObject *
put(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *names)
{
    ftc_worker *me = ftc_my.worker;
    if (me == NULL || ftc_the.abandoning) {
        return original(PUT, self, args, nargs, names);
    }
    if (ftc_enter() < 0) {
        return NULL;
    }
    ftc_find_caller(me);
    me->pending = (ftc_op){.kind = FTC_PUT, .object = (uintptr_t)self, .place = (uintptr_t)Py_TYPE(self)};
    PyObject *result = ftc_point(me, FTC_FREE) < 0 ? NULL : original(PUT, self, args, nargs, names);
    if (result != NULL) {
        ftc_can(self);
    }
    ftc_exit();
    return result;
}

/* The arguments of get(block=True, timeout=None). -1: wrong ones, which the original is to complain of. */
static int
read_arguments(PyObject *const *args, Py_ssize_t nargs, PyObject *names, int64_t *timeout)
{
    PyObject *block = nargs > 0 ? args[0] : Py_True, *seconds = nargs > 1 ? args[1] : Py_None;
    for (Py_ssize_t i = 0; names != NULL && i < PyTuple_GET_SIZE(names); i++) {
        PyObject *name = PyTuple_GET_ITEM(names, i);
        if (PyUnicode_EqualToUTF8(name, "block")) {
            block = args[nargs + i];
        }
        else if (PyUnicode_EqualToUTF8(name, "timeout")) {
            seconds = args[nargs + i];
        }
        else {
            return -1;
        }
    }
    int waits = PyObject_IsTrue(block);
    double s = seconds == Py_None ? -1 : PyFloat_AsDouble(seconds);
    if (waits < 0 || PyErr_Occurred() || nargs > 2 || (seconds != Py_None && !(s >= 0 && s <= FTC_LONGEST))) {
        PyErr_Clear();
        return -1;
    }
    *timeout = !waits ? 0 : seconds == Py_None ? -1 : (int64_t)(s * 1e9);
    return 0;
}

static PyObject *
take(ftc_worker *me, PyObject *self, int64_t timeout)
{
    ftc_find_caller(me);
    int64_t deadline = -1;
    if (timeout > 0 && ftc_set_deadline(me, timeout, &deadline) < 0) {
        return NULL;
    }
    ftc_the.timed |= timeout > 0;
    me->pending = (ftc_op){.kind = FTC_GET, .object = (uintptr_t)self, .place = (uintptr_t)Py_TYPE(self)};
    for (int stop = 1;; stop = 0) {
        long size = size_of(self);
        int got = 0;
        if (size < 0) {
            return NULL;
        }
        if (size > 0 || timeout == 0) {
            if (timeout != 0) {
                me->wait = FTC_WAITS_QUEUE;
                me->waits_on = self;
            }
            me->deadline = deadline;                   /* somebody may come first */
            got = stop ? ftc_stop(me, FTC_FREE) : 0;
            me->deadline = -1;
            got = got < 0 ? got : me->timed_out;
            me->timed_out = 0;
        }
        else {
            me->wait = FTC_WAITS_QUEUE;
            me->waits_on = self;
            me->step += stop;
            got = ftc_block(me, deadline);
        }
        me->wait = FTC_RUNS;
        me->waits_on = NULL;
        if (got < 0) {
            return NULL;
        }
        size = size_of(self);
        if (size > 0 || timeout == 0 || got == 1) {
            if (size == 1) {
                ftc_cannot(self);
            }
            me->pending.also_key = size == 0;
            ftc_execute(me);
            return original(GET_NOWAIT, self, NULL, 0, NULL);          /* raises Empty where it is */
        }
    }
}

static PyObject *
get(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *names)
{
    ftc_worker *me = ftc_my.worker;
    int64_t timeout;
    if (me == NULL || read_arguments(args, nargs, names, &timeout) < 0) {
        return original(GET, self, args, nargs, names);
    }
    if (ftc_enter() < 0) {
        return NULL;
    }
    PyObject *result = take(me, self, timeout);
    ftc_exit();
    return result;
}

static PyObject *
get_nowait(PyObject *self, PyObject *Py_UNUSED(ignored))
{
    PyObject *no = Py_False;
    return get(self, &no, 1, NULL);
}

#define FAST(f) (PyCFunction)(void (*)(void))f, METH_FASTCALL | METH_KEYWORDS, NULL
static PyMethodDef definitions[METHODS] = {
    {"put", FAST(put)}, {"put_nowait", FAST(put)}, {"get", FAST(get)}, {"get_nowait", get_nowait, METH_NOARGS, NULL},
    {"qsize", NULL, 0, NULL},
};

int
ftc_queues_control(int on)
{
    if (methods[0].type == NULL) {
        PyObject *type = PyImport_ImportModuleAttrString("_queue", "SimpleQueue");      /* kept for good */
        if (type == NULL) {
            return -1;
        }
        for (int i = 0; i < METHODS; i++) {
            methods[i] = (ftc_method){(PyTypeObject *)type, &definitions[i], NULL};
        }
    }
    return ftc_replace_methods(methods, METHODS, on);
}

/* Errors that leave many functions by longjmp(), and are counted without a lock.
 *
 * Wrong:   two threads that have just jumped increment the same entries of `depths`: updates get lost.
 * The GIL: it was held from the call to the return, jump or not.
 * The fix: a PyMutex (see safe/longjmp).
 */
#include <Python.h>
#include <setjmp.h>
#include <string.h>

typedef struct {
    jmp_buf back;
    const char *at, *end;
    int limit;
} Walk;

static long long histogram[256];  /* how often each limit was too low */

/* How many brackets are closed; each one that is open is a call. */
static size_t
walk(Walk *self, int depth)
{
    if (depth > self->limit) {
        longjmp(self->back, 1);
    }
    size_t closed = 0;
    while (self->at != self->end && *self->at == '(') {
        self->at++;
        closed += walk(self, depth + 1);
        self->at += self->at != self->end;
        closed++;
    }
    return closed;
}

static PyObject *
record(PyObject *Py_UNUSED(module), PyObject *arg)
{
    char *data;
    Py_ssize_t size;
    if (PyBytes_AsStringAndSize(arg, &data, &size) < 0) {
        return NULL;
    }
    Walk *self = PyMem_Malloc(sizeof *self);
    if (self == NULL) {
        return PyErr_NoMemory();
    }
    for (volatile int limit = 0; limit < 40; limit += 8) {
        self->at = data;
        self->end = data + size;
        self->limit = limit;
        if (setjmp(self->back) == 0) {
            walk(self, 0);
            continue;
        }
        for (int i = 0; i < 256; i++) {
            histogram[i]++;  /* race */
        }
    }
    PyMem_Free(self);
    Py_RETURN_NONE;
}

static PyObject *
recorded(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    long long total = 0;
    for (int i = 0; i < 256; i++) {
        total += histogram[i];
    }
    return PyLong_FromLongLong(total);
}

static PyObject *
reset(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    memset(histogram, 0, sizeof histogram);
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"record", record, METH_O, "Take some bytes in."},
    {"recorded", recorded, METH_NOARGS, "How many bytes were taken in."},
    {"reset", reset, METH_NOARGS, "Begin again."},
    {0}
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},  /* the promise that the code above breaks */
    {0, NULL}
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "unsafe_longjmp",
    .m_doc = "Counts jumps without a lock.",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_unsafe_longjmp(void)
{
    return PyModuleDef_Init(&module_def);
}

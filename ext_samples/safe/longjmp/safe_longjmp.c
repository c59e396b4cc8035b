/* Errors that leave many functions by longjmp(), and are counted under a PyMutex.
 *
 * Right:   the jump skips the ends of many functions; what comes after it is under the mutex.
 * The GIL: it hid the race of unsafe/longjmp; here it is not needed.
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
static PyMutex mutex;  /* protects histogram */

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
        PyMutex_Lock(&mutex);
        for (int i = 0; i < 256; i++) {
            histogram[i]++;
        }
        PyMutex_Unlock(&mutex);
    }
    PyMem_Free(self);
    Py_RETURN_NONE;
}

static PyObject *
recorded(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    long long total = 0;
    PyMutex_Lock(&mutex);
    for (int i = 0; i < 256; i++) {
        total += histogram[i];
    }
    PyMutex_Unlock(&mutex);
    return PyLong_FromLongLong(total);
}

static PyObject *
reset(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    PyMutex_Lock(&mutex);
    memset(histogram, 0, sizeof histogram);
    PyMutex_Unlock(&mutex);
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"record", record, METH_O, "Take some bytes in."},
    {"recorded", recorded, METH_NOARGS, "How many bytes were taken in."},
    {"reset", reset, METH_NOARGS, "Begin again."},
    {0}
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
    {0, NULL}
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "safe_longjmp",
    .m_doc = "Counts jumps under a lock.",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_safe_longjmp(void)
{
    return PyModuleDef_Init(&module_def);
}

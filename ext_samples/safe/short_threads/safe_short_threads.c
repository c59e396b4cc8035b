/* A histogram that many short threads fill under a PyMutex.
 *
 * Right:   however many threads there are, one at a time has the mutex.
 * The GIL: it hid the race of unsafe/short_threads; here it is not needed.
 */
#include <Python.h>
#include <string.h>

static long long histogram[256];
static PyMutex mutex;  /* protects histogram */

static PyObject *
record(PyObject *Py_UNUSED(module), PyObject *arg)
{
    char *data;
    Py_ssize_t size;
    if (PyBytes_AsStringAndSize(arg, &data, &size) < 0) {
        return NULL;
    }
    PyMutex_Lock(&mutex);
    for (Py_ssize_t i = 0; i < size; i++) {
        histogram[(unsigned char)data[i]]++;
    }
    PyMutex_Unlock(&mutex);
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
    .m_name = "safe_short_threads",
    .m_doc = "A histogram under a lock.",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_safe_short_threads(void)
{
    return PyModuleDef_Init(&module_def);
}

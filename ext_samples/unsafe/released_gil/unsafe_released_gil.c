/* A static work area, used where the GIL is released.
 *
 * Wrong:   two threads smooth their samples in the same `work`: each gets a mixture.
 * The GIL: it never helped here: Py_BEGIN_ALLOW_THREADS releases it on purpose.
 * The fix: a mutex (see safe/released_gil).
 */
#include <Python.h>
#include <string.h>

#define SIZE 512

static unsigned int work[SIZE];

static PyObject *
smooth(PyObject *Py_UNUSED(module), PyObject *arg)
{
    char *data;
    Py_ssize_t size;
    if (PyBytes_AsStringAndSize(arg, &data, &size) < 0) {
        return NULL;
    }
    if (size != SIZE) {
        return PyErr_Format(PyExc_ValueError, "%d samples at a time", SIZE);
    }
    unsigned long long sum = 0;
    Py_BEGIN_ALLOW_THREADS
    for (int i = 0; i < SIZE; i++) {
        work[i] = (unsigned char)data[i] * 256u;  /* race */
    }
    for (int i = 1; i < SIZE; i++) {
        work[i] = (work[i - 1] + work[i]) / 2;  /* race */
    }
    for (int i = 0; i < SIZE; i++) {
        sum += work[i];  /* race: too */
    }
    Py_END_ALLOW_THREADS
    return PyLong_FromUnsignedLongLong(sum);
}

static PyMethodDef methods[] = {
    {"smooth", smooth, METH_O, "The sum of some samples, when they are smoothed."},
    {0}
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},  /* the promise that the code above breaks */
    {0, NULL}
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "unsafe_released_gil",
    .m_doc = "Works in a static array without the GIL.",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_unsafe_released_gil(void)
{
    return PyModuleDef_Init(&module_def);
}

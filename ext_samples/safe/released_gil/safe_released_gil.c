/* A static work area, used where the GIL is released, under a mutex.
 *
 * Right:   the mutex is taken when the thread has released the GIL (if any): who waits for it keeps
 *          nobody from running Python code.
 * The GIL: it is not held here.
 */
#include <Python.h>
#include <pthread.h>
#include <string.h>

#define SIZE 512

static unsigned int work[SIZE];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;  /* protects work */

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
    pthread_mutex_lock(&mutex);
    for (int i = 0; i < SIZE; i++) {
        work[i] = (unsigned char)data[i] * 256u;
    }
    for (int i = 1; i < SIZE; i++) {
        work[i] = (work[i - 1] + work[i]) / 2;
    }
    for (int i = 0; i < SIZE; i++) {
        sum += work[i];
    }
    pthread_mutex_unlock(&mutex);
    Py_END_ALLOW_THREADS
    return PyLong_FromUnsignedLongLong(sum);
}

static PyMethodDef methods[] = {
    {"smooth", smooth, METH_O, "The sum of some samples, when they are smoothed."},
    {0}
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
    {0, NULL}
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "safe_released_gil",
    .m_doc = "Works in a static array under a mutex.",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_safe_released_gil(void)
{
    return PyModuleDef_Init(&module_def);
}

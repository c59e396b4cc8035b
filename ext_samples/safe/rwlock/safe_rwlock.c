/* A histogram under a lock that readers share and a writer has alone.
 *
 * Right:   whoever writes has the lock alone; those who read share it.
 * The GIL: it hid the wrong lock of unsafe/rwlock; here it is not needed.
 */
#include <Python.h>
#include <pthread.h>
#include <string.h>

static long long histogram[256];
static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;  /* protects histogram */

static PyObject *
record(PyObject *Py_UNUSED(module), PyObject *arg)
{
    char *data;
    Py_ssize_t size;
    if (PyBytes_AsStringAndSize(arg, &data, &size) < 0) {
        return NULL;
    }
    pthread_rwlock_wrlock(&lock);
    for (Py_ssize_t i = 0; i < size; i++) {
        histogram[(unsigned char)data[i]]++;
    }
    pthread_rwlock_unlock(&lock);
    Py_RETURN_NONE;
}

static PyObject *
recorded(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    long long total = 0;
    pthread_rwlock_rdlock(&lock);
    for (int i = 0; i < 256; i++) {
        total += histogram[i];
    }
    pthread_rwlock_unlock(&lock);
    return PyLong_FromLongLong(total);
}

static PyObject *
reset(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    pthread_rwlock_wrlock(&lock);
    memset(histogram, 0, sizeof histogram);
    pthread_rwlock_unlock(&lock);
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
    .m_name = "safe_rwlock",
    .m_doc = "Writes under a lock for writing.",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_safe_rwlock(void)
{
    return PyModuleDef_Init(&module_def);
}

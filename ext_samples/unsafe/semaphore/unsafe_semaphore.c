/* A semaphore as a lock, with room for two.
 *
 * Wrong:   its count begins at two, so two threads are inside at the same time. They increment
 *          the same entries, and updates get lost.
 * The GIL: record() ran from call to return without another thread in between.
 * The fix: a count of one (see safe/semaphore).
 */
#include <Python.h>
#include <semaphore.h>
#include <string.h>

static long long histogram[256];
static sem_t room;  /* protects histogram */

static PyObject *
record(PyObject *Py_UNUSED(module), PyObject *arg)
{
    char *data;
    Py_ssize_t size;
    if (PyBytes_AsStringAndSize(arg, &data, &size) < 0) {
        return NULL;
    }
    sem_wait(&room);
    for (Py_ssize_t i = 0; i < size; i++) {
        histogram[(unsigned char)data[i]]++;  /* race */
    }
    sem_post(&room);
    Py_RETURN_NONE;
}

static PyObject *
recorded(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    long long total = 0;
    sem_wait(&room);
    for (int i = 0; i < 256; i++) {
        total += histogram[i];
    }
    sem_post(&room);
    return PyLong_FromLongLong(total);
}

static PyObject *
reset(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    sem_wait(&room);
    memset(histogram, 0, sizeof histogram);
    sem_post(&room);
    Py_RETURN_NONE;
}

static int
module_exec(PyObject *Py_UNUSED(module))
{
    return sem_init(&room, 0, 2);
}

static PyMethodDef methods[] = {
    {"record", record, METH_O, "Take some bytes in."},
    {"recorded", recorded, METH_NOARGS, "How many bytes were taken in."},
    {"reset", reset, METH_NOARGS, "Begin again."},
    {0}
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, module_exec},
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},  /* the promise that the code above breaks */
    {0, NULL}
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "unsafe_semaphore",
    .m_doc = "A semaphore that lets two in.",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_unsafe_semaphore(void)
{
    return PyModuleDef_Init(&module_def);
}

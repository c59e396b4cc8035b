/* A process that forks: what the parent counts has no lock.
 *
 * Wrong:   two threads, each of which forks a child, increment the same entries: updates get lost.
 * The GIL: record() ran from call to return without another thread in between.
 * The fix: a PyMutex (see safe/forked).
 */
#include <Python.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static long long histogram[256];

static void
count(const unsigned char *data, Py_ssize_t size)
{
    for (Py_ssize_t i = 0; i < size; i++) {
        histogram[data[i]]++;  /* race */
    }
}

/* In the child: the sum of the bytes that it counts, in seven bits. */
static int
count_in_child(const unsigned char *data, Py_ssize_t size)
{
    int sum = 0;
    memset(histogram, 0, sizeof histogram);
    count(data, size);
    for (int i = 0; i < 256; i++) {
        sum += (int)histogram[i];
    }
    return sum & 127;
}

static PyObject *
record(PyObject *Py_UNUSED(module), PyObject *arg)
{
    char *data;
    Py_ssize_t size;
    if (PyBytes_AsStringAndSize(arg, &data, &size) < 0) {
        return NULL;
    }
    count((unsigned char *)data, size);
    pid_t child = fork();
    if (child < 0) {
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    if (child == 0) {
        _exit(count_in_child((unsigned char *)data, size));
    }
    int status = 0;
    Py_BEGIN_ALLOW_THREADS
    waitpid(child, &status, 0);
    Py_END_ALLOW_THREADS
    if (!WIFEXITED(status) || WEXITSTATUS(status) != (size & 127)) {
        return PyErr_Format(PyExc_RuntimeError, "the child has ended with status %d", status);
    }
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
    .m_name = "unsafe_forked",
    .m_doc = "Forks, and counts without a lock.",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_unsafe_forked(void)
{
    return PyModuleDef_Init(&module_def);
}

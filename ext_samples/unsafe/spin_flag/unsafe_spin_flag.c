/* A spinlock of one's own, made of an atomic flag, with relaxed order.
 *
 * Wrong:   the flag is taken and given back with memory_order_relaxed. So only one thread has it,
 *          but nothing says that its successor sees what it has written: the two race.
 * Shows:   only from the inside. An x86-64 processor orders more than it has to, and so does the
 *          compiler here; another one, or the next release, need not.
 * The GIL: it ordered everything.
 * The fix: acquire and release (see safe/spin_flag).
 */
#include <Python.h>
#include <stdatomic.h>

static atomic_flag taken = ATOMIC_FLAG_INIT;  /* protects histogram */
static long long histogram[256];

static void
lock(void)
{
    while (atomic_flag_test_and_set_explicit(&taken, memory_order_relaxed)) {
    }
}

static void
unlock(void)
{
    atomic_flag_clear_explicit(&taken, memory_order_relaxed);
}

static PyObject *
record(PyObject *Py_UNUSED(module), PyObject *arg)
{
    char *data;
    Py_ssize_t size;
    if (PyBytes_AsStringAndSize(arg, &data, &size) < 0) {
        return NULL;
    }
    for (Py_ssize_t i = 0; i < size; i++) {
        lock();
        histogram[(unsigned char)data[i]]++;  /* race */
        unlock();
    }
    Py_RETURN_NONE;
}

static PyObject *
recorded(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    long long total = 0;
    lock();
    for (int i = 0; i < 256; i++) {
        total += histogram[i];  /* race: too */
    }
    unlock();
    return PyLong_FromLongLong(total);
}

static PyObject *
reset(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    lock();
    for (int i = 0; i < 256; i++) {
        histogram[i] = 0;  /* race: too */
    }
    unlock();
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
    .m_name = "unsafe_spin_flag",
    .m_doc = "A spinlock that orders nothing.",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_unsafe_spin_flag(void)
{
    return PyModuleDef_Init(&module_def);
}

/* A spinlock of one's own, made of an atomic flag.
 *
 * Right:   it is taken with memory_order_acquire and given back with memory_order_release: who has
 *          it sees what those wrote who had it before.
 * The GIL: it hid the weak order of unsafe/spin_flag; here it is not needed.
 */
#include <Python.h>
#include <stdatomic.h>

static atomic_flag taken = ATOMIC_FLAG_INIT;  /* protects histogram */
static long long histogram[256];

static void
lock(void)
{
    while (atomic_flag_test_and_set_explicit(&taken, memory_order_acquire)) {
    }
}

static void
unlock(void)
{
    atomic_flag_clear_explicit(&taken, memory_order_release);
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
        histogram[(unsigned char)data[i]]++;
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
        total += histogram[i];
    }
    unlock();
    return PyLong_FromLongLong(total);
}

static PyObject *
reset(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    lock();
    for (int i = 0; i < 256; i++) {
        histogram[i] = 0;
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
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
    {0, NULL}
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "safe_spin_flag",
    .m_doc = "A spinlock that orders.",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_safe_spin_flag(void)
{
    return PyModuleDef_Init(&module_def);
}

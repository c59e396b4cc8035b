/* Data published by a relaxed store.
 *
 * Wrong:   the number of items is stored with memory_order_relaxed: who reads it knows that there is
 *          an item, but nothing says that the item itself can be seen already.
 * Shows:   only from the inside. An x86-64 processor does not exchange two stores, and the compiler
 *          has no reason to; others do.
 * The GIL: it ordered everything.
 * The fix: memory_order_release (see safe/atomic_publish).
 */
#include <Python.h>
#include <stdatomic.h>

#define CAPACITY 1000

static long long items[CAPACITY];
static atomic_int published;  /* so many of them are there */

static PyObject *
put(PyObject *Py_UNUSED(module), PyObject *arg)
{
    int number = PyLong_AsInt(arg);
    if (number < 0 || number > CAPACITY) {
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_ValueError, "at most %d", CAPACITY);
    }
    for (int i = 0; i < number; i++) {
        items[i] = i + 1;  /* race: 1 */
        atomic_store_explicit(&published, i + 1, memory_order_relaxed);
    }
    Py_RETURN_NONE;
}

static PyObject *
take(PyObject *Py_UNUSED(module), PyObject *arg)
{
    int number = PyLong_AsInt(arg);
    long long sum = 0;
    if (number < 0 || number > CAPACITY) {
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_ValueError, "at most %d", CAPACITY);
    }
    Py_BEGIN_ALLOW_THREADS
    for (int i = 0; i < number; i++) {
        while (atomic_load_explicit(&published, memory_order_acquire) <= i) {
        }
        sum += items[i];  /* race: 2 */
    }
    Py_END_ALLOW_THREADS
    return PyLong_FromLongLong(sum);
}

static PyObject *
reset(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    atomic_store(&published, 0);
    for (int i = 0; i < CAPACITY; i++) {
        items[i] = 0;
    }
    Py_RETURN_NONE;
}

static int
module_exec(PyObject *module)
{
    return PyModule_AddIntConstant(module, "CAPACITY", CAPACITY);
}

static PyMethodDef methods[] = {
    {"put", put, METH_O, "Publish so many items."},
    {"take", take, METH_O, "Wait for so many; their sum."},
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
    .m_name = "unsafe_atomic_publish",
    .m_doc = "Publishes with a relaxed store.",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_unsafe_atomic_publish(void)
{
    return PyModuleDef_Init(&module_def);
}

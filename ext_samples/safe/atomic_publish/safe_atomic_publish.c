/* Data published by a release store.
 *
 * Right:   who reads the number with memory_order_acquire sees all that was written before it was
 *          stored with memory_order_release.
 * The GIL: it hid the weak order of unsafe/atomic_publish; here it is not needed.
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
        items[i] = i + 1;
        atomic_store_explicit(&published, i + 1, memory_order_release);
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
        sum += items[i];
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
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
    {0, NULL}
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "safe_atomic_publish",
    .m_doc = "Publishes with a release store.",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_safe_atomic_publish(void)
{
    return PyModuleDef_Init(&module_def);
}

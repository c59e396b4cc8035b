/* A counter in a static C11 atomic.
 *
 * Right:   atomic_fetch_add reads and increases in one indivisible step, so each caller gets a
 *          number of its own. Relaxed order is enough: the counter publishes no other data.
 * The GIL: it hid the race of the plain variable (see unsafe/static_counter); here it is
 *          not needed.
 */
#include <Python.h>
#include <stdatomic.h>

static atomic_llong last_number;

static PyObject *
next_name(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    long long number = 1 + atomic_fetch_add_explicit(&last_number, 1, memory_order_relaxed);
    return PyUnicode_FromFormat("job-%lld", number);
}

static PyObject *
names_given(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    return PyLong_FromLongLong(atomic_load_explicit(&last_number, memory_order_relaxed));
}

static PyMethodDef methods[] = {
    {"next_name", next_name, METH_NOARGS, "A name that was not given before."},
    {"names_given", names_given, METH_NOARGS, "How many names were given so far."},
    {0}
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
    {0, NULL}
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "safe_static_counter",
    .m_doc = "Numbers names with a static C11 atomic.",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_safe_static_counter(void)
{
    return PyModuleDef_Init(&module_def);
}

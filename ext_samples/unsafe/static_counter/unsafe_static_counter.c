/* A counter in a static variable, increased without a lock.
 *
 * Wrong:   two threads read the same `last_number`, make the same name from it, and one of the
 *          two increments is lost. In C the `last_number++` alone is undefined behaviour already.
 * The GIL: one thread at a time ran C code, from call to return: no other thread came
 *          between the reading and the increment.
 * The fix: a C11 atomic that gives each caller a number of its own (see safe/static_counter).
 */
#include <Python.h>

static long long last_number;

static PyObject *
next_name(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    PyObject *name = PyUnicode_FromFormat("job-%lld", last_number + 1);  /* race: 1 */
    if (name != NULL) {
        last_number++;  /* race: 2 */
    }
    return name;
}

static PyObject *
names_given(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    return PyLong_FromLongLong(last_number);
}

static PyMethodDef methods[] = {
    {"next_name", next_name, METH_NOARGS, "A name that was not given before."},
    {"names_given", names_given, METH_NOARGS, "How many names were given so far."},
    {0}
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},  /* the promise that the code above breaks */
    {0, NULL}
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "unsafe_static_counter",
    .m_doc = "Numbers names with an unlocked static counter.",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_unsafe_static_counter(void)
{
    return PyModuleDef_Init(&module_def);
}

/* Interned names, each made when it is first asked for, without a lock.
 *
 * Wrong:   two threads both find NULL, and both store. Interned, the two are the same object, but one
 *          reference is lost, and in C it is undefined what a thread sees that reads meanwhile.
 * Shows:   only from the inside: whoever asks gets the right name.
 * The GIL: making a name calls nothing that releases it.
 * The fix: a PyMutex around check and store (see safe/interned).
 */
#include <Python.h>

#define NAMES 1000

static PyObject *names[NAMES];

static PyObject *
name(PyObject *Py_UNUSED(module), PyObject *arg)
{
    int number = PyLong_AsInt(arg);
    if (number < 0 || number >= NAMES) {
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_IndexError, "below %d", NAMES);
    }
    char text[32];
    PyOS_snprintf(text, sizeof text, "unsafe_interned %d", number);
    if (names[number] == NULL) {  /* race: 1 */
        names[number] = PyUnicode_InternFromString(text);  /* race: 2 */
    }
    PyObject *result = Py_XNewRef(names[number]);  /* race: too */
    return result;
}

static int
module_exec(PyObject *module)
{
    return PyModule_AddIntConstant(module, "NAMES", NAMES);
}

static PyMethodDef methods[] = {
    {"name", name, METH_O, "The name with this number."},
    {0}
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, module_exec},
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},  /* the promise that the code above breaks */
    {0, NULL}
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "unsafe_interned",
    .m_doc = "Names that two threads may make.",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_unsafe_interned(void)
{
    return PyModuleDef_Init(&module_def);
}

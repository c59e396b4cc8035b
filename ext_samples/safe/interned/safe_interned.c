/* Interned names, each made when it is first asked for, under a PyMutex.
 *
 * Right:   one thread checks, makes and stores while the others wait.
 * The GIL: it hid the race of unsafe/interned; here it is not needed.
 */
#include <Python.h>

#define NAMES 1000

static PyObject *names[NAMES];
static PyMutex mutex;  /* protects names */

static PyObject *
name(PyObject *Py_UNUSED(module), PyObject *arg)
{
    int number = PyLong_AsInt(arg);
    if (number < 0 || number >= NAMES) {
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_IndexError, "below %d", NAMES);
    }
    char text[32];
    PyOS_snprintf(text, sizeof text, "safe_interned %d", number);
    PyMutex_Lock(&mutex);
    if (names[number] == NULL) {
        names[number] = PyUnicode_InternFromString(text);
    }
    PyObject *result = Py_XNewRef(names[number]);
    PyMutex_Unlock(&mutex);
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
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
    {0, NULL}
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "safe_interned",
    .m_doc = "Names that are made once.",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_safe_interned(void)
{
    return PyModuleDef_Init(&module_def);
}

/* A module that says that it does not need the GIL (single-phase initialisation).
 *
 * Right:   PyUnstable_Module_SetGIL is called before the module is returned, and what it says is
 *          true: the function works on its arguments alone, and nothing is written later.
 * The GIL: on a free-threaded build it stays off. The function exists only there, hence #ifdef.
 */
#include <Python.h>

static PyObject *
midpoint(PyObject *Py_UNUSED(module), PyObject *args)
{
    double low, high;
    if (!PyArg_ParseTuple(args, "dd:midpoint", &low, &high)) {
        return NULL;
    }
    return PyFloat_FromDouble(low + (high - low) / 2);
}

static PyMethodDef methods[] = {
    {"midpoint", midpoint, METH_VARARGS, "midpoint(low, high)"},
    {0}
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "safe_single_phase",
    .m_doc = "Single-phase initialisation with PyUnstable_Module_SetGIL.",
    .m_size = -1,
    .m_methods = methods,
};

PyMODINIT_FUNC
PyInit_safe_single_phase(void)
{
    PyObject *module = PyModule_Create(&module_def);
    if (module == NULL) {
        return NULL;
    }
    if (PyModule_AddStringConstant(module, "UNIT", "degrees") < 0) {
        Py_DECREF(module);
        return NULL;
    }
#ifdef Py_GIL_DISABLED
    if (PyUnstable_Module_SetGIL(module, Py_MOD_GIL_NOT_USED) < 0) {
        Py_DECREF(module);
        return NULL;
    }
#endif
    return module;
}

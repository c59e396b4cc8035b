/* A module that does not say whether it needs the GIL (single-phase initialisation).
 *
 * Wrong:   PyInit_... returns a finished module and never calls PyUnstable_Module_SetGIL. The
 *          interpreter assumes that the module needs the GIL and turns it on for the process.
 *          Single-phase modules have no slots, so there is no Py_mod_gil to set here.
 * Race:    none in C: the module shares nothing.
 * The GIL: on a GIL build there is nothing to turn on, so nobody missed the call.
 * The fix: PyUnstable_Module_SetGIL (see safe/single_phase), or multi-phase initialisation.
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
    .m_name = "unsafe_single_phase",
    .m_doc = "Single-phase initialisation without a word about the GIL.",
    .m_size = -1,
    .m_methods = methods,
};

PyMODINIT_FUNC
PyInit_unsafe_single_phase(void)
{
    PyObject *module = PyModule_Create(&module_def);
    if (module == NULL) {
        return NULL;
    }
    if (PyModule_AddStringConstant(module, "UNIT", "degrees") < 0) {
        Py_DECREF(module);
        return NULL;
    }
    return module;
}

/* A module that does not say whether it needs the GIL (multi-phase initialisation).
 *
 * Wrong:   there is no Py_mod_gil slot, so the interpreter assumes that the module needs the GIL
 *          and turns it on, for the whole process and until it ends. One import of this module
 *          takes the parallelism from every thread. The code itself has nothing to protect.
 * Race:    none in C: the module shares nothing.
 * The GIL: on a GIL build there is nothing to turn on, so nobody missed the slot.
 * The fix: {Py_mod_gil, Py_MOD_GIL_NOT_USED} (see safe/no_gil_slot).
 */
#include <Python.h>

static PyObject *
clamp(PyObject *Py_UNUSED(module), PyObject *args)
{
    double value, low, high;
    if (!PyArg_ParseTuple(args, "ddd:clamp", &value, &low, &high)) {
        return NULL;
    }
    return PyFloat_FromDouble(value < low ? low : value > high ? high : value);
}

static PyMethodDef methods[] = {
    {"clamp", clamp, METH_VARARGS, "clamp(value, low, high)"},
    {0}
};

static int
module_exec(PyObject *module)
{
    return PyModule_AddStringConstant(module, "UNIT", "degrees");
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, module_exec},
    {0, NULL}
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "unsafe_no_gil_slot",
    .m_doc = "Multi-phase initialisation without a Py_mod_gil slot.",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_unsafe_no_gil_slot(void)
{
    return PyModuleDef_Init(&module_def);
}

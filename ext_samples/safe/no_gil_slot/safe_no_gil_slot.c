/* A module that says that it does not need the GIL (multi-phase initialisation).
 *
 * Right:   the Py_mod_gil slot is there, and what it says is true: the function works on its
 *          arguments alone, and nothing is written after the initialisation.
 * The GIL: on a free-threaded build it stays off; a GIL build ignores the slot.
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
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
    {0, NULL}
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "safe_no_gil_slot",
    .m_doc = "Multi-phase initialisation with a Py_mod_gil slot.",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_safe_no_gil_slot(void)
{
    return PyModuleDef_Init(&module_def);
}

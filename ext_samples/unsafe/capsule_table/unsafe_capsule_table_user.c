/* Another module: it calls through the table of unsafe_capsule_table.c. */
#include "table.h"

static const table *functions;

static PyObject *
record(PyObject *Py_UNUSED(module), PyObject *arg)
{
    char *data;
    Py_ssize_t size;
    if (PyBytes_AsStringAndSize(arg, &data, &size) < 0) {
        return NULL;
    }
    functions->add((unsigned char *)data, size);
    Py_RETURN_NONE;
}

static PyObject *
recorded(PyObject *Py_UNUSED(module), PyObject *begin_again)
{
    return PyLong_FromLongLong(functions->total(begin_again == Py_True));
}

static int
module_exec(PyObject *Py_UNUSED(module))
{
    functions = PyCapsule_Import("unsafe_capsule_table.table", 0);
    return functions == NULL ? -1 : 0;
}

static PyMethodDef methods[] = {
    {"record", record, METH_O, "Take some bytes in."},
    {"recorded", recorded, METH_O, "How many bytes were taken in; whether to begin again."},
    {0}
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, module_exec},
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
    {0, NULL}
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "unsafe_capsule_table_user",
    .m_doc = "Calls through the table of another module.",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_unsafe_capsule_table_user(void)
{
    return PyModuleDef_Init(&module_def);
}

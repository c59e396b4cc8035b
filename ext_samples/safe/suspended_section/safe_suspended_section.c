/* A critical section that calls Python code, and goes on afterwards.
 *
 * Right:   the call of Python code may suspend the section: another thread can have the lock
 *          meanwhile. When the call is back the lock is ours again, and what is read and written
 *          from there to the end of the section is one step.
 * The GIL: on a GIL build the two macros are empty; the GIL does their work there.
 */
#include <Python.h>

typedef struct {
    PyObject_HEAD
    long long total;
} Ledger;

static PyObject *
ledger_add(PyObject *op, PyObject *function)
{
    Ledger *self = (Ledger *)op;
    PyObject *sizes;
    Py_BEGIN_CRITICAL_SECTION(op);
    sizes = PyObject_CallNoArgs(function);
    if (sizes != NULL && PyBytes_Check(sizes)) {
        for (Py_ssize_t i = 0; i < PyBytes_GET_SIZE(sizes); i++) {
            self->total += (unsigned char)PyBytes_AS_STRING(sizes)[i];
        }
    }
    Py_END_CRITICAL_SECTION();
    if (sizes == NULL) {
        return NULL;
    }
    Py_DECREF(sizes);
    Py_RETURN_NONE;
}

static PyObject *
ledger_total(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    long long total;
    Py_BEGIN_CRITICAL_SECTION(op);
    total = ((Ledger *)op)->total;
    Py_END_CRITICAL_SECTION();
    return PyLong_FromLongLong(total);
}

static void
ledger_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyMethodDef ledger_methods[] = {
    {"add", ledger_add, METH_O, "Add up the bytes that a function gives."},
    {"total", ledger_total, METH_NOARGS, "The sum so far."},
    {0}
};

static PyType_Slot ledger_slots[] = {
    {Py_tp_doc, "Adds up what functions give."},
    {Py_tp_dealloc, ledger_dealloc},
    {Py_tp_methods, ledger_methods},
    {0, NULL}
};

static PyType_Spec ledger_spec = {
    .name = "safe_suspended_section.Ledger",
    .basicsize = sizeof(Ledger),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = ledger_slots,
};

static int
module_exec(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &ledger_spec, NULL);
    int failed = type == NULL || PyModule_AddType(module, (PyTypeObject *)type) < 0;
    Py_XDECREF(type);
    return failed ? -1 : 0;
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, module_exec},
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
    {0, NULL}
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "safe_suspended_section",
    .m_doc = "Adds in the critical section.",
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_safe_suspended_section(void)
{
    return PyModuleDef_Init(&module_def);
}

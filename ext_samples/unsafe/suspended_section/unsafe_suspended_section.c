/* A critical section that ends with the call of Python code in it.
 *
 * Wrong:   the sizes are added when the critical section is over. Two threads that share one
 *          Ledger add at the same time, and updates get lost.
 * The GIL: between the end of the section and the last addition nothing released it.
 * The fix: the additions in the section, after the call (see safe/suspended_section).
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
    Py_END_CRITICAL_SECTION();
    if (sizes != NULL && PyBytes_Check(sizes)) {
        for (Py_ssize_t i = 0; i < PyBytes_GET_SIZE(sizes); i++) {
            self->total += (unsigned char)PyBytes_AS_STRING(sizes)[i];  /* race */
        }
    }
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
    .name = "unsafe_suspended_section.Ledger",
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
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},  /* the promise that the code above breaks */
    {0, NULL}
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "unsafe_suspended_section",
    .m_doc = "Adds when the critical section is over.",
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_unsafe_suspended_section(void)
{
    return PyModuleDef_Init(&module_def);
}

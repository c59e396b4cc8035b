/* An attribute whose old value is given up by one thread.
 *
 * Right:   the critical section covers loading the old value and storing the new one. The old one is
 *          given up after it: a destructor may run any code.
 * The GIL: on a GIL build the macros are empty; the GIL does their work there.
 */
#include <Python.h>

typedef struct {
    PyObject_HEAD
    PyObject *value;
} Box;

static PyObject *
box_put(PyObject *op, PyObject *value)
{
    Box *self = (Box *)op;
    PyObject *old;
    Py_BEGIN_CRITICAL_SECTION(op);
    old = self->value;
    self->value = Py_NewRef(value);
    Py_END_CRITICAL_SECTION();
    Py_XDECREF(old);
    Py_RETURN_NONE;
}

static PyObject *
box_get(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    Box *self = (Box *)op;
    PyObject *value;
    Py_BEGIN_CRITICAL_SECTION(op);
    value = Py_XNewRef(self->value);
    Py_END_CRITICAL_SECTION();
    return value == NULL ? Py_NewRef(Py_None) : value;
}

static void
box_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    Py_XDECREF(((Box *)op)->value);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyMethodDef box_methods[] = {
    {"put", box_put, METH_O, "Another value."},
    {"get", box_get, METH_NOARGS, "The value."},
    {0}
};

static PyType_Slot box_slots[] = {
    {Py_tp_doc, "Holds one object."},
    {Py_tp_dealloc, box_dealloc},
    {Py_tp_methods, box_methods},
    {0, NULL}
};

static PyType_Spec box_spec = {
    .name = "safe_double_decref.Box",
    .basicsize = sizeof(Box),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = box_slots,
};

static int
module_exec(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &box_spec, NULL);
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
    .m_name = "safe_double_decref",
    .m_doc = "Gives an old value up once.",
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_safe_double_decref(void)
{
    return PyModuleDef_Init(&module_def);
}

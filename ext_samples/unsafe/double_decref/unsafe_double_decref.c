/* An attribute whose old value is given up by two threads.
 *
 * Wrong:   two setters load the same old value, and both give up the one reference to it: its memory is
 *          used again while somebody still holds it.
 * The GIL: Py_XSETREF stores the new value before it gives up the old one, so it was one step.
 * The fix: a critical section (see safe/double_decref).
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
    old = self->value;  /* race: 1 */
    self->value = Py_NewRef(value);  /* race: 2 */
    Py_XDECREF(old);  /* race: too; 2 is in Python */
    Py_RETURN_NONE;
}

static PyObject *
box_get(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    Box *self = (Box *)op;
    PyObject *value;
    value = Py_XNewRef(self->value);
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
    .name = "unsafe_double_decref.Box",
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
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},  /* the promise that the code above breaks */
    {0, NULL}
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "unsafe_double_decref",
    .m_doc = "Gives an old value up twice.",
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_unsafe_double_decref(void)
{
    return PyModuleDef_Init(&module_def);
}

/* Two bit fields in one byte, each set by another thread.
 *
 * Wrong:   to set one bit field is to read and write the byte that it shares with the other one:
 *          what another thread has set meanwhile is undone.
 * The GIL: a setter ran from call to return without another thread in between.
 * The fix: a byte for each (see safe/bitfields).
 */
#include <Python.h>

typedef struct {
    PyObject_HEAD
    unsigned char left : 4, right : 4;
} Pair;

static PyObject *
pair_left(PyObject *op, PyObject *arg)
{
    long value = PyLong_AsLong(arg);
    if (value == -1 && PyErr_Occurred()) {
        return NULL;
    }
    Pair *self = (Pair *)op;
    long before = self->left;  /* race: too */
    self->left = value & 15;  /* race: 1 */
    return PyLong_FromLong(before);
}

static PyObject *
pair_right(PyObject *op, PyObject *arg)
{
    long value = PyLong_AsLong(arg);
    if (value == -1 && PyErr_Occurred()) {
        return NULL;
    }
    Pair *self = (Pair *)op;
    long before = self->right;  /* race: too */
    self->right = value & 15;  /* race: 2 */
    return PyLong_FromLong(before);
}

static void
pair_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyMethodDef pair_methods[] = {
    {"left", pair_left, METH_O, "Set the left one; what it was before."},
    {"right", pair_right, METH_O, "Set the right one; what it was before."},
    {0}
};

static PyType_Slot pair_slots[] = {
    {Py_tp_doc, "Two numbers below 16."},
    {Py_tp_dealloc, pair_dealloc},
    {Py_tp_methods, pair_methods},
    {0, NULL}
};

static PyType_Spec pair_spec = {
    .name = "unsafe_bitfields.Pair",
    .basicsize = sizeof(Pair),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = pair_slots,
};

static int
module_exec(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &pair_spec, NULL);
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
    .m_name = "unsafe_bitfields",
    .m_doc = "Two numbers in one byte.",
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_unsafe_bitfields(void)
{
    return PyModuleDef_Init(&module_def);
}

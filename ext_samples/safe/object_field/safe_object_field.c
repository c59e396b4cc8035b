/* Fields of an object, updated in a critical section.
 *
 * Right:   Py_BEGIN_CRITICAL_SECTION takes the lock that every object has. Readers take it too,
 *          so `low` and `high` always belong together. Nothing inside can run Python code:
 *          that could suspend the critical section. There must be no `return` inside either.
 * The GIL: on a GIL build the two macros are empty; the GIL does their work there.
 */
#include <Python.h>
#include <stdint.h>

typedef struct {
    PyObject_HEAD
    uint32_t low, high;
} Checksum;

/* Fletcher's checksum: continues with some more bytes. */
static PyObject *
checksum_update(PyObject *op, PyObject *arg)
{
    Checksum *self = (Checksum *)op;
    char *data;
    Py_ssize_t size;
    if (PyBytes_AsStringAndSize(arg, &data, &size) < 0) {
        return NULL;
    }
    Py_BEGIN_CRITICAL_SECTION(op);
    for (Py_ssize_t i = 0; i < size; i++) {
        self->low += (unsigned char)data[i];
        self->high += self->low;
    }
    Py_END_CRITICAL_SECTION();
    Py_RETURN_NONE;
}

static PyObject *
checksum_value(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    Checksum *self = (Checksum *)op;
    uint64_t value;
    Py_BEGIN_CRITICAL_SECTION(op);
    value = (uint64_t)self->high << 32 | self->low;
    Py_END_CRITICAL_SECTION();
    return PyLong_FromUnsignedLongLong(value);
}

static void
checksum_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyMethodDef checksum_methods[] = {
    {"update", checksum_update, METH_O, "Take some bytes in."},
    {"value", checksum_value, METH_NOARGS, "The checksum of all bytes so far."},
    {0}
};

static PyType_Slot checksum_slots[] = {
    {Py_tp_doc, "A checksum of bytes that come in pieces."},
    {Py_tp_dealloc, checksum_dealloc},
    {Py_tp_methods, checksum_methods},
    {0, NULL}
};

static PyType_Spec checksum_spec = {
    .name = "safe_object_field.Checksum",
    .basicsize = sizeof(Checksum),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = checksum_slots,
};

static int
module_exec(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &checksum_spec, NULL);
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
    .m_name = "safe_object_field",
    .m_doc = "An object whose fields are updated in a critical section.",
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_safe_object_field(void)
{
    return PyModuleDef_Init(&module_def);
}

/* Fields of an object, updated without a lock.
 *
 * Wrong:   two threads that share one Checksum run `self->low += ...` at the same time. Updates
 *          get lost, and `low` and `high` no longer belong together.
 * The GIL: a method of a C type ran from call to return without another thread in between.
 * The fix: a critical section on the object (see safe/object_field).
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
    for (Py_ssize_t i = 0; i < size; i++) {
        self->low += (unsigned char)data[i];  /* race */
        self->high += self->low;  /* race */
    }
    Py_RETURN_NONE;
}

static PyObject *
checksum_value(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    Checksum *self = (Checksum *)op;
    return PyLong_FromUnsignedLongLong((uint64_t)self->high << 32 | self->low);
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
    .name = "unsafe_object_field.Checksum",
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
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},  /* the promise that the code above breaks */
    {0, NULL}
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "unsafe_object_field",
    .m_doc = "An object whose fields are updated without a lock.",
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_unsafe_object_field(void)
{
    return PyModuleDef_Init(&module_def);
}

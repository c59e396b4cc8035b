/* A buffer that grows, in a critical section of its object.
 *
 * Right:   who reads is in a critical section of the same object as who lets it grow.
 * The GIL: on a GIL build the macros are empty; the GIL does their work there.
 */
#include <Python.h>

typedef struct {
    PyObject_HEAD
    char *data;
    Py_ssize_t used, room;
} Text;

static PyObject *
text_append(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    Text *self = (Text *)op;
    int failed = 0;
    Py_BEGIN_CRITICAL_SECTION(op);
    if (self->used == self->room) {
        Py_ssize_t room = self->room + 256;
        char *data = PyMem_Realloc(self->data, room);
        failed = data == NULL;
        if (data != NULL) {
            self->data = data;
            self->room = room;
        }
    }
    if (!failed) {
        self->data[self->used] = 'x';
        self->used++;
    }
    Py_END_CRITICAL_SECTION();
    if (failed) {
        return PyErr_NoMemory();
    }
    Py_RETURN_NONE;
}

static PyObject *
text_wrong(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    Text *self = (Text *)op;
    Py_ssize_t wrong = 0;
    Py_BEGIN_CRITICAL_SECTION(op);
    Py_ssize_t used = self->used;
    const char *data = self->data;
    for (Py_ssize_t i = 0; i < used; i++) {
        wrong += data[i] != 'x';
    }
    Py_END_CRITICAL_SECTION();
    return PyLong_FromSsize_t(wrong);
}

static void
text_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    PyMem_Free(((Text *)op)->data);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyMethodDef text_methods[] = {
    {"append", text_append, METH_NOARGS, "One more x."},
    {"wrong", text_wrong, METH_NOARGS, "How many of its characters are no x."},
    {0}
};

static PyType_Slot text_slots[] = {
    {Py_tp_doc, "Nothing but x."},
    {Py_tp_dealloc, text_dealloc},
    {Py_tp_methods, text_methods},
    {0, NULL}
};

static PyType_Spec text_spec = {
    .name = "safe_realloc_buffer.Text",
    .basicsize = sizeof(Text),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = text_slots,
};

static int
module_exec(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &text_spec, NULL);
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
    .m_name = "safe_realloc_buffer",
    .m_doc = "A buffer that grows under its lock.",
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_safe_realloc_buffer(void)
{
    return PyModuleDef_Init(&module_def);
}

/* Objects that Python code hands from thread to thread, and a static counter that it knows nothing of.
 *
 * Wrong:   each block belongs to one thread at a time, as the test takes care that it does. But all
 *          of them share `filled`, which is incremented without a lock: updates get lost.
 * The GIL: fill() ran from call to return without another thread in between.
 * The fix: a C11 atomic for the counter (see safe/hand_over).
 */
#include <Python.h>

typedef struct {
    PyObject_HEAD
    unsigned char bytes[200];
} Block;

static volatile long long filled;  /* bytes, of all blocks */

static PyObject *
block_fill(PyObject *op, PyObject *arg)
{
    long value = PyLong_AsLong(arg);
    if (value == -1 && PyErr_Occurred()) {
        return NULL;
    }
    for (size_t i = 0; i < sizeof ((Block *)op)->bytes; i++) {
        ((Block *)op)->bytes[i] = (unsigned char)value;
        filled++;  /* race */
    }
    return Py_NewRef(op);
}

static PyObject *
block_sum(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    long sum = 0;
    for (size_t i = 0; i < sizeof ((Block *)op)->bytes; i++) {
        sum += ((Block *)op)->bytes[i];
    }
    return PyLong_FromLong(sum);
}

static PyObject *
block_filled(PyObject *Py_UNUSED(type), PyObject *Py_UNUSED(ignored))
{
    return PyLong_FromLongLong(filled);
}

static void
block_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyMethodDef block_methods[] = {
    {"fill", block_fill, METH_O, "Give all bytes this value; the block itself."},
    {"sum", block_sum, METH_NOARGS, "The sum of its bytes."},
    {"filled", block_filled, METH_NOARGS | METH_STATIC, "How many bytes were filled, in all blocks together."},
    {0}
};

static PyType_Slot block_slots[] = {
    {Py_tp_doc, "200 bytes."},
    {Py_tp_dealloc, block_dealloc},
    {Py_tp_methods, block_methods},
    {0, NULL}
};

static PyType_Spec block_spec = {
    .name = "unsafe_hand_over.Block",
    .basicsize = sizeof(Block),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = block_slots,
};

static int
module_exec(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &block_spec, NULL);
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
    .m_name = "unsafe_hand_over",
    .m_doc = "Counts in a plain static variable.",
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_unsafe_hand_over(void)
{
    return PyModuleDef_Init(&module_def);
}

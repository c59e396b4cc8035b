/* A pointer that is checked and used under one lock.
 *
 * Right:   every access to `cells` and `size` holds the object's PyMutex, and lookup() keeps it
 *          from the check to the copy. Arguments are converted before, results are made after:
 *          what runs under the lock is short and cannot call back.
 * The GIL: it hid the race of unsafe/segv_race; here it is not needed.
 */
#include <Python.h>

typedef struct {
    PyObject_HEAD
    PyMutex mutex;  /* protects the two fields below; all zeros is unlocked */
    double *cells;  /* NULL when not loaded */
    Py_ssize_t size;
} Table;

static PyObject *
table_load(PyObject *op, PyObject *arg)
{
    Table *self = (Table *)op;
    Py_ssize_t size = PyLong_AsSsize_t(arg);
    if (size < 0) {
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_ValueError, "negative size");
    }
    double *cells = PyMem_Calloc(size ? size : 1, sizeof *cells);
    if (cells == NULL) {
        return PyErr_NoMemory();
    }
    PyMutex_Lock(&self->mutex);
    double *old = self->cells;
    self->size = size;
    self->cells = cells;
    PyMutex_Unlock(&self->mutex);
    PyMem_Free(old);
    Py_RETURN_NONE;
}

static PyObject *
table_unload(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    Table *self = (Table *)op;
    PyMutex_Lock(&self->mutex);
    double *old = self->cells;
    self->cells = NULL;
    PyMutex_Unlock(&self->mutex);
    PyMem_Free(old);
    Py_RETURN_NONE;
}

static PyObject *
table_lookup(PyObject *op, PyObject *arg)
{
    Table *self = (Table *)op;
    Py_ssize_t index = PyLong_AsSsize_t(arg);
    if (index == -1 && PyErr_Occurred()) {
        return NULL;
    }
    double cell = 0.0;
    PyMutex_Lock(&self->mutex);
    int loaded = self->cells != NULL;
    int found = loaded && index >= 0 && index < self->size;
    if (found) {
        cell = self->cells[index];
    }
    PyMutex_Unlock(&self->mutex);
    if (!loaded) {
        Py_RETURN_NONE;
    }
    if (!found) {
        return PyErr_Format(PyExc_IndexError, "no cell %zd", index);
    }
    return PyFloat_FromDouble(cell);
}

static void
table_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    PyMem_Free(((Table *)op)->cells);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyMethodDef table_methods[] = {
    {"load", table_load, METH_O, "load(size): fill the table with zeros."},
    {"unload", table_unload, METH_NOARGS, "Give the memory back."},
    {"lookup", table_lookup, METH_O, "lookup(index): the cell, or None when not loaded."},
    {0}
};

static PyType_Slot table_slots[] = {
    {Py_tp_doc, "A table of floats that can be unloaded."},
    {Py_tp_dealloc, table_dealloc},
    {Py_tp_methods, table_methods},
    {0, NULL}
};

static PyType_Spec table_spec = {
    .name = "safe_segv_race.Table",
    .basicsize = sizeof(Table),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = table_slots,
};

static int
module_exec(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &table_spec, NULL);
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
    .m_name = "safe_segv_race",
    .m_doc = "A table that one thread may unload while another reads it.",
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_safe_segv_race(void)
{
    return PyModuleDef_Init(&module_def);
}

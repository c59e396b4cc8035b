/* A pointer that is checked, and then used when it may be gone.
 *
 * Wrong:   lookup() sees that the table is loaded; unload() in another thread sets `cells` to
 *          NULL; lookup() then reads through NULL. Run alone, every order of calls is fine.
 * The GIL: check and use were one step: converting an int does not release the GIL.
 * The fix: a lock in the object, held from check to use (see safe/segv_race).
 */
#include <Python.h>

typedef struct {
    PyObject_HEAD
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
    double *old = self->cells;  /* race: too */
    self->size = size;  /* race: too */
    self->cells = cells;  /* race: too */
    PyMem_Free(old);  /* race: too */
    Py_RETURN_NONE;
}

static PyObject *
table_unload(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    Table *self = (Table *)op;
    double *old = self->cells;  /* race: too */
    self->cells = NULL;  /* race: 2 */
    PyMem_Free(old);  /* race: too */
    Py_RETURN_NONE;
}

static PyObject *
table_lookup(PyObject *op, PyObject *arg)
{
    Table *self = (Table *)op;
    if (self->cells == NULL) {  /* race: 1 */
        Py_RETURN_NONE;
    }
    Py_ssize_t index = PyLong_AsSsize_t(arg);
    if (index == -1 && PyErr_Occurred()) {
        return NULL;
    }
    if (index < 0 || index >= self->size) {  /* race: too */
        return PyErr_Format(PyExc_IndexError, "no cell %zd", index);
    }
    return PyFloat_FromDouble(self->cells[index]);  /* race: 1 */
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
    .name = "unsafe_segv_race.Table",
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
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},  /* the promise that the code above breaks */
    {0, NULL}
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "unsafe_segv_race",
    .m_doc = "A table that one thread may unload while another reads it.",
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_unsafe_segv_race(void)
{
    return PyModuleDef_Init(&module_def);
}

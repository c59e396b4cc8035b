/* Data that is published through a dict, by calls through the slots of its type.
 *
 * Right:   the item is written before its key is stored. The lock of the dict orders the two threads,
 *          though neither calls a function by name: both call through pointers in PyDict_Type.
 * The GIL: it hid the wrong order of unsafe/slot_calls; here it is not needed.
 */
#include <Python.h>

#define CAPACITY 1000

static long long items[CAPACITY];

/* put(published, keys): publishes an item for each key. */
static PyObject *
put(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *published, *keys;
    if (!PyArg_ParseTuple(args, "O!O!:put", &PyDict_Type, &published, &PyTuple_Type, &keys)) {
        return NULL;
    }
    objobjargproc store = Py_TYPE(published)->tp_as_mapping->mp_ass_subscript;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(keys) && i < CAPACITY; i++) {
        items[i] = i + 1;
        if (store(published, PyTuple_GET_ITEM(keys, i), Py_True) < 0) {
            return NULL;
        }
    }
    Py_RETURN_NONE;
}

/* take(published, keys, at): the sum of the items that are there, from the number `at` on, and how far that is. */
static PyObject *
take(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *published, *keys;
    Py_ssize_t at;
    if (!PyArg_ParseTuple(args, "O!O!n:take", &PyDict_Type, &published, &PyTuple_Type, &keys, &at)) {
        return NULL;
    }
    objobjproc contains = Py_TYPE(published)->tp_as_sequence->sq_contains;
    long long sum = 0;
    for (int vain = 0; at < PyTuple_GET_SIZE(keys) && at < CAPACITY && vain < 100; ) {
        int found = contains(published, PyTuple_GET_ITEM(keys, at));
        if (found < 0) {
            return NULL;
        }
        if (found) {
            sum += items[at++];
        }
        vain += !found;
    }
    return Py_BuildValue("Ln", sum, at);
}

static PyObject *
reset(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    for (int i = 0; i < CAPACITY; i++) {
        items[i] = 0;
    }
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"put", put, METH_VARARGS, "put(published, keys): publish an item for each key."},
    {"take", take, METH_VARARGS, "take(published, keys, at): the sum of what is there, and the next number."},
    {"reset", reset, METH_NOARGS, "Begin again."},
    {0}
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
    {0, NULL}
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "safe_slot_calls",
    .m_doc = "Writes, then publishes.",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_safe_slot_calls(void)
{
    return PyModuleDef_Init(&module_def);
}

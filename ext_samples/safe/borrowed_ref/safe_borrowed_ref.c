/* A list item, read through a reference of our own.
 *
 * Right:   PyList_GetItemRef looks the item up and takes a reference in one step. Another thread
 *          may replace the item: the old one lives until our Py_DECREF.
 * The GIL: it hid the borrowed reference of unsafe/borrowed_ref; here it is not needed.
 */
#include <Python.h>
#include <stdint.h>

/* Fletcher's checksum of data[0:size]. */
static uint64_t
fletcher(const unsigned char *data, Py_ssize_t size)
{
    uint32_t low = 0, high = 0;
    for (Py_ssize_t i = 0; i < size; i++) {
        low += data[i];
        high += low;
    }
    return (uint64_t)high << 32 | low;
}

static PyObject *
checksum(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *frames;
    Py_ssize_t index;
    if (!PyArg_ParseTuple(args, "O!n:checksum", &PyList_Type, &frames, &index)) {
        return NULL;
    }
    PyObject *frame = PyList_GetItemRef(frames, index);  /* ours */
    if (frame == NULL) {
        return NULL;
    }
    char *data;
    Py_ssize_t size;
    if (PyBytes_AsStringAndSize(frame, &data, &size) < 0) {
        Py_DECREF(frame);
        return NULL;
    }
    uint64_t sum = fletcher((unsigned char *)data, size);
    Py_DECREF(frame);
    return PyLong_FromUnsignedLongLong(sum);
}

static PyMethodDef methods[] = {
    {"checksum", checksum, METH_VARARGS, "checksum(frames, index): of the bytes in that item."},
    {0}
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
    {0, NULL}
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "safe_borrowed_ref",
    .m_doc = "Reads a list item through a reference of its own.",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_safe_borrowed_ref(void)
{
    return PyModuleDef_Init(&module_def);
}

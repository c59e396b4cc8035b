/* A borrowed reference, used while another thread replaces the item.
 *
 * Wrong:   PyList_GetItem returns a reference that only the list keeps alive. Another thread
 *          that stores a new item at that index frees the old one while it is being read.
 * The GIL: nothing between PyList_GetItem and the end of the loop released the GIL,
 *          so no other thread could touch the list.
 * The fix: PyList_GetItemRef, a reference of our own (see safe/borrowed_ref).
 */
#include <Python.h>
#include <stdint.h>

/* Fletcher's checksum of data[0:size]. */
static uint64_t
fletcher(const unsigned char *data, Py_ssize_t size)
{
    uint32_t low = 0, high = 0;
    for (Py_ssize_t i = 0; i < size; i++) {
        low += data[i];  /* race: 1; 2 is in Python */
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
    PyObject *frame = PyList_GetItem(frames, index);  /* borrowed */
    if (frame == NULL) {
        return NULL;
    }
    char *data;
    Py_ssize_t size;
    if (PyBytes_AsStringAndSize(frame, &data, &size) < 0) {
        return NULL;
    }
    return PyLong_FromUnsignedLongLong(fletcher((unsigned char *)data, size));
}

static PyMethodDef methods[] = {
    {"checksum", checksum, METH_VARARGS, "checksum(frames, index): of the bytes in that item."},
    {0}
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},  /* the promise that the code above breaks */
    {0, NULL}
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "unsafe_borrowed_ref",
    .m_doc = "Reads a list item through a borrowed reference.",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_unsafe_borrowed_ref(void)
{
    return PyModuleDef_Init(&module_def);
}

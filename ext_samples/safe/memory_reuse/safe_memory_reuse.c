/* The current text, read under the lock that protects it.
 *
 * Right:   the mutex is held as long as the text is read, so that replace() can't give it back. The
 *          memory goes from thread to thread, but through free() and malloc(), which order.
 * The GIL: it hid the race of unsafe/memory_reuse; here it is not needed.
 */
#include <Python.h>
#include <stdlib.h>
#include <string.h>

#define SIZE 1000

static PyMutex mutex;  /* protects current, and what it points to */
static unsigned char *current;

static PyObject *
replace(PyObject *Py_UNUSED(module), PyObject *arg)
{
    long value = PyLong_AsLong(arg);
    unsigned char *fresh = value == -1 && PyErr_Occurred() ? NULL : malloc(SIZE);
    if (fresh == NULL) {
        return PyErr_Occurred() ? NULL : PyErr_NoMemory();
    }
    for (int i = 0; i < SIZE; i++) {
        fresh[i] = (unsigned char)value;
    }
    PyMutex_Lock(&mutex);
    unsigned char *old = current;
    current = fresh;
    PyMutex_Unlock(&mutex);
    free(old);
    Py_RETURN_NONE;
}

static PyObject *
sum(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    long total = 0;
    PyMutex_Lock(&mutex);
    unsigned char *text = current;
    for (int i = 0; text != NULL && i < SIZE; i++) {
        total += text[i];
    }
    PyMutex_Unlock(&mutex);
    return PyLong_FromLong(total);
}

static PyMethodDef methods[] = {
    {"replace", replace, METH_O, "Another text: so many bytes of this value."},
    {"sum", sum, METH_NOARGS, "The sum of its bytes."},
    {0}
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
    {0, NULL}
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "safe_memory_reuse",
    .m_doc = "Reads memory under its lock.",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_safe_memory_reuse(void)
{
    return PyModuleDef_Init(&module_def);
}

/* The current text, read when the lock that protects it was given back.
 *
 * Wrong:   checksum() takes the pointer under the mutex, and reads the text after it: meanwhile
 *          replace() may have given the memory back, and whoever asked next has it.
 * The GIL: nothing from PyMutex_Lock to the end of the loop released it.
 * The fix: read under the mutex (see safe/memory_reuse).
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
        fresh[i] = (unsigned char)value;  /* race: too */
    }
    PyMutex_Lock(&mutex);
    unsigned char *old = current;
    current = fresh;
    PyMutex_Unlock(&mutex);
    free(old);  /* race: 1 */
    Py_RETURN_NONE;
}

static PyObject *
sum(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    long total = 0;
    PyMutex_Lock(&mutex);
    unsigned char *text = current;
    PyMutex_Unlock(&mutex);
    for (int i = 0; text != NULL && i < SIZE; i++) {
        total += text[i];  /* race: 2 */
    }
    return PyLong_FromLong(total);
}

static PyMethodDef methods[] = {
    {"replace", replace, METH_O, "Another text: so many bytes of this value."},
    {"sum", sum, METH_NOARGS, "The sum of its bytes."},
    {0}
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},  /* the promise that the code above breaks */
    {0, NULL}
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "unsafe_memory_reuse",
    .m_doc = "Reads memory that another thread gives back.",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_unsafe_memory_reuse(void)
{
    return PyModuleDef_Init(&module_def);
}

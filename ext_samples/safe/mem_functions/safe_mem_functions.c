/* A static record that is written and read by the functions of string.h, under a mutex.
 *
 * Right:   the mutex is held while the record is written, and while it is copied; what is copied needs
 *          none. Nothing that is called under it can wait.
 * The GIL: it hid the race of unsafe/mem_functions; here it is not needed.
 */
#include <Python.h>
#include <string.h>

static struct {
    char name[32], twice[64];
    unsigned char bytes[64];
} record;
static PyMutex mutex;  /* protects record */

static PyObject *
set(PyObject *Py_UNUSED(module), PyObject *arg)
{
    Py_ssize_t size;
    const char *name = PyUnicode_AsUTF8AndSize(arg, &size);
    if (name == NULL) {
        return NULL;
    }
    if (size > 31) {
        PyErr_SetString(PyExc_ValueError, "a name has at most 31 bytes");
        return NULL;
    }
    PyMutex_Lock(&mutex);
    memset(&record, 0, sizeof record);
    strcpy(record.name, name);
    strcat(strcpy(record.twice, name), name);
    memcpy(record.bytes, name, (size_t)size);
    PyMutex_Unlock(&mutex);
    Py_RETURN_NONE;
}

static PyObject *
is_whole(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    char name[32], twice[64];
    unsigned char bytes[64];
    PyMutex_Lock(&mutex);
    memcpy(name, record.name, sizeof name);
    memcpy(twice, record.twice, sizeof twice);
    memcpy(bytes, record.bytes, sizeof bytes);
    PyMutex_Unlock(&mutex);
    name[31] = twice[63] = '\0';
    size_t size = strlen(name);
    return PyBool_FromLong(strlen(twice) == 2 * size && memcmp(twice, name, size) == 0
                           && strcmp(twice + size, name) == 0 && memcmp(bytes, name, size) == 0);
}

static PyMethodDef methods[] = {
    {"set", set, METH_O, "Another name."},
    {"is_whole", is_whole, METH_NOARGS, "Whether all that is known belongs to the same name."},
    {0}
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
    {0, NULL}
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "safe_mem_functions",
    .m_doc = "Texts in a static record under a lock.",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_safe_mem_functions(void)
{
    return PyModuleDef_Init(&module_def);
}

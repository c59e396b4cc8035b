/* A static record that is written and read by the functions of string.h, without a lock.
 *
 * Wrong:   while one thread writes the three texts of the record another one reads them, or writes
 *          them as well: what comes out was never put in.
 * The GIL: set() ran from call to return without another thread in between.
 * The fix: a PyMutex (see safe/mem_functions).
 */
#include <Python.h>
#include <string.h>

static struct {
    char name[32], twice[64];
    unsigned char bytes[64];
} record;

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
    memset(&record, 0, sizeof record);  /* race: 1 */
    strcpy(record.name, name);  /* race: 1 */
    strcat(strcpy(record.twice, name), name);  /* race: 1 */
    memcpy(record.bytes, name, (size_t)size);  /* race: 1 */
    Py_RETURN_NONE;
}

static PyObject *
is_whole(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    char name[32], twice[64];
    unsigned char bytes[64];
    memcpy(name, record.name, sizeof name);  /* race: 2 */
    memcpy(twice, record.twice, sizeof twice);  /* race: 2 */
    memcpy(bytes, record.bytes, sizeof bytes);  /* race: 2 */
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
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},  /* the promise that the code above breaks */
    {0, NULL}
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "unsafe_mem_functions",
    .m_doc = "Texts in a static record without a lock.",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_unsafe_mem_functions(void)
{
    return PyModuleDef_Init(&module_def);
}

/* A table of functions for other extensions (a capsule), which take a PyMutex.
 *
 * Right:   the functions of the table protect what they change: safe_capsule_table_user.c, which calls them
 *          through the table, can't know of it.
 * The GIL: it hid the race of unsafe/capsule_table; here it is not needed.
 */
#include "table.h"

static long long histogram[256];
static PyMutex mutex;  /* protects histogram */

static void
add(const unsigned char *data, Py_ssize_t size)
{
    PyMutex_Lock(&mutex);
    for (Py_ssize_t i = 0; i < size; i++) {
        histogram[data[i]]++;
    }
    PyMutex_Unlock(&mutex);
}

static long long
total(int begin_again)
{
    long long sum = 0;
    PyMutex_Lock(&mutex);
    for (int i = 0; i < 256; i++) {
        sum += histogram[i];
        histogram[i] = begin_again ? 0 : histogram[i];
    }
    PyMutex_Unlock(&mutex);
    return sum;
}

static const table functions = {add, total};

static int
module_exec(PyObject *module)
{
    return PyModule_Add(module, "table", PyCapsule_New((void *)&functions, "safe_capsule_table.table", NULL));
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, module_exec},
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
    {0, NULL}
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "safe_capsule_table",
    .m_doc = "Gives away functions that take a lock.",
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_safe_capsule_table(void)
{
    return PyModuleDef_Init(&module_def);
}

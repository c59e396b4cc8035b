/* A table of functions for other extensions (a capsule), which change a static variable without a lock.
 *
 * Wrong:   add() increments entries of a static array. unsafe_capsule_table_user.c calls it through the table,
 *          from two threads at a time: updates get lost.
 * The GIL: who called through the table held it.
 * The fix: a PyMutex in the functions of the table (see safe/capsule_table).
 */
#include "table.h"

static long long histogram[256];

static void
add(const unsigned char *data, Py_ssize_t size)
{
    for (Py_ssize_t i = 0; i < size; i++) {
        histogram[data[i]]++;  /* race */
    }
}

static long long
total(int begin_again)
{
    long long sum = 0;
    for (int i = 0; i < 256; i++) {
        sum += histogram[i];
        histogram[i] = begin_again ? 0 : histogram[i];
    }
    return sum;
}

static const table functions = {add, total};

static int
module_exec(PyObject *module)
{
    return PyModule_Add(module, "table", PyCapsule_New((void *)&functions, "unsafe_capsule_table.table", NULL));
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, module_exec},
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},  /* the promise that the code above breaks */
    {0, NULL}
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "unsafe_capsule_table",
    .m_doc = "Gives away functions without a lock.",
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_unsafe_capsule_table(void)
{
    return PyModuleDef_Init(&module_def);
}

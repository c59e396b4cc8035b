/* Counters for tests of --ftcheck-tsan-log: one that several threads may add to, and others that they may not.
 *
 * ThreadSanitizer reports what happens at one place in the code only once in a process: so each test has a place of its own.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <signal.h>

#define COUNTER(name, add)                                                        \
    static long name;                                                             \
    static PyObject *add_##name(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(nothing)) \
    {                                                                             \
        for (int i = 0; i < 200; i++) {                                           \
            add;                                                                  \
        }                                                                         \
        Py_RETURN_NONE;                                                           \
    }
#define METHOD(name) {"add_" #name, add_##name, METH_NOARGS, NULL}

COUNTER(atomic, __atomic_fetch_add(&atomic, 1, __ATOMIC_SEQ_CST))
COUNTER(plain, plain++)
COUNTER(at_import, at_import++)
COUNTER(in_setup, in_setup++)
COUNTER(in_teardown, in_teardown++)
COUNTER(failing, failing++)
COUNTER(expected, expected++)
COUNTER(strictly, strictly++)
COUNTER(dying, dying++)
COUNTER(alone, alone++)
COUNTER(before_death, before_death++)

static PyObject *
die(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(nothing))
{
    raise(SIGKILL);
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    METHOD(atomic), METHOD(plain), METHOD(at_import), METHOD(in_setup), METHOD(in_teardown), METHOD(failing),
    METHOD(expected), METHOD(strictly), METHOD(dying), METHOD(alone), METHOD(before_death),
    {"die", die, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, .m_name = "tsan_sample", .m_methods = methods, .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_tsan_sample(void)
{
    return PyModuleDef_Init(&definition);
}

/* A counter without a lock: `total++` in two threads at a time is a data race. */
#include <Python.h>

static long total;

/* A function of its own: within the loop, the compiler would read `total` once, in the line of the loop. */
__attribute__((noinline)) static void
step(void)
{
    total++; /* RACE */
}

static PyObject *
add(PyObject *Py_UNUSED(module), PyObject *times)
{
    long many = PyLong_AsLong(times);
    for (long i = 0; i < many; i++) {
        step();
    }
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {{"add", add, METH_O, NULL}, {0}};

static PyModuleDef_Slot slots[] = {{Py_mod_gil, Py_MOD_GIL_NOT_USED}, {0, NULL}};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, .m_name = "racy_meson", .m_methods = methods, .m_slots = slots};

PyMODINIT_FUNC
PyInit_racy_meson(void)
{
    return PyModuleDef_Init(&definition);
}

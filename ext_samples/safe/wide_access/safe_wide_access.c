/* Slots in a row of bytes that touch each other.
 *
 * Right:   a slot has 28 bytes (a number at an odd address, and 16 bytes that are copied at once), and
 *          the next one begins there, in the middle of a word of eight bytes.
 * The GIL: not needed: each thread has a slot of its own.
 */
#include <Python.h>
#include <stdint.h>

typedef uint64_t pair __attribute__((vector_size(16)));
typedef struct __attribute__((packed)) {
    uint32_t tag;
    uint64_t number;
    pair copies;
} Slot;

_Static_assert(sizeof(Slot) == 28, "nothing between the members");

#define STEP 28

static _Alignas(16) char row[256];

static PyObject *
check(PyObject *Py_UNUSED(module), PyObject *args)
{
    int index;
    unsigned long long number;
    if (!PyArg_ParseTuple(args, "iK:check", &index, &number)) {
        return NULL;
    }
    if (index < 0 || index > 7) {
        PyErr_SetString(PyExc_IndexError, "there are eight slots");
        return NULL;
    }
    volatile Slot *slot = (volatile Slot *)(row + (size_t)index * STEP);
    int wrong = 0;
    for (int i = 0; i < 200; i++) {
        slot->tag = (uint32_t)number;
        slot->number = number;
        slot->copies = (pair){number, number};
        wrong += slot->tag != (uint32_t)number;
        wrong += slot->number != number;
        pair copies = slot->copies;
        wrong += copies[0] != number || copies[1] != number;
    }
    return PyLong_FromLong(wrong);
}

static PyMethodDef methods[] = {
    {"check", check, METH_VARARGS, "check(index, number): store it; how often something else was found there."},
    {0}
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
    {0, NULL}
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "safe_wide_access",
    .m_doc = "Slots that touch.",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_safe_wide_access(void)
{
    return PyModuleDef_Init(&module_def);
}

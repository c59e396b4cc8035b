/* Slots in a row of bytes that overlap a little.
 *
 * Wrong:   a slot has 28 bytes (a number at an odd address, and 16 bytes that are copied at once), but
 *          the next one begins after 24: the end of one is the beginning of the next.
 * The GIL: store() and load() ran as one step, but only one of two slots was ever right.
 * The fix: as many bytes from slot to slot as one has (see safe/wide_access).
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

#define STEP 24

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
        slot->tag = (uint32_t)number;  /* race: 1 */
        slot->number = number;  /* race: too */
        slot->copies = (pair){number, number};  /* race: 2 */
        wrong += slot->tag != (uint32_t)number;  /* race: too */
        wrong += slot->number != number;  /* race: too */
        pair copies = slot->copies;  /* race: too */
        wrong += copies[0] != number || copies[1] != number;
    }
    return PyLong_FromLong(wrong);
}

static PyMethodDef methods[] = {
    {"check", check, METH_VARARGS, "check(index, number): store it; how often something else was found there."},
    {0}
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},  /* the promise that the code above breaks */
    {0, NULL}
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "unsafe_wide_access",
    .m_doc = "Slots that overlap.",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_unsafe_wide_access(void)
{
    return PyModuleDef_Init(&module_def);
}

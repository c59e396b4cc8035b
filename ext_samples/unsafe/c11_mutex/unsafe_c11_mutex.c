/* Two mutexes (C11) for one thing: one for those who write, one for those who read.
 *
 * Wrong:   each of the two keeps out only its own kind. total() reads while move() is between the
 *          two accounts, and finds one unit too few.
 * The GIL: move() ran from call to return without another thread in between.
 * The fix: one mutex for both (see safe/c11_mutex).
 */
#include <Python.h>
#include <threads.h>

static once_flag made = ONCE_FLAG_INIT;
static mtx_t writing, reading;
static volatile long long left = 1000, right = 1000;

static void
make(void)
{
    mtx_init(&writing, mtx_plain);
    mtx_init(&reading, mtx_plain);
}

static PyObject *
move(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    call_once(&made, make);
    for (int i = 0; i < 100; i++) {
        mtx_lock(&writing);
        left--;  /* race: 1 */
        right++;  /* race: 1 */
        mtx_unlock(&writing);
    }
    Py_RETURN_NONE;
}

static PyObject *
total(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    call_once(&made, make);
    mtx_lock(&reading);
    long long sum = left + right;  /* race: 2 */
    mtx_unlock(&reading);
    return PyLong_FromLongLong(sum);
}

static PyMethodDef methods[] = {
    {"move", move, METH_NOARGS, "Move something from left to right, a hundred times."},
    {"total", total, METH_NOARGS, "What both have together."},
    {0}
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},  /* the promise that the code above breaks */
    {0, NULL}
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "unsafe_c11_mutex",
    .m_doc = "Two mutexes for one thing.",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_unsafe_c11_mutex(void)
{
    return PyModuleDef_Init(&module_def);
}

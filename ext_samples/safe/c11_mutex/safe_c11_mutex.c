/* A mutex of C11, made once, for two numbers that belong together.
 *
 * Right:   whoever reads or writes the accounts takes the same mutex; call_once makes it, however
 *          many threads come first.
 * The GIL: it hid the second mutex of unsafe/c11_mutex; here it is not needed.
 */
#include <Python.h>
#include <threads.h>

static once_flag made = ONCE_FLAG_INIT;
static mtx_t mutex;  /* protects the accounts */
static volatile long long left = 1000, right = 1000;

static void
make(void)
{
    mtx_init(&mutex, mtx_plain);
}

static PyObject *
move(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    call_once(&made, make);
    for (int i = 0; i < 100; i++) {
        mtx_lock(&mutex);
        left--;
        right++;
        mtx_unlock(&mutex);
    }
    Py_RETURN_NONE;
}

static PyObject *
total(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    call_once(&made, make);
    mtx_lock(&mutex);
    long long sum = left + right;
    mtx_unlock(&mutex);
    return PyLong_FromLongLong(sum);
}

static PyMethodDef methods[] = {
    {"move", move, METH_NOARGS, "Move something from left to right, a hundred times."},
    {"total", total, METH_NOARGS, "What both have together."},
    {0}
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
    {0, NULL}
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "safe_c11_mutex",
    .m_doc = "One mutex for one thing.",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_safe_c11_mutex(void)
{
    return PyModuleDef_Init(&module_def);
}

/* Two numbers that belong together, under a spinlock.
 *
 * Right:   who reads takes the same lock as who writes. Nothing under it can wait.
 * The GIL: it hid the missing lock of unsafe/spinlock; here it is not needed.
 */
#include <Python.h>
#include <pthread.h>

static pthread_spinlock_t lock;  /* protects the two */
static volatile long long count, total;

static PyObject *
add(PyObject *Py_UNUSED(module), PyObject *arg)
{
    long long value = PyLong_AsLongLong(arg);
    if (value == -1 && PyErr_Occurred()) {
        return NULL;
    }
    for (int i = 0; i < 100; i++) {
        pthread_spin_lock(&lock);
        count++;
        total += value;
        pthread_spin_unlock(&lock);
    }
    Py_RETURN_NONE;
}

static PyObject *
mean(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    pthread_spin_lock(&lock);
    double sum = (double)total, number = (double)count;
    pthread_spin_unlock(&lock);
    return PyFloat_FromDouble(number == 0 ? 0 : sum / number);
}

static int
module_exec(PyObject *Py_UNUSED(module))
{
    return pthread_spin_init(&lock, PTHREAD_PROCESS_PRIVATE) == 0 ? 0 : -1;
}

static PyMethodDef methods[] = {
    {"add", add, METH_O, "Take a number in, a hundred times."},
    {"mean", mean, METH_NOARGS, "The mean of all numbers so far."},
    {0}
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, module_exec},
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
    {0, NULL}
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "safe_spinlock",
    .m_doc = "Reads two numbers under their lock.",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_safe_spinlock(void)
{
    return PyModuleDef_Init(&module_def);
}

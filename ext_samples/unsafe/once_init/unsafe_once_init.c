/* A library-like one-time initialisation with an `if (!ready)` check.
 *
 * Wrong:   `ready` is set before the table is filled, and without a lock. A second thread sees
 *          it set and reads entries that are not there yet. (Setting it after the loop is no
 *          cure: both threads would fill, and without atomics the other entries may arrive late.)
 * The GIL: check and initialisation were one step; nothing in the loop released the GIL.
 * The fix: a PyMutex, and pthread_once for what happens only once (see safe/once_init).
 */
#include <Python.h>
#include <math.h>

#define LEVELS 65536  /* of a 16-bit image */

static int started, ready;
static double level[LEVELS];  /* i / (LEVELS - 1): computed once */
static double ramp[LEVELS];   /* level ** gamma: computed after each set_gamma() */
static double gamma_value = 1.0;

static void
start(void)
{
    started = 1;  /* race: too */
    for (int i = 0; i < LEVELS; i++) {
        level[i] = (double)i / (LEVELS - 1);  /* race: too */
    }
}

static void
make_ready(void)
{
    if (!started) {  /* race: too */
        start();
    }
    if (!ready) {  /* race: too */
        ready = 1;  /* race: too */
        for (int i = 0; i < LEVELS; i++) {
            ramp[i] = pow(level[i], gamma_value);  /* race: 1 */
        }
    }
}

static PyObject *
to_linear(PyObject *Py_UNUSED(module), PyObject *arg)
{
    long index = PyLong_AsLong(arg);
    if (index == -1 && PyErr_Occurred()) {
        return NULL;
    }
    if (index < 0 || index >= LEVELS) {
        return PyErr_Format(PyExc_IndexError, "levels are 0 to %d", LEVELS - 1);
    }
    make_ready();
    return PyFloat_FromDouble(ramp[index]);  /* race: 2 */
}

static PyObject *
set_gamma(PyObject *Py_UNUSED(module), PyObject *arg)
{
    double gamma = PyFloat_AsDouble(arg);
    if (gamma == -1.0 && PyErr_Occurred()) {
        return NULL;
    }
    gamma_value = gamma;
    ready = 0;  /* the next to_linear() computes again */
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"to_linear", to_linear, METH_O, "to_linear(level): the brightness of a level."},
    {"set_gamma", set_gamma, METH_O, "Choose another exponent."},
    {0}
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},  /* the promise that the code above breaks */
    {0, NULL}
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "unsafe_once_init",
    .m_doc = "A static table, filled at first use.",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_unsafe_once_init(void)
{
    return PyModuleDef_Init(&module_def);
}

/* A library-like one-time initialisation, once whatever the threads do.
 *
 * Right:   pthread_once fills the constant part: one thread runs start(), the others wait for it.
 *          The part that set_gamma() changes is computed and read under a PyMutex, so nobody
 *          sees a table half filled. start() runs no Python code: waiting for it is brief
 *          and cannot deadlock with the interpreter.
 * The GIL: it hid the missing lock of unsafe/once_init; here it is not needed.
 */
#include <Python.h>
#include <math.h>
#include <pthread.h>

#define LEVELS 65536  /* of a 16-bit image */

static pthread_once_t started = PTHREAD_ONCE_INIT;
static double level[LEVELS];  /* i / (LEVELS - 1): computed once, constant afterwards */

static PyMutex ramp_mutex;    /* protects the three below */
static int ready;
static double ramp[LEVELS];   /* level ** gamma: computed after each set_gamma() */
static double gamma_value = 1.0;

static void
start(void)
{
    for (int i = 0; i < LEVELS; i++) {
        level[i] = (double)i / (LEVELS - 1);
    }
}

static double
brightness(long index)
{
    pthread_once(&started, start);
    PyMutex_Lock(&ramp_mutex);
    if (!ready) {
        for (int i = 0; i < LEVELS; i++) {
            ramp[i] = pow(level[i], gamma_value);
        }
        ready = 1;
    }
    double result = ramp[index];
    PyMutex_Unlock(&ramp_mutex);
    return result;
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
    return PyFloat_FromDouble(brightness(index));
}

static PyObject *
set_gamma(PyObject *Py_UNUSED(module), PyObject *arg)
{
    double gamma = PyFloat_AsDouble(arg);
    if (gamma == -1.0 && PyErr_Occurred()) {
        return NULL;
    }
    PyMutex_Lock(&ramp_mutex);
    gamma_value = gamma;
    ready = 0;  /* the next to_linear() computes again */
    PyMutex_Unlock(&ramp_mutex);
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"to_linear", to_linear, METH_O, "to_linear(level): the brightness of a level."},
    {"set_gamma", set_gamma, METH_O, "Choose another exponent."},
    {0}
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
    {0, NULL}
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "safe_once_init",
    .m_doc = "A static table, filled once, at first use.",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_safe_once_init(void)
{
    return PyModuleDef_Init(&module_def);
}

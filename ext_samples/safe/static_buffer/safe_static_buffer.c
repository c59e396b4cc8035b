/* Text formatted in a buffer that each thread has for itself.
 *
 * Right:   `_Thread_local` keeps the convenient interface (a pointer that the next call
 *          overwrites) and gives every thread its own copy. The str is made before this
 *          thread can format again. A buffer on the caller's stack would do as well.
 * The GIL: it hid the shared buffer of unsafe/static_buffer; here nothing is shared.
 */
#include <Python.h>

/* A duration as h:mm:ss.mmm, in a buffer that this thread's next call overwrites. */
static const char *
format_milliseconds(long long milliseconds)
{
    static _Thread_local char buffer[40];
    long long seconds = milliseconds / 1000;
    PyOS_snprintf(buffer, sizeof buffer, "%lld:%02d:%02d.%03d",
                  seconds / 3600, (int)(seconds / 60 % 60), (int)(seconds % 60),
                  (int)(milliseconds % 1000));
    return buffer;
}

static PyObject *
duration(PyObject *Py_UNUSED(module), PyObject *arg)
{
    long long milliseconds = PyLong_AsLongLong(arg);
    if (milliseconds == -1 && PyErr_Occurred()) {
        return NULL;
    }
    if (milliseconds < 0) {
        PyErr_SetString(PyExc_ValueError, "a duration is not negative");
        return NULL;
    }
    return PyUnicode_FromString(format_milliseconds(milliseconds));
}

static PyMethodDef methods[] = {
    {"duration", duration, METH_O, "duration(milliseconds): as h:mm:ss.mmm."},
    {0}
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
    {0, NULL}
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "safe_static_buffer",
    .m_doc = "Formats text in a thread-local buffer.",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_safe_static_buffer(void)
{
    return PyModuleDef_Init(&module_def);
}

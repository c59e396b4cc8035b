/* Text formatted in a static buffer.
 *
 * Wrong:   every thread writes into the same `buffer`. Between the writing and the copy into
 *          a str another thread writes its own text there, and the caller gets that.
 * The GIL: format and copy were one step, because neither released it.
 * The fix: one buffer per thread (see safe/static_buffer), or a buffer on the stack.
 */
#include <Python.h>

/* A duration as h:mm:ss.mmm, in a buffer that the next call overwrites (like asctime in C). */
static const char *
format_milliseconds(long long milliseconds)
{
    static char buffer[40];
    long long seconds = milliseconds / 1000;
    PyOS_snprintf(buffer, sizeof buffer, "%lld:%02d:%02d.%03d",  /* race */
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
    return PyUnicode_FromString(format_milliseconds(milliseconds));  /* race: 2 */
}

static PyMethodDef methods[] = {
    {"duration", duration, METH_O, "duration(milliseconds): as h:mm:ss.mmm."},
    {0}
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},  /* the promise that the code above breaks */
    {0, NULL}
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "unsafe_static_buffer",
    .m_doc = "Formats text in a static buffer.",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_unsafe_static_buffer(void)
{
    return PyModuleDef_Init(&module_def);
}

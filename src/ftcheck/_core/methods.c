/* Replaces methods in the dicts of built-in types, so that objects that exist already are seen as well. */
#include "sched.h"

/* An entry without a function of ours only keeps the original, to be called. */
int
ftc_replace_methods(ftc_method *all, int count, int on)
{
    for (int i = 0; i < count; i++) {
        ftc_method *m = &all[i];
        PyObject *dict = PyType_GetDict(m->type);
        if (dict == NULL) {
            return -1;
        }
        int failed = 0;
        if (m->original == NULL) {
            m->original = Py_XNewRef(PyDict_GetItemString(dict, m->definition->ml_name));
            if (m->original == NULL) {
                PyErr_Format(PyExc_RuntimeError, "%s has no method %s", m->type->tp_name, m->definition->ml_name);
                failed = 1;
            }
        }
        if (!failed && m->definition->ml_meth != NULL) {
            PyObject *value = on ? PyDescr_NewMethod(m->type, m->definition) : Py_NewRef(m->original);
            ftc_classify_own(m->definition);
            failed = value == NULL || PyDict_SetItemString(dict, m->definition->ml_name, value) < 0;
            Py_XDECREF(value);
            PyType_Modified(m->type);
        }
        Py_DECREF(dict);
        if (failed) {
            return -1;
        }
    }
    return 0;
}

PyObject *
ftc_original(const ftc_method *method, PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *names)
{
    PyObject *all[8] = {self};
    Py_ssize_t total = nargs + (names == NULL ? 0 : PyTuple_GET_SIZE(names));
    if (total > 7) {
        PyErr_SetString(PyExc_TypeError, "too many arguments");
        return NULL;
    }
    for (Py_ssize_t i = 0; i < total; i++) {
        all[i + 1] = args[i];
    }
    return PyObject_Vectorcall(method->original, all, (size_t)nargs + 1, names);
}

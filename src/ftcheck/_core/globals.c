/* Notices that a function, class or module that a module holds under a name is replaced by something else.
 *
 * `module.name = fake` calls nothing that could be watched, so the module's dict is (PyDict_AddWatcher, C API since
 * 3.12).  The watcher is called before each change and cannot prevent it; it notes the dict, the name and what was there,
 * so that whoever asks (take_replaced) can put it back; and names that are new, so that it can be told when it is the
 * first fake that a second one replaces.  Only changes made where a context variable is set to something
 * other than None are noted: on the threads that run bodies.
 */
#include "core.h"

static int watcher = -1;
static PyObject *variable;           /* the context variable */
static PyObject *replaced;           /* list of (dict, name, what was there) */

static int
can_be_called(PyObject *value)
{
    return PyFunction_Check(value) || PyCFunction_Check(value) || PyType_Check(value) || PyModule_Check(value);
}

static int
in_a_body(void)
{
    PyObject *value = NULL;
    if (variable == NULL || PyContextVar_Get(variable, NULL, &value) < 0) {
        return 0;
    }
    int set = value != NULL && value != Py_None;
    Py_XDECREF(value);
    return set;
}

/* Called before the change.  A name that is new is noted without what was there: (dict, name). */
static int
note(PyDict_WatchEvent event, PyObject *dict, PyObject *key, PyObject *new_value)
{
    if (event != PyDict_EVENT_ADDED && event != PyDict_EVENT_MODIFIED && event != PyDict_EVENT_DELETED) {
        return 0;
    }
    PyObject *pending = PyErr_GetRaisedException();
    PyObject *old = NULL, *change = NULL;
    if (event == PyDict_EVENT_ADDED) {
        if (can_be_called(new_value) && in_a_body()) {
            change = PyTuple_Pack(2, dict, key);
        }
    }
    else if (PyDict_GetItemRef(dict, key, &old) > 0 && old != new_value && can_be_called(old) && in_a_body()) {
        change = PyTuple_Pack(3, dict, key, old);
    }
    if (change != NULL) {
        PyList_Append(replaced, change);
    }
    Py_XDECREF(change);
    Py_XDECREF(old);
    PyErr_Clear();
    PyErr_SetRaisedException(pending);
    return 0;
}

/* Watches a module's dict; `var` is the context variable. */
PyObject *
ftc_watch_globals(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *dict, *var;
    if (!PyArg_ParseTuple(args, "O!O:watch_globals", &PyDict_Type, &dict, &var)) {
        return NULL;
    }
    if (!PyContextVar_CheckExact(var)) {
        PyErr_SetString(PyExc_TypeError, "watch_globals() needs a context variable");
        return NULL;
    }
    if (replaced == NULL && (replaced = PyList_New(0)) == NULL) {
        return NULL;
    }
    if (watcher < 0 && (watcher = PyDict_AddWatcher(note)) < 0) {
        return NULL;
    }
    Py_XSETREF(variable, Py_NewRef(var));
    if (PyDict_Watch(watcher, dict) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyObject *
ftc_unwatch_globals(PyObject *Py_UNUSED(module), PyObject *dict)
{
    if (watcher >= 0 && PyDict_Unwatch(watcher, dict) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* What was noted since the last call, in the order of the changes. */
PyObject *
ftc_take_replaced(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    if (replaced == NULL) {
        return PyList_New(0);
    }
    PyObject *taken = PyList_GetSlice(replaced, 0, PY_SSIZE_T_MAX);
    if (taken != NULL && PyList_SetSlice(replaced, 0, PyList_GET_SIZE(taken), NULL) < 0) {
        Py_CLEAR(taken);
    }
    return taken;
}

/* What an operation reads or writes, as a short text, for the report of one interleaving.
 *
 * The thread has the token and has not executed the instruction yet, so what is read here is what the instruction will
 * read.  Nothing may run Python code of anybody's: attributes are looked up only where that is the interpreter's own doing,
 * and an object shows itself only if it is built in, and is made of built-in ones.
 */
#define Py_BUILD_CORE 1
#include "ops.h"

#define LONGEST 60                   /* characters */
#define MOST_ITEMS 6

static int
is_plain(PyObject *o)
{
    PyTypeObject *t = Py_TYPE(o);
    return o == Py_None || t == &PyBool_Type || t == &PyLong_Type || t == &PyFloat_Type || t == &PyUnicode_Type
        || t == &PyBytes_Type;
}

/* A built-in container of plain things, small enough to be shown. */
static int
is_showable(PyObject *o)
{
    if (is_plain(o)) {
        return 1;
    }
    if (PyTuple_CheckExact(o) || PyList_CheckExact(o)) {
        Py_ssize_t n = PySequence_Fast_GET_SIZE(o);
        for (Py_ssize_t i = 0; i < n && n <= MOST_ITEMS; i++) {
            if (!is_plain(PySequence_Fast_GET_ITEM(o, i))) {
                return 0;
            }
        }
        return n <= MOST_ITEMS;
    }
    if (PyDict_CheckExact(o) && PyDict_GET_SIZE(o) <= MOST_ITEMS) {
        PyObject *key, *value;
        for (Py_ssize_t at = 0; PyDict_Next(o, &at, &key, &value);) {
            if (!is_plain(key) || !is_plain(value)) {
                return 0;
            }
        }
        return 1;
    }
    return 0;
}

static PyObject *
text_of(PyObject *o)
{
    PyObject *text;
    if (o == NULL) {
        return NULL;
    }
    if (is_showable(o)) {
        text = PyObject_Repr(o);
    }
    else if (PyList_CheckExact(o) || PyDict_CheckExact(o) || PyTuple_CheckExact(o) || PySet_CheckExact(o)) {
        text = PyUnicode_FromFormat("<%s of %zd>", Py_TYPE(o)->tp_name, PyObject_Size(o));
    }
    else if (PyFunction_Check(o)) {
        text = Py_NewRef(((PyFunctionObject *)o)->func_qualname);
    }
    else if (PyType_Check(o)) {
        text = PyType_GetQualName((PyTypeObject *)o);
    }
    else {
        text = PyUnicode_FromFormat("<%s>", Py_TYPE(o)->tp_name);
    }
    if (text != NULL && PyUnicode_GET_LENGTH(text) > LONGEST) {
        PyObject *start = PyUnicode_Substring(text, 0, LONGEST - 3);
        Py_SETREF(text, start == NULL ? NULL : PyUnicode_FromFormat("%U...", start));
        Py_XDECREF(start);
    }
    return text;
}

static PyObject *
attribute_of(PyObject *owner, PyObject *name)
{
    if (owner == NULL || (!PyModule_CheckExact(owner) && Py_TYPE(owner)->tp_getattro != PyObject_GenericGetAttr)) {
        return NULL;
    }
    PyObject *found = _PyType_LookupRef(Py_TYPE(owner), name);
    int runs_code = found != NULL && Py_TYPE(found)->tp_descr_get != NULL
        && !(Py_IS_TYPE(found, &PyFunction_Type) || Py_IS_TYPE(found, &PyMethodDescr_Type)
             || Py_IS_TYPE(found, &PyMemberDescr_Type) || Py_IS_TYPE(found, &PyGetSetDescr_Type));
    Py_XDECREF(found);
    return runs_code ? NULL : PyObject_GenericGetAttr(owner, name);    /* a property, functools.cached_property */
}

static PyObject *
item_of(PyObject *container, PyObject *key)
{
    int known = container != NULL && key != NULL && is_plain(key) && (PyDict_CheckExact(container) || PyList_CheckExact(container));
    return known ? PyObject_GetItem(container, key) : NULL;
}

static PyObject *
texts_of(_PyStackRef *top, int count)
{
    PyObject *all = PyUnicode_FromString("");
    for (int i = 0; i < count && i < 3 && all != NULL; i++) {
        PyObject *one = text_of(ftc_operand(top, count - i));
        if (one != NULL) {
            Py_SETREF(all, PyUnicode_FromFormat(i == 0 ? "%U%U" : "%U, %U", all, one));
            Py_DECREF(one);
        }
    }
    return all;
}

/* A new reference to a str, or NULL without an exception. */
PyObject *
ftc_value(int site, int arg, PyCodeObject *code)
{
    _PyInterpreterFrame *frame = PyThreadState_GET()->current_frame;
    _PyStackRef *top = frame->stackpointer;
    PyObject *value = NULL, *text = NULL, *name;
    switch (site) {
        case SITE_LOAD_ATTR:
        case SITE_LOAD_OWN:
            value = attribute_of(ftc_operand(top, 1), PyTuple_GET_ITEM(code->co_names, arg));
            break;
        case SITE_STORE_ATTR:
            text = text_of(ftc_operand(top, 2));
            break;
        case SITE_GLOBAL_READ:
            name = PyTuple_GET_ITEM(code->co_names, arg);
            value = Py_XNewRef(PyDict_GetItemWithError(frame->f_globals, name));
            break;
        case SITE_CELL_READ:
            value = PyCell_Get(PyStackRef_AsPyObjectBorrow(frame->localsplus[arg]));
            break;
        case SITE_GLOBAL_WRITE:
        case SITE_CELL_WRITE:
            text = text_of(ftc_operand(top, 1));
            break;
        case SITE_GET_ITEM:
            value = item_of(ftc_operand(top, 2), ftc_operand(top, 1));
            break;
        case SITE_SET_ITEM:
            text = text_of(ftc_operand(top, 3));
            break;
        case SITE_CONTAINS: {
            PyObject *container = ftc_operand(top, 1), *key = ftc_operand(top, 2);
            if (container != NULL && key != NULL && is_plain(key) && (PyDict_CheckExact(container) || is_showable(container))) {
                int in = PySequence_Contains(container, key);
                value = in < 0 ? NULL : PyBool_FromLong(in);
            }
            break;
        }
        case SITE_CALL:
            text = texts_of(top, arg);
            break;
        default:
            break;
    }
    if (value != NULL) {
        text = text_of(value);
        Py_DECREF(value);
    }
    PyErr_Clear();
    return text;
}

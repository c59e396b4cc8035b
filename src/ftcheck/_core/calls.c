/* What a call of something written in C is about to do: list.append(x) writes to the list, len(x) reads x.
 *
 * Python knows the builtins by name and says here, once, what each does (explore/builtins.py); the table is keyed by the
 * PyMethodDef, which all bound methods and descriptors of one builtin share.  What nobody has classified is taken for a
 * write to its object, where that object can change: a point too many costs a little time, one too few costs a bug.
 */
#define Py_BUILD_CORE 1
#include "sched.h"
#include "internal/pycore_object.h"

#define TABLE 1024                   /* a power of two, several times the number of entries */

typedef struct {
    PyMethodDef *definition;
    int kind;                        /* enum ftc_kind */
    int subject, key;                /* which argument is the object, which the key; -1: none */
} entry;

static entry entries[TABLE];
static int used;

static entry *
place_of(PyMethodDef *definition)
{
    size_t i = ((uintptr_t)definition >> 4) * 0x9E3779B97F4A7C15u >> 40;
    for (;; i++) {
        entry *e = &entries[i & (TABLE - 1)];
        if (e->definition == definition || e->definition == NULL) {
            return e;
        }
    }
}

static PyMethodDef *
definition_of(PyObject *callable)
{
    if (PyCFunction_Check(callable)) {
        return ((PyCFunctionObject *)callable)->m_ml;
    }
    if (Py_IS_TYPE(callable, &PyMethodDescr_Type) || Py_IS_TYPE(callable, &PyClassMethodDescr_Type)) {
        return ((PyMethodDescrObject *)callable)->d_method;
    }
    return NULL;
}

/* Calls of this are no operations: it has points of its own. */
void
ftc_classify_own(PyMethodDef *definition)
{
    entry *e = place_of(definition);
    used += e->definition == NULL;
    *e = (entry){definition, FTC_NOTHING, 0, -1};
}

PyObject *
ftc_classify(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *callable;
    int kind, subject, key;
    if (!PyArg_ParseTuple(args, "Oiii:classify", &callable, &kind, &subject, &key)) {
        return NULL;
    }
    PyMethodDef *definition = definition_of(callable);
    if (definition == NULL || used > TABLE / 2) {
        return PyErr_Format(PyExc_TypeError, "%R is no builtin that can be classified", callable);
    }
    entry *e = place_of(definition);
    used += e->definition == NULL;
    *e = (entry){definition, kind, subject, key};
    Py_RETURN_NONE;
}

/* Whether threads can tell each other something through it. */
static int
can_change(PyObject *object)
{
    if (object == NULL || ftc_is_constant(object) || PyModule_Check(object) || PyType_Check(object)) {
        return 0;
    }
    PyTypeObject *type = Py_TYPE(object);
    return PyList_Check(object) || PyDict_Check(object) || PyAnySet_Check(object) || type->tp_iternext != NULL
        || type->tp_as_mapping != NULL || type->tp_as_sequence != NULL || PyType_IS_GC(type);
}

static void
on(ftc_op *op, int kind, PyObject *subject, PyObject *key)
{
    if (subject == NULL || ftc_is_constant(subject)) {
        return;
    }
    *op = (ftc_op){.kind = kind, .typed = 1, .object = (uintptr_t)subject, .key = FTC_WHOLE,
                   .place = (uintptr_t)Py_TYPE(subject)};
    if (key != NULL && PyDict_CheckExact(subject) && ftc_key(key) != FTC_WHOLE
        && (kind == FTC_READ || PyDict_Contains(subject, key) == 1)) {
        op->key = ftc_key(key);
    }
}

void
ftc_call_operation(ftc_op *op, PyObject *callable, PyObject *const *args, Py_ssize_t nargs)
{
    PyMethodDef *definition = definition_of(callable);
    int site, arg;
    if (definition == NULL) {
        if (PyMethod_Check(callable)) {
            PyObject *function = PyMethod_GET_FUNCTION(callable);
            if (PyFunction_Check(function) && !ftc_site_at(PyFunction_GET_CODE(function), 0, &site, &arg)) {
                on(op, FTC_WRITE, PyMethod_GET_SELF(callable), NULL);
            }
        }
        else if (PyFunction_Check(callable)) {
            for (Py_ssize_t i = 0; i < nargs; i++) {   /* of code that is not in scope: one step, as it were */
                if (can_change(args[i]) && !ftc_site_at(PyFunction_GET_CODE(callable), 0, &site, &arg)) {
                    on(op, FTC_WRITE, args[i], NULL);
                    break;
                }
            }
        }
        else if (!PyType_Check(callable)) {
            PyObject *method = _PyType_LookupRef(Py_TYPE(callable), &_Py_ID(__call__));
            if (method != NULL && !PyFunction_Check(method)) {
                on(op, FTC_WRITE, callable, NULL);     /* it may keep something: functools.lru_cache */
            }
            Py_XDECREF(method);
        }
        else if (PyType_Check(callable) && nargs == 1 && !PyType_HasFeature((PyTypeObject *)callable, Py_TPFLAGS_HEAPTYPE)
            && args[0] != NULL && (PyList_Check(args[0]) || PyDict_Check(args[0]) || PyAnySet_Check(args[0]))) {
            on(op, FTC_READ, args[0], NULL);           /* list(x), sorted() and the like */
        }
        return;
    }
    PyObject *self = NULL, *all[5];
    Py_ssize_t count = 0;
    int method = !PyCFunction_Check(callable);
    if (!method) {
        self = ((PyCFunctionObject *)callable)->m_self;
        method = self != NULL && !PyModule_Check(self);
        if (method) {
            all[count++] = self;
        }
    }
    for (Py_ssize_t i = 0; i < nargs && count < 5; i++) {
        all[count++] = args[i];
    }
    entry *e = place_of(definition);
    if (e->definition != NULL) {
        if (e->kind != FTC_NOTHING && e->subject < count) {
            on(op, e->kind, all[e->subject], e->key >= 0 && e->key < count ? all[e->key] : NULL);
        }
    }
    else if (method) {
        if (count > 0 && can_change(all[0])) {
            on(op, FTC_WRITE, all[0], NULL);
        }
    }
    else {
        for (Py_ssize_t i = 0; i < count; i++) {
            PyObject *a = all[i];
            if (a != NULL && (PyList_Check(a) || PyDict_Check(a) || PyAnySet_Check(a) || Py_TYPE(a)->tp_iternext != NULL)) {
                on(op, FTC_WRITE, a, NULL);
                return;
            }
        }
    }
}

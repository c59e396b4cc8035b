/* What a call of something written in C is about to do: list.append(x) writes to the list, len(x) reads x, x.extend(y)
 * does both.
 *
 * Python knows the builtins by name and says here, once, what each does (explore/builtins.py); the table is keyed by the
 * PyMethodDef, which all bound methods and descriptors of one builtin share.  What nobody has classified is taken for a
 * write to its object, where that object can change: a point too many costs a little time, one too few costs a bug.  An
 * operation has room for two objects; of a call that looks at more, the third and those after it are not seen.
 */
#define Py_BUILD_CORE 1
#include "sched.h"
#include "internal/pycore_object.h"
#include <string.h>

#define TABLE 1024                   /* a power of two, several times the number of entries */

typedef struct {
    PyMethodDef *definition;
    int kind;                        /* enum ftc_kind */
    int alone;                       /* it does not look into its other arguments */
    int blind;                       /* it tells nothing of what was there before: list.append() */
    int subject, key;                /* which argument is the object, which the key; -1: none */
    int own;                         /* it has points of its own */
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
    *e = (entry){definition, FTC_NOTHING, 1, 0, 0, -1, 1};
}

PyObject *
ftc_classify(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *callable;
    int kind, subject, key, alone;
    if (!PyArg_ParseTuple(args, "Oiiip:classify", &callable, &kind, &subject, &key, &alone)) {
        return NULL;
    }
    PyMethodDef *definition = definition_of(callable);
    if (definition == NULL || used > TABLE / 2) {
        return PyErr_Format(PyExc_TypeError, "%R is no builtin that can be classified", callable);
    }
    entry *e = place_of(definition);
    used += e->definition == NULL;
    *e = (entry){definition, kind & 3, alone, kind >> 2, subject, key, 0};
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
    if (Py_TYPE(subject)->tp_iternext != NULL) {       /* to read from an iterator is to move it */
        op->kind = FTC_WRITE;
        op->also = (uintptr_t)ftc_walked_by(subject);
    }
}

/* What it looks into besides its object: the next of these that is a container or an iterator. */
static void
looks_into(ftc_op *op, PyObject *const *args, Py_ssize_t count, int writes)
{
    for (Py_ssize_t i = 0; i < count && op->also == 0; i++) {
        PyObject *a = args[i];
        int moves = a != NULL && Py_TYPE(a)->tp_iternext != NULL;
        if (a == NULL || (uintptr_t)a == op->object || !(moves || PyList_Check(a) || PyDict_Check(a) || PyAnySet_Check(a))) {
            continue;
        }
        if (op->kind == FTC_NOTHING) {
            on(op, writes ? FTC_WRITE : FTC_READ, a, NULL);
            continue;
        }
        op->also = (uintptr_t)a;
        op->also_key = FTC_WHOLE;
        op->also_writes = writes || moves;
    }
}

static int
is_in_scope(PyObject *function)
{
    int site, arg;
    return ftc_site_at(PyFunction_GET_CODE(function), 0, &site, &arg);
}

/* Python code that is not in scope is one step, as it were; that which is has points of its own. */
static void
call_of_function(ftc_op *op, PyObject *function, PyObject *const *args, Py_ssize_t count)
{
    if (is_in_scope(function)) {
        return;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        if (!can_change(args[i])) {
            continue;
        }
        if (op->kind == FTC_NOTHING) {
            on(op, FTC_WRITE, args[i], NULL);
        }
        else if (op->also == 0 && (uintptr_t)args[i] != op->object) {
            op->also = (uintptr_t)args[i];
            op->also_key = FTC_WHOLE;
            op->also_writes = 1;
        }
    }
}

/* list.__setitem__, super().__setitem__: C functions of a type's slots, known by their names.  0: it is none of these. */
static int
call_of_slot(ftc_op *op, PyObject *callable, PyObject *const *args, Py_ssize_t count)
{
    static const char *const reading[] = {
        "__getitem__", "__len__", "__contains__", "__iter__", "__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__",
        "__repr__", "__str__", "__hash__", "__bool__", "__getattribute__", "__add__", "__or__", "__and__", "__sub__", NULL};
    PyObject *self = NULL, *name = NULL;
    if (Py_IS_TYPE(callable, &PyWrapperDescr_Type)) {
        self = Py_XNewRef(count > 0 ? args[0] : NULL);
        name = Py_NewRef(((PyDescrObject *)callable)->d_name);
    }
    else if (strcmp(Py_TYPE(callable)->tp_name, "method-wrapper") == 0) {
        self = PyObject_GetAttrString(callable, "__self__");
        name = PyObject_GetAttrString(callable, "__name__");
        PyErr_Clear();
    }
    else {
        return 0;
    }
    int kind = FTC_WRITE;
    for (int i = 0; name != NULL && reading[i] != NULL; i++) {
        kind = PyUnicode_EqualToUTF8(name, reading[i]) ? FTC_READ : kind;
    }
    if (self != NULL) {
        on(op, kind, self, NULL);
    }
    looks_into(op, args, count, 0);
    Py_XDECREF(name);
    Py_XDECREF(self);                                  /* the callable has it */
    return 1;
}

static void
call_of_python(ftc_op *op, PyObject *callable, PyObject *const *args, Py_ssize_t count)
{
    if (PyMethod_Check(callable)) {
        PyObject *all[5] = {PyMethod_GET_SELF(callable)}, *function = PyMethod_GET_FUNCTION(callable);
        for (Py_ssize_t i = 0; i < count && i < 4; i++) {
            all[i + 1] = args[i];
        }
        if (PyFunction_Check(function)) {
            call_of_function(op, function, all, 1 + (count < 4 ? count : 4));
        }
    }
    else if (PyFunction_Check(callable)) {
        call_of_function(op, callable, args, count);
    }
    else if (PyType_Check(callable)) {                 /* list(x), zip(x, y), Counter(x) */
        PyObject *init = _PyType_LookupRef((PyTypeObject *)callable, &_Py_ID(__init__));
        if (init == NULL || !PyFunction_Check(init) || !is_in_scope(init)) {
            looks_into(op, args, count, 0);
        }
        Py_XDECREF(init);
    }
    else if (!call_of_slot(op, callable, args, count)) {
        PyObject *method = _PyType_LookupRef(Py_TYPE(callable), &_Py_ID(__call__));
        if (method != NULL && !PyFunction_Check(method)) {
            on(op, FTC_WRITE, callable, NULL);         /* it may keep something: functools.lru_cache */
            looks_into(op, args, count, 0);
        }
        Py_XDECREF(method);
    }
}

void
ftc_call_operation(ftc_op *op, PyObject *callable, PyObject *const *args, Py_ssize_t nargs)
{
    PyMethodDef *definition = definition_of(callable);
    if (definition == NULL) {
        if (!ftc_call_looks(op, callable, nargs > 0 ? args[0] : NULL)) {
            call_of_python(op, callable, args, nargs);
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
    const entry *e = place_of(definition);
    if (e->definition == NULL) {
        if (method && count > 0 && can_change(all[0])) {
            on(op, FTC_WRITE, all[0], NULL);
        }
        looks_into(op, all, count, !method);
        return;
    }
    if (e->kind != FTC_NOTHING && e->subject < count) {
        on(op, e->kind, all[e->subject], e->key >= 0 && e->key < count ? all[e->key] : NULL);
        op->typed += op->typed && e->blind;
    }
    if (!e->alone) {
        looks_into(op, all, count, 0);
    }
}

int
ftc_call_is_known(PyObject *callable)
{
    PyMethodDef *definition = definition_of(callable);
    if (definition != NULL) {
        const entry *e = place_of(definition);
        return e->definition != NULL && (e->own || e->kind == FTC_READ);
    }
    PyObject *function = PyMethod_Check(callable) ? PyMethod_GET_FUNCTION(callable) : callable;
    return PyFunction_Check(function) && (function == ftc_is_alive || is_in_scope(function));
}

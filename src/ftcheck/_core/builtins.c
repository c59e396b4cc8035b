/* Calls something before a function that is written in C, wherever and however that function is called.
 *
 * Replacing an attribute (os.chdir = ...) misses `from os import chdir`.  But every function object of a builtin reads
 * the C function out of one PyMethodDef, at each call (Objects/methodobject.c; the specialised CALL_BUILTIN_* of
 * Python/bytecodes.c, too).  So that is where we step in: ml_meth points to one of the functions below, one for each
 * entry and calling convention, which calls the callback and then, unless it raised, the original.
 *
 * Entries and callbacks are never freed: a thread may be on its way through them at any time.
 */
#include "core.h"

#define MAX_ENTRIES 64

typedef struct {
    PyMethodDef *definition;
    PyCFunction original;
    PyObject *callback;
} entry;

static entry entries[MAX_ENTRIES];
static int used;
static PyMutex changing;

/* The callback's verdict: 0, or -1 with the exception that the caller of the builtin gets. */
static int
ask(int number, PyObject *const *args, Py_ssize_t nargs, PyObject *names)
{
    PyObject *callback = __atomic_load_n(&entries[number].callback, __ATOMIC_ACQUIRE);
    PyObject *result = PyObject_Vectorcall(callback, args, (size_t)nargs, names);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

static int
ask_with_tuple(int number, PyObject *args, PyObject *names)
{
    PyObject *callback = __atomic_load_n(&entries[number].callback, __ATOMIC_ACQUIRE);
    PyObject *result = PyObject_Call(callback, args, names);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

static PyObject *
plain(int number, PyObject *self, PyObject *arg)
{
    int flags = entries[number].definition->ml_flags, refused;
    if (flags & METH_VARARGS) {
        refused = ask_with_tuple(number, arg, NULL);
    }
    else {
        refused = ask(number, flags & METH_O ? &arg : NULL, flags & METH_O ? 1 : 0, NULL);
    }
    return refused ? NULL : entries[number].original(self, arg);
}

static PyObject *
with_names(int number, PyObject *self, PyObject *args, PyObject *names)
{
    PyCFunctionWithKeywords original = (PyCFunctionWithKeywords)(void (*)(void))entries[number].original;
    return ask_with_tuple(number, args, names) < 0 ? NULL : original(self, args, names);
}

static PyObject *
fast(int number, PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    PyCFunctionFast original = (PyCFunctionFast)(void (*)(void))entries[number].original;
    return ask(number, args, nargs, NULL) < 0 ? NULL : original(self, args, nargs);
}

static PyObject *
fast_with_names(int number, PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *names)
{
    PyCFunctionFastWithKeywords original = (PyCFunctionFastWithKeywords)(void (*)(void))entries[number].original;
    return ask(number, args, nargs, names) < 0 ? NULL : original(self, args, nargs, names);
}

#define ENTRY_POINTS(n) \
    static PyObject *plain_##n(PyObject *self, PyObject *arg) { return plain(n, self, arg); } \
    static PyObject *fast_##n(PyObject *self, PyObject *const *args, Py_ssize_t nargs) \
    { return fast(n, self, args, nargs); } \
    static PyObject *names_##n(PyObject *self, PyObject *args, PyObject *names) \
    { return with_names(n, self, args, names); } \
    static PyObject *fast_names_##n(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *names) \
    { return fast_with_names(n, self, args, nargs, names); }
#define FOR_EACH(X) \
    X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15) \
    X(16) X(17) X(18) X(19) X(20) X(21) X(22) X(23) X(24) X(25) X(26) X(27) X(28) X(29) X(30) X(31) \
    X(32) X(33) X(34) X(35) X(36) X(37) X(38) X(39) X(40) X(41) X(42) X(43) X(44) X(45) X(46) X(47) \
    X(48) X(49) X(50) X(51) X(52) X(53) X(54) X(55) X(56) X(57) X(58) X(59) X(60) X(61) X(62) X(63)
FOR_EACH(ENTRY_POINTS)

static const struct {
    PyCFunction plain, names, fast, fast_names;
} entry_points[MAX_ENTRIES] = {
#define C(name) (PyCFunction)(void (*)(void))name
#define ROW(n) {plain_##n, C(names_##n), C(fast_##n), C(fast_names_##n)},
    FOR_EACH(ROW)
};

static PyCFunction
entry_point(int number, int flags)
{
    switch (flags & (METH_VARARGS | METH_KEYWORDS | METH_NOARGS | METH_O | METH_FASTCALL | METH_METHOD)) {
        case METH_O:
        case METH_NOARGS:
        case METH_VARARGS:
            return entry_points[number].plain;
        case METH_VARARGS | METH_KEYWORDS:
            return entry_points[number].names;
        case METH_FASTCALL:
            return entry_points[number].fast;
        case METH_FASTCALL | METH_KEYWORDS:
            return entry_points[number].fast_names;
        default:                                       /* METH_METHOD: of a class, not of a module */
            return NULL;
    }
}

static int
number_of(PyMethodDef *definition)
{
    for (int number = 0; number < used; number++) {
        if (entries[number].definition == definition) {
            return number;
        }
    }
    return -1;
}

static int
hook(PyMethodDef *definition, PyObject *callback)
{
    int number = number_of(definition);
    if (number < 0) {
        if (used == MAX_ENTRIES) {
            PyErr_Format(PyExc_RuntimeError, "no more than %d builtins can be watched", MAX_ENTRIES);
            return -1;
        }
        if (entry_point(used, definition->ml_flags) == NULL) {
            PyErr_Format(PyExc_TypeError, "%s() has a calling convention that cannot be watched", definition->ml_name);
            return -1;
        }
        number = used;
        entries[number].definition = definition;
        entries[number].original = definition->ml_meth;
        used++;
    }
    __atomic_store_n(&entries[number].callback, Py_NewRef(callback), __ATOMIC_RELEASE);
    __atomic_store_n(&definition->ml_meth, entry_point(number, definition->ml_flags), __ATOMIC_RELEASE);
    return 0;
}

PyObject *
ftc_before_call(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *function, *callback;
    if (!PyArg_ParseTuple(args, "O!O:before_call", &PyCFunction_Type, &function, &callback)) {
        return NULL;
    }
    PyMethodDef *definition = ((PyCFunctionObject *)function)->m_ml;
    int failed = 0;
    PyMutex_Lock(&changing);
    if (callback != Py_None) {
        failed = hook(definition, callback);
    }
    else if (number_of(definition) >= 0) {
        __atomic_store_n(&definition->ml_meth, entries[number_of(definition)].original, __ATOMIC_RELEASE);
    }
    PyMutex_Unlock(&changing);
    if (failed) {
        return NULL;
    }
    Py_RETURN_NONE;
}

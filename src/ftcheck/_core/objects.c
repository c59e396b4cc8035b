/* Operations on an object: on one of its attributes, an item, or all of it.
 *
 * Nothing here may run Python code or change anything.  An operation on an object that no other thread can change, or that
 * Python code of its own will do, is FTC_NOTHING.
 */
#define Py_BUILD_CORE 1
#include "ops.h"
#include "internal/pycore_genobject.h"
#include "internal/pycore_object.h"

int
ftc_is_constant(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    if (PyType_HasFeature(type, Py_TPFLAGS_HEAPTYPE)) {
        return 0;                                      /* most are of a Python class */
    }
    return type == &PyUnicode_Type || type == &PyLong_Type || type == &PyTuple_Type || type == &PyBytes_Type
        || type == &PyFloat_Type || type == &PyBool_Type || type == &PyFrozenSet_Type || type == &PyComplex_Type
        || type == &PyRange_Type || type == &PySlice_Type || type == &PyFunction_Type || type == &PyMethod_Type
        || type == &PyCFunction_Type || type == &PyCode_Type || object == Py_None;
}

/* A key that can be hashed without running Python code, or FTC_WHOLE. */
uintptr_t
ftc_key(PyObject *key)
{
    if (key == NULL || !(PyUnicode_CheckExact(key) || PyLong_CheckExact(key) || PyBool_Check(key))) {
        return FTC_WHOLE;
    }
    return (uintptr_t)PyObject_Hash(key) * 2 + 1;
}

/* Whether a property's code is in scope, or it is another kind of descriptor, with who knows what code. */
static int
has_points(PyObject *descriptor)
{
    int site, arg, known = 1;
    if (Py_IS_TYPE(descriptor, &PyProperty_Type)) {
        PyObject *getter = PyObject_GetAttrString(descriptor, "fget");
        known = getter == NULL || !PyFunction_Check(getter) || ftc_site_at(PyFunction_GET_CODE(getter), 0, &site, &arg);
        Py_XDECREF(getter);
        PyErr_Clear();
    }
    return known;
}

/* An attribute that no code in scope sets can still change where it is the object's own. */
int
ftc_is_its_own(PyObject *owner, PyObject *name)
{
    if (PyModule_Check(owner) || PyType_Check(owner)) {
        return 0;
    }
    PyObject *found = _PyType_LookupRef(Py_TYPE(owner), name);
    int own = found == NULL || name == &_Py_ID(__dict__) || Py_IS_TYPE(found, &PyMemberDescr_Type) || Py_IS_TYPE(found, &PyProperty_Type);
    Py_XDECREF(found);
    return own;
}

void
ftc_attribute(ftc_op *op, int kind, PyObject *owner, PyObject *name)
{
    if (Py_TYPE(owner)->tp_basicsize >= ftc_local_type->tp_basicsize && PyObject_TypeCheck(owner, ftc_local_type)) {
        *op = (ftc_op){.kind = FTC_READ, .object = (uintptr_t)owner, .key = (uintptr_t)name};
        return;                                        /* a write is the thread's own: it disturbs nobody */
    }
    op->key = (uintptr_t)name;
    if (PyModule_CheckExact(owner)) {
        op->object = (uintptr_t)PyModule_GetDict(owner);               /* the module's functions see it as a global */
        op->key = ftc_key(name);
    }
    else {
        op->object = (uintptr_t)owner;
        PyTypeObject *type = PyType_Check(owner) ? (PyTypeObject *)owner : Py_TYPE(owner);
        PyObject *found = _PyType_LookupRef(type, name);
        if (found != NULL && !PyType_Check(owner)) {
            PyTypeObject *kind_of = Py_TYPE(found);
            if (kind_of->tp_descr_get != NULL && kind_of->tp_descr_set == NULL && PyType_HasFeature(kind_of, Py_TPFLAGS_HEAPTYPE)) {
                kind = FTC_WRITE;                                      /* functools.cached_property and its like */
            }
            else if (kind_of->tp_descr_set == NULL) {
                op->also = (uintptr_t)type;                            /* instances without one of their own read that */
                op->also_key = op->key;
            }
            else if (kind_of != &PyMemberDescr_Type && kind_of != &PyGetSetDescr_Type) {
                if (has_points(found)) {
                    kind = FTC_NOTHING;
                }
                else {
                    op->key = FTC_WHOLE;                               /* whatever a property of foreign code looks at */
                }
            }
        }
        Py_XDECREF(found);
    }
    op->place = (uintptr_t)(PyModule_CheckExact(owner) ? owner : (PyObject *)Py_TYPE(owner)) * 31 ^ op->key;
    op->kind = kind;
    if (name == &_Py_ID(__dict__)) {     /* who has that can change all of them */
        op->kind = FTC_WRITE;
        op->key = FTC_WHOLE;
    }
}

/* obj[key], where obj is of a type whose C code does it; `shifts`: what comes after it moves, in a list. */
void
ftc_item(ftc_op *op, int kind, PyObject *container, PyObject *key, int shifts)
{
    if (container == NULL || ftc_is_constant(container)) {
        return;
    }
    op->object = (uintptr_t)container;
    op->key = FTC_WHOLE;
    op->item = ftc_key(key);
    op->place = (uintptr_t)Py_TYPE(container);
    op->kind = kind;
    PyMappingMethods *mapping = Py_TYPE(container)->tp_as_mapping;
    if (PyDict_Check(container) && mapping->mp_ass_subscript == PyDict_Type.tp_as_mapping->mp_ass_subscript) {
        uintptr_t hash = ftc_key(key);
        if (hash != FTC_WHOLE && PyDict_Contains(container, key) == 1) {
            op->key = hash;
        }
        else if (kind == FTC_READ && hash != FTC_WHOLE && PyDict_CheckExact(container)) {
            op->key = hash;                                            /* absent: reading that changes nothing */
        }
        else if (kind == FTC_READ && !PyDict_CheckExact(container)) {
            op->kind = FTC_WRITE;                                      /* __missing__ may put it in */
        }
    }
    else if (PyList_Check(container) && key != NULL && PyLong_CheckExact(key)) {
        int overflow;
        long index = PyLong_AsLongAndOverflow(key, &overflow);
        index += index < 0 ? (long)PyList_GET_SIZE(container) : 0;
        op->item = op->key = shifts ? FTC_WHOLE : (uintptr_t)index * 2 + 1;
    }
    else if (PyType_HasFeature(Py_TYPE(container), Py_TPFLAGS_HEAPTYPE) && PyType_Check(container)) {
        op->kind = FTC_NOTHING;                                        /* Class[int] */
    }
    else if (mapping != NULL && mapping->mp_subscript != NULL && PyType_HasFeature(Py_TYPE(container), Py_TPFLAGS_HEAPTYPE)) {
        PyObject *method = _PyType_LookupRef(Py_TYPE(container), &_Py_ID(__getitem__));
        if (method != NULL && PyFunction_Check(method)) {
            op->kind = FTC_NOTHING;                                    /* its own code has points */
        }
        Py_XDECREF(method);
    }
}

static int
first_container(PyObject *visited, void *found)
{
    if (PyList_Check(visited) || PyDict_Check(visited) || PyAnySet_Check(visited)) {
        *(PyObject **)found = visited;
        return 1;
    }
    return 0;
}

PyObject *
ftc_walked_by(PyObject *iterator)
{
    PyObject *walked = NULL;
    traverseproc traverse = Py_TYPE(iterator)->tp_traverse;
    if (traverse != NULL && !PyType_HasFeature(Py_TYPE(iterator), Py_TPFLAGS_HEAPTYPE) && !PyGen_CheckExact(iterator)) {
        traverse(iterator, first_container, &walked);
    }
    return walked;
}

/* The next item of an iterator: moves that, and reads what it walks. */
void
ftc_next_of(ftc_op *op, PyObject *iterator)
{
    if (iterator == NULL || Py_TYPE(iterator)->tp_iternext == NULL) {
        return;
    }
    op->kind = FTC_WRITE;
    op->object = (uintptr_t)iterator;
    op->key = FTC_WHOLE;
    op->place = (uintptr_t)Py_TYPE(iterator);
    op->also = (uintptr_t)ftc_walked_by(iterator);
    op->also_key = FTC_WHOLE;
}

int
ftc_is_container(PyObject *object)
{
    return PyList_Check(object) || PyDict_Check(object) || PyAnySet_Check(object) || PyByteArray_Check(object);
}

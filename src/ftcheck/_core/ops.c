/* From the operands of an instruction to the operation it is about to do.
 *
 * Called before the instruction is executed, by the thread that executes it: the frame's stack pointer has been saved for
 * the callback, and the operands stand below it (Python/bytecodes.c says in which order; the tests compare every site
 * with what the interpreter of this version does).  Nothing here may run Python code or change anything.
 *
 * An operation on an object that no other thread can change, or that Python code of its own will do, is FTC_NOTHING.
 */
#define Py_BUILD_CORE 1
#include "sched.h"
#include "internal/pycore_interpframe.h"
#include "internal/pycore_genobject.h"
#include "internal/pycore_stackref.h"
#include "internal/pycore_object.h"

static PyObject *
operand(_PyStackRef *top, int depth)                   /* 1: the topmost; NULL where there is none */
{
    _PyStackRef ref = top[-depth];
    return PyStackRef_IsNull(ref) || PyStackRef_IsTaggedInt(ref) ? NULL : PyStackRef_AsPyObjectBorrow(ref);
}

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
static int
is_its_own(PyObject *owner, PyObject *name)
{
    if (PyModule_Check(owner) || PyType_Check(owner)) {
        return 0;
    }
    PyObject *found = _PyType_LookupRef(Py_TYPE(owner), name);
    int own = found == NULL || name == &_Py_ID(__dict__) || Py_IS_TYPE(found, &PyMemberDescr_Type) || Py_IS_TYPE(found, &PyProperty_Type);
    Py_XDECREF(found);
    return own;
}

static void
attribute(ftc_op *op, int kind, PyObject *owner, PyObject *name)
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
static void
item(ftc_op *op, int kind, PyObject *container, PyObject *key, int shifts)
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
static void
next_of(ftc_op *op, PyObject *iterator)
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

static int
is_container(PyObject *object)
{
    return PyList_Check(object) || PyDict_Check(object) || PyAnySet_Check(object) || PyByteArray_Check(object);
}

static void
call(ftc_op *op, _PyStackRef *top, int count)
{
    PyObject *args[4];
    PyObject *callable = operand(top, count + 2), *self = operand(top, count + 1);
    Py_ssize_t given = 0;
    if (self != NULL) {
        args[given++] = self;
    }
    for (int i = 0; i < count && given < 4; i++) {
        args[given++] = operand(top, count - i);
    }
    if (callable != NULL) {
        ftc_call_operation(op, callable, args, given);
    }
    if (callable == NULL || !ftc_call_is_known(callable)) {
        ftc_changes();
    }
}

static void
operation_in(ftc_op *op, int site, int arg, PyCodeObject *code, _PyInterpreterFrame *frame)
{
    _PyStackRef *top = frame->stackpointer;
    PyObject *owner;
    switch (site) {
        case SITE_LOAD_ATTR:
        case SITE_LOAD_OWN:
        case SITE_STORE_ATTR:
        case SITE_DELETE_ATTR:
            owner = operand(top, 1);
            if (site == SITE_LOAD_OWN && owner != NULL && !is_its_own(owner, PyTuple_GET_ITEM(code->co_names, arg))) {
                break;
            }
            if (owner != NULL && !ftc_is_constant(owner)) {
                attribute(op, site == SITE_LOAD_ATTR || site == SITE_LOAD_OWN ? FTC_READ : FTC_WRITE, owner, PyTuple_GET_ITEM(code->co_names, arg));
            }
            break;
        case SITE_GLOBAL_READ:
        case SITE_GLOBAL_WRITE:
        case SITE_DELETE_GLOBAL:
            *op = (ftc_op){.kind = site == SITE_GLOBAL_READ ? FTC_READ : FTC_WRITE, .object = (uintptr_t)frame->f_globals,
                           .key = ftc_key(PyTuple_GET_ITEM(code->co_names, arg))};   /* as globals()[name] has it */
            op->place = op->object * 31 ^ op->key;
            break;
        case SITE_CELL_READ:
        case SITE_CELL_WRITE:
        case SITE_DELETE_CELL:
            *op = (ftc_op){.kind = site == SITE_CELL_READ ? FTC_READ : FTC_WRITE,
                           .object = (uintptr_t)PyStackRef_AsPyObjectBorrow(frame->localsplus[arg]),
                           .place = (uintptr_t)PyTuple_GET_ITEM(code->co_localsplusnames, arg)};
            break;
        case SITE_GET_ITEM:
            item(op, FTC_READ, operand(top, 2), operand(top, 1), 0);
            break;
        case SITE_SET_ITEM:
        case SITE_DELETE_ITEM:
            item(op, FTC_WRITE, operand(top, 2), operand(top, 1), site == SITE_DELETE_ITEM);
            break;
        case SITE_CONTAINS:
            owner = operand(top, 1);
            if (owner != NULL && PyList_Check(owner)) {
                item(op, FTC_READ, owner, NULL, 0);    /* any of them */
            }
            else {
                item(op, FTC_READ, owner, operand(top, 2), 0);
            }
            break;
        case SITE_SLICE:
            item(op, FTC_READ, operand(top, 3), NULL, 0);
            break;
        case SITE_SET_SLICE:
            item(op, FTC_WRITE, operand(top, 3), NULL, 0);
            break;
        case SITE_NEXT:
            next_of(op, operand(top, 1));
            break;
        case SITE_ITERATE:
            owner = operand(top, 1);
            if (owner != NULL && (PyDict_Check(owner) || PyAnySet_Check(owner)) && !ftc_is_constant(owner)) {
                *op = (ftc_op){.kind = FTC_READ, .object = (uintptr_t)owner, .place = (uintptr_t)Py_TYPE(owner)};
            }
            break;
        case SITE_READ_ONE:
        case SITE_READ_BELOW:
        case SITE_READ_TWO: {
            PyObject *left = site == SITE_READ_TWO ? operand(top, 2) : NULL;
            owner = operand(top, site == SITE_READ_BELOW ? 2 : 1);
            int second = owner != NULL && is_container(owner) && !ftc_is_constant(owner);
            int first = left != NULL && is_container(left) && !ftc_is_constant(left);
            if (first || second) {
                *op = (ftc_op){.kind = FTC_READ, .object = (uintptr_t)(first ? left : owner),
                               .also = (uintptr_t)(first && second ? owner : NULL),
                               .place = (uintptr_t)Py_TYPE(first ? left : owner)};
            }
            break;
        }
        case SITE_IN_PLACE:
            owner = operand(top, 2);
            if (owner != NULL && is_container(owner)) {
                *op = (ftc_op){.kind = FTC_WRITE, .object = (uintptr_t)owner, .place = (uintptr_t)Py_TYPE(owner)};
            }
            break;
        case SITE_CALL:
            call(op, top, arg);
            break;
        case SITE_CALL_KW:
            call(op, top - 1, arg);                    /* the names of the keyword arguments lie on top */
            break;
        case SITE_CALL_EX: {                           /* callable, NULL, arguments, names; arg: these are nobody else's */
            PyObject *callable = operand(top, 4), *all = operand(top, 2), *args[4];
            Py_ssize_t given = 0;
            int is_list = all != NULL && PyList_CheckExact(all);
            Py_ssize_t size = is_list ? PyList_GET_SIZE(all) : all != NULL && PyTuple_CheckExact(all) ? PyTuple_GET_SIZE(all) : 0;
            for (Py_ssize_t i = 0; i < size && i < 4; i++) {
                args[given++] = is_list ? PyList_GET_ITEM(all, i) : PyTuple_GET_ITEM(all, i);
            }
            if (callable != NULL) {
                ftc_call_operation(op, callable, args, given);
            }
            PyObject *unpacked = all != NULL && !PyTuple_CheckExact(all) ? all : operand(top, 1);
            if (arg == 0 && unpacked != NULL && is_container(unpacked) && op->also == 0) {
                int alone = op->kind == FTC_NOTHING;
                op->kind = alone ? FTC_READ : op->kind;
                *(alone ? &op->object : &op->also) = (uintptr_t)unpacked;
            }
            break;
        }
        default:
            op->kind = FTC_READ;                       /* SITE_ANY: a point without an operation */
            break;
    }
}

/* A function returns to code that is not in scope (functools, a C function), which may now store the result somewhere: in
 * what the code in scope has called or looked up there.  By now that instruction's operands may be gone, so what it was
 * about to do was kept, under its frame.  If the result is a container, that code may look at it. */
static ftc_open *
kept_for(const _PyInterpreterFrame *frame)
{
    ftc_worker *me = ftc_my.worker;
    for (unsigned i = 0; i < FTC_OPEN; i++) {          /* the latest first: it is that one nearly always */
        ftc_open *place = &me->open[(me->opened - 1 - i) % FTC_OPEN];
        if (place->frame == frame) {
            return place;
        }
    }
    return NULL;
}

static void
keep(const _PyInterpreterFrame *frame, const ftc_op *op)
{
    ftc_worker *me = ftc_my.worker;
    ftc_open *place = kept_for(frame);
    if (place == NULL) {
        place = &me->open[me->opened++ % FTC_OPEN];    /* instead of the oldest */
    }
    *place = (ftc_open){frame, _PyInterpreterFrame_LASTI(frame) * 2, *op};
}

static void
return_to(ftc_op *op, _PyInterpreterFrame *frame, PyObject *value)
{
    int site, arg, foreign = 0;
    for (int depth = 0; frame != NULL && depth < 6; frame = frame->previous, depth++) {
        if (frame->owner == FRAME_OWNED_BY_INTERPRETER) {
            foreign = 1;                               /* C code in between */
            continue;
        }
        int offset = _PyInterpreterFrame_LASTI(frame) * 2;
        if (!ftc_site_at((PyObject *)_PyFrame_GetCode(frame), offset, &site, &arg)) {
            foreign = 1;
            continue;
        }
        const ftc_open *kept = kept_for(frame);
        if (foreign && kept != NULL && kept->offset == offset) {
            *op = kept->op;
            op->kind = FTC_WRITE;
        }
        break;
    }
    if (foreign && frame != NULL && value != NULL && is_container(value)) {            /* which may look at it */
        int alone = op->kind == FTC_NOTHING;
        op->kind = alone ? FTC_READ : op->kind;
        *(alone ? &op->object : &op->also) = (uintptr_t)value;
        *(alone ? &op->key : &op->also_key) = FTC_WHOLE;
        op->place = alone ? (uintptr_t)Py_TYPE(value) : op->place;
    }
}

static int
changes(int site)
{
    switch (site) {
        case SITE_STORE_ATTR: case SITE_DELETE_ATTR: case SITE_GLOBAL_WRITE: case SITE_DELETE_GLOBAL: case SITE_CELL_WRITE:
        case SITE_DELETE_CELL: case SITE_SET_ITEM: case SITE_DELETE_ITEM: case SITE_SET_SLICE: case SITE_IN_PLACE: case SITE_NEXT:
        case SITE_CALL_EX:
            return 1;
        default:
            return 0;
    }
}

void
ftc_operation(ftc_op *op, int site, int arg, PyCodeObject *code)
{
    *op = (ftc_op){0};
    _PyInterpreterFrame *frame = PyThreadState_GET()->current_frame;
    if (frame == NULL || frame->stackpointer == NULL || _PyFrame_GetCode(frame) != code) {
        return;
    }
    if (site == SITE_AGAIN) {
        ftc_loop_again(frame, arg);
        return;
    }
    if (site == SITE_RETURN) {
        ftc_loop_left(frame);
    }
    if (frame->owner == FRAME_OWNED_BY_GENERATOR && (site == SITE_RETURN || site == SITE_YIELD)) {
        PyObject *generator = (PyObject *)_PyGen_GetGeneratorFromFrame(frame);         /* from here on it can be resumed */
        *op = (ftc_op){.kind = FTC_WRITE, .object = (uintptr_t)generator, .place = (uintptr_t)Py_TYPE(generator)};
        return;
    }
    if (site == SITE_RETURN || site == SITE_YIELD) {
        if (site == SITE_RETURN) {
            return_to(op, frame->previous, operand(frame->stackpointer, 1));
        }
        return;
    }
    operation_in(op, site, arg, code, frame);
    if (changes(site)) {                               /* also where that disturbs nobody: a threading.local */
        ftc_changes();
    }
    if (op->kind != FTC_NOTHING && (site == SITE_CALL || site == SITE_CALL_KW || site == SITE_CALL_EX || site == SITE_LOAD_ATTR
                                    || site == SITE_LOAD_OWN)) {
        keep(frame, op);
    }
}

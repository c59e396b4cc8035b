/* From the operands of an instruction to the operation it is about to do.
 *
 * Called before the instruction is executed, by the thread that executes it: the frame's stack pointer has been saved for
 * the callback, and the operands stand below it (Python/bytecodes.c says in which order; the tests compare every site
 * with what the interpreter of this version does).  Nothing here may run Python code or change anything.
 *
 * An operation on an object that no other thread can change, or that Python code of its own will do, is FTC_NOTHING.
 */
#define Py_BUILD_CORE 1
#include "ops.h"
#include "internal/pycore_genobject.h"

static void
call(ftc_op *op, _PyStackRef *top, int count)
{
    PyObject *args[4];
    PyObject *callable = ftc_operand(top, count + 2), *self = ftc_operand(top, count + 1);
    Py_ssize_t given = 0;
    if (self != NULL) {
        args[given++] = self;
    }
    for (int i = 0; i < count && given < 4; i++) {
        args[given++] = ftc_operand(top, count - i);
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
            owner = ftc_operand(top, 1);
            if (site == SITE_LOAD_OWN && owner != NULL && !ftc_is_its_own(owner, PyTuple_GET_ITEM(code->co_names, arg))) {
                break;
            }
            if (owner != NULL && !ftc_is_constant(owner)) {
                ftc_attribute(op, site == SITE_LOAD_ATTR || site == SITE_LOAD_OWN ? FTC_READ : FTC_WRITE, owner, PyTuple_GET_ITEM(code->co_names, arg));
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
            ftc_item(op, FTC_READ, ftc_operand(top, 2), ftc_operand(top, 1), 0);
            break;
        case SITE_SET_ITEM:
        case SITE_DELETE_ITEM:
            ftc_item(op, FTC_WRITE, ftc_operand(top, 2), ftc_operand(top, 1), site == SITE_DELETE_ITEM);
            break;
        case SITE_CONTAINS:
            owner = ftc_operand(top, 1);
            if (owner != NULL && PyList_Check(owner)) {
                ftc_item(op, FTC_READ, owner, NULL, 0);    /* any of them */
            }
            else {
                ftc_item(op, FTC_READ, owner, ftc_operand(top, 2), 0);
            }
            break;
        case SITE_SLICE:
            ftc_item(op, FTC_READ, ftc_operand(top, 3), NULL, 0);
            break;
        case SITE_SET_SLICE:
            ftc_item(op, FTC_WRITE, ftc_operand(top, 3), NULL, 0);
            break;
        case SITE_NEXT:
            ftc_next_of(op, ftc_operand(top, 1));
            break;
        case SITE_ITERATE:
            owner = ftc_operand(top, 1);
            if (owner != NULL && (PyDict_Check(owner) || PyAnySet_Check(owner)) && !ftc_is_constant(owner)) {
                *op = (ftc_op){.kind = FTC_READ, .object = (uintptr_t)owner, .place = (uintptr_t)Py_TYPE(owner)};
            }
            break;
        case SITE_READ_ONE:
        case SITE_READ_BELOW:
        case SITE_READ_TWO: {
            PyObject *left = site == SITE_READ_TWO ? ftc_operand(top, 2) : NULL;
            owner = ftc_operand(top, site == SITE_READ_BELOW ? 2 : 1);
            int second = owner != NULL && ftc_is_container(owner) && !ftc_is_constant(owner);
            int first = left != NULL && ftc_is_container(left) && !ftc_is_constant(left);
            if (first || second) {
                *op = (ftc_op){.kind = FTC_READ, .object = (uintptr_t)(first ? left : owner),
                               .also = (uintptr_t)(first && second ? owner : NULL),
                               .place = (uintptr_t)Py_TYPE(first ? left : owner)};
            }
            break;
        }
        case SITE_IN_PLACE:
            owner = ftc_operand(top, 2);
            if (owner != NULL && ftc_is_container(owner)) {
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
            PyObject *callable = ftc_operand(top, 4), *all = ftc_operand(top, 2), *args[4];
            Py_ssize_t given = 0;
            int is_list = all != NULL && PyList_CheckExact(all);
            Py_ssize_t size = is_list ? PyList_GET_SIZE(all) : all != NULL && PyTuple_CheckExact(all) ? PyTuple_GET_SIZE(all) : 0;
            for (Py_ssize_t i = 0; i < size && i < 4; i++) {
                args[given++] = is_list ? PyList_GET_ITEM(all, i) : PyTuple_GET_ITEM(all, i);
            }
            if (callable != NULL) {
                ftc_call_operation(op, callable, args, given);
            }
            PyObject *unpacked = all != NULL && !PyTuple_CheckExact(all) ? all : ftc_operand(top, 1);
            if (arg == 0 && unpacked != NULL && ftc_is_container(unpacked) && op->also == 0) {
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
            ftc_return_to(op, frame->previous, ftc_operand(frame->stackpointer, 1));
        }
        return;
    }
    operation_in(op, site, arg, code, frame);
    if (changes(site)) {                               /* also where that disturbs nobody: a threading.local */
        ftc_changes();
    }
    if (op->kind != FTC_NOTHING && (site == SITE_CALL || site == SITE_CALL_KW || site == SITE_CALL_EX || site == SITE_LOAD_ATTR
                                    || site == SITE_LOAD_OWN)) {
        ftc_keep(frame, op);
    }
}

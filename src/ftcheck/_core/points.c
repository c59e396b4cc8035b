/* Scheduling points in Python code: the callback for the INSTRUCTION events of sys.monitoring (PEP 669).
 *
 * Which instructions of a code object are points is decided once, in Python (explore/sites.py), and kept in a table that
 * hangs on the code object (co_extra).  For all others the callback answers DISABLE, and the interpreter calls no more.
 * The event comes before the instruction is executed, with its operands still on the frame's stack, where ops.c reads
 * what the instruction is about to touch.
 */
#define Py_BUILD_CORE 1
#include "sched.h"
#include "internal/pycore_interpframe.h"
#include <stdlib.h>
#include <string.h>

typedef struct {
    Py_ssize_t units;                /* of two bytes */
    uint8_t *site;                   /* enum ftc_site of each */
    uint16_t *arg;
    uint32_t *hot;                   /* the search in which accesses there were last seen to conflict */
} table;

static Py_ssize_t slot = -1;
static PyObject *disable;
static uint32_t this_search = 1;

static table quiet;                  /* hangs on code that starts and ends threads */

static void
free_table(void *extra)
{
    if (extra != NULL && extra != &quiet) {
        free(((table *)extra)->site);
        free(((table *)extra)->hot);
        free(((table *)extra)->arg);
        free(extra);
    }
}

PyObject *
ftc_watch_code(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *code;
    Py_buffer sites, arguments;
    if (!PyArg_ParseTuple(args, "O!y*y*:watch_code", &PyCode_Type, &code, &sites, &arguments)) {
        return NULL;
    }
    table *t = calloc(1, sizeof *t);
    int failed = t == NULL || arguments.len != 2 * sites.len;
    if (!failed) {
        t->units = sites.len;
        t->site = malloc((size_t)sites.len + 1);
        t->hot = calloc((size_t)sites.len + 1, sizeof *t->hot);
        t->arg = malloc((size_t)arguments.len + 1);
        failed = t->site == NULL || t->hot == NULL || t->arg == NULL;
    }
    if (!failed) {
        memcpy(t->site, sites.buf, (size_t)sites.len);
        memcpy(t->arg, arguments.buf, (size_t)arguments.len);
        failed = PyUnstable_Code_SetExtra(code, slot, t) < 0;
    }
    PyBuffer_Release(&sites);
    PyBuffer_Release(&arguments);
    if (failed) {
        free_table(t);
        return PyErr_Occurred() ? NULL : PyErr_NoMemory();
    }
    Py_RETURN_NONE;
}

static PyObject *
instruction(PyObject *Py_UNUSED(self), PyObject *const *args, size_t Py_UNUSED(nargsf), PyObject *Py_UNUSED(names))
{
    void *extra = NULL;
    PyObject *code = args[0];
    if (PyUnstable_Code_GetExtra(code, slot, &extra) < 0 || extra == NULL) {
        PyErr_Clear();
        return Py_NewRef(disable);
    }
    const table *t = extra;
    Py_ssize_t unit = PyLong_AsSsize_t(args[1]) / 2;
    if (unit < 0 || unit >= t->units || t->site[unit] == SITE_NONE) {
        return Py_NewRef(disable);
    }
    ftc_worker *me = ftc_my.worker;
    if (me == NULL || ftc_the.unjoined == 0) {         /* nobody else: what it does now cannot be disturbed */
        Py_RETURN_NONE;
    }
    ftc_op op;
    ftc_operation(&op, t->site[unit], t->arg[unit], (PyCodeObject *)code);
    if (op.kind == FTC_NOTHING) {
        Py_RETURN_NONE;
    }
    if (ftc_enter() < 0) {
        return NULL;
    }
    me->pending = op;
    me->code = code;
    me->offset = (int)unit * 2;
    me->cold = t->hot[unit] != this_search && (op.kind == FTC_READ || op.kind == FTC_WRITE);
    long switches = ftc_the.switches;
    int given_up = ftc_stop(me, FTC_FREE) < 0;
    me->cold = 0;
    if (given_up) {
        ftc_exit();
        return NULL;
    }
    if (ftc_the.switches != switches) {                /* the others may have changed what it is about */
        ftc_operation(&op, t->site[unit], t->arg[unit], (PyCodeObject *)code);
        me->pending = op.kind == FTC_NOTHING ? me->pending : op;
    }
    if (ftc_trace_wants(FTC_LOG_VALUES)) {
        me->value = op.kind == FTC_LOOK ? ftc_look_value(&op) : ftc_value(t->site[unit], t->arg[unit], (PyCodeObject *)code);
    }
    ftc_execute(me);
    ftc_exit();
    Py_RETURN_NONE;
}

int
ftc_site_at(PyObject *code, int offset, int *site, int *arg)
{
    void *extra = NULL;
    if (PyUnstable_Code_GetExtra(code, slot, &extra) < 0 || extra == NULL || extra == &quiet) {
        return 0;
    }
    const table *t = extra;
    int known = offset >= 0 && offset / 2 < t->units;
    *site = known ? t->site[offset / 2] : SITE_NONE;
    *arg = known ? t->arg[offset / 2] : 0;
    return 1;
}

uint32_t
ftc_this_search(void)
{
    return this_search;
}

void
ftc_heat(PyObject *code, int offset)
{
    void *extra = NULL;
#ifdef FTC_NATIVE
    if (code == NULL) {
        ftc_heat_place(offset);
    }
#endif
    if (code != NULL && PyUnstable_Code_GetExtra(code, slot, &extra) == 0 && extra != NULL && extra != &quiet) {
        const table *t = extra;
        if (offset / 2 < t->units) {
            t->hot[offset / 2] = this_search;
        }
    }
}

PyObject *
ftc_cool(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    this_search++;
    ftc_ends_forget();
    Py_RETURN_NONE;
}

PyObject *
ftc_quiet_code(PyObject *Py_UNUSED(module), PyObject *code)
{
    if (!PyCode_Check(code)) {
        return PyErr_Format(PyExc_TypeError, "a code object, not %R", code);
    }
    if (PyUnstable_Code_SetExtra(code, slot, &quiet) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

#define FAR 12                       /* frames: the standard library's blocking calls are not deeper than that */

int
ftc_find_caller(ftc_worker *me)
{
    _PyInterpreterFrame *frame = PyThreadState_GET()->current_frame;
    PyObject *file = NULL;
    int runs = 0;                                      /* a thread's run() is between: what it does is worth watching */
    int found = -1;                                    /* whether it is quiet, once that is known */
    me->code = NULL;
    for (int depth = 0; frame != NULL && depth < FAR; frame = frame->previous) {
        if (frame->owner == FRAME_OWNED_BY_INTERPRETER) {
            continue;                                  /* no Python frame */
        }
        void *extra = NULL;
        PyCodeObject *code = _PyFrame_GetCode(frame);
        if (PyUnstable_Code_GetExtra((PyObject *)code, slot, &extra) == 0 && extra != NULL) {
            if (extra == &quiet) {
                found = found >= 0 ? found : !runs && (file == NULL || file == code->co_filename);
                continue;
            }
            me->code = (PyObject *)code;
            me->offset = _PyInterpreterFrame_LASTI(frame) * 2;
            return found > 0;
        }
        runs |= PyUnicode_EqualToUTF8(code->co_name, "run");
        file = code->co_filename;
        depth++;
    }
    return found > 0;
}

int
ftc_nearest(PyObject **code, int *offset)
{
    _PyInterpreterFrame *frame = PyThreadState_GET()->current_frame;
    for (int depth = 0, site, arg; frame != NULL && depth < FAR; frame = frame->previous) {
        if (frame->owner == FRAME_OWNED_BY_INTERPRETER) {
            continue;
        }
        *code = (PyObject *)_PyFrame_GetCode(frame);
        *offset = _PyInterpreterFrame_LASTI(frame) * 2;
        if (ftc_site_at(*code, *offset, &site, &arg)) {
            return 1;
        }
        depth++;
    }
    return 0;
}

int
ftc_called_in_scope(void)
{
    int site, arg;
    _PyInterpreterFrame *frame = PyThreadState_GET()->current_frame;
    frame = frame == NULL ? NULL : frame->previous;
    if (frame == NULL || frame->owner == FRAME_OWNED_BY_INTERPRETER
        || !ftc_site_at((PyObject *)_PyFrame_GetCode(frame), _PyInterpreterFrame_LASTI(frame) * 2, &site, &arg)) {
        return 0;
    }
    return site == SITE_CALL || site == SITE_CALL_KW || site == SITE_CALL_EX;
}

/* The callback is an object whose type has nothing but this call: a builtin function would cost more than the point does. */
typedef struct {
    PyObject_HEAD
    vectorcallfunc call;
} callback;

static void
callback_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMemberDef callback_members[] = {
    {"__vectorcalloffset__", Py_T_PYSSIZET, offsetof(callback, call), Py_READONLY, NULL}, {NULL},
};
static PyType_Slot callback_slots[] = {
    {Py_tp_call, PyVectorcall_Call}, {Py_tp_members, callback_members}, {Py_tp_dealloc, callback_dealloc},
    {Py_tp_doc, "Called with (code, offset): the monitoring callback of scheduling points."}, {0, NULL},
};
static PyType_Spec callback_spec = {
    .name = "ftcheck._core.Instruction", .basicsize = sizeof(callback),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_DISALLOW_INSTANTIATION, .slots = callback_slots,
};

static int
add_callback(PyObject *module)
{
    PyTypeObject *type = (PyTypeObject *)PyType_FromSpec(&callback_spec);
    callback *self = type == NULL ? NULL : PyObject_New(callback, type);
    if (self == NULL) {
        Py_XDECREF(type);
        return -1;
    }
    Py_DECREF(type);
    self->call = instruction;
    int failed = PyModule_AddObjectRef(module, "instruction", (PyObject *)self);
    Py_DECREF(self);
    return failed;
}

int
ftc_points_init(PyObject *module)
{
    PyObject *monitoring = PySys_GetObject("monitoring");              /* borrowed */
    slot = PyUnstable_Eval_RequestCodeExtraIndex(free_table);
    disable = monitoring == NULL ? NULL : PyObject_GetAttrString(monitoring, "DISABLE");
    if (slot < 0) {
        PyErr_SetString(PyExc_RuntimeError, "no more data can be kept on code objects");
    }
    return slot < 0 || disable == NULL ? -1 : add_callback(module);
}

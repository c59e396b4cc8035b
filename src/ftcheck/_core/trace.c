/* What happened in a run, for those who ask: its switches, its decisions, its operations.
 *
 * The switches are the schedule: what plan.c needs to run it again.  A choice that plan.c would make by itself is not noted.
 */
#include "sched.h"
#include <stdlib.h>

typedef struct { int thread, why, to; long step; PyObject *code; int offset; } change;
typedef struct { int thread, why, chosen; long step; uint64_t enabled; long op; } decision;

#define GROWING(type, name) static type *name; static long name##_used, name##_room
GROWING(change, changes);
GROWING(decision, decisions);
GROWING(ftc_event, events);
GROWING(ftc_waiting, waits);
static int wanted, incomplete;
static PyTypeObject *deque_type, *event_type;
PyTypeObject *ftc_local_type;
PyObject *ftc_is_alive;

static void *
grow(void *array, long *room, size_t size)
{
    long more = *room ? *room * 2 : 256;
    void *bigger = realloc(array, (size_t)more * size);
    if (bigger == NULL) {
        incomplete = 1;
        return array;
    }
    *room = more;
    return bigger;
}

#define APPEND(name, ...) do { \
    if (name##_used == name##_room) { name = grow(name, &name##_room, sizeof *name); } \
    if (name##_used < name##_room) { name[name##_used++] = __VA_ARGS__; } } while (0)

void
ftc_trace_reset(int what)
{
    for (long i = 0; i < events_used; i++) {
        Py_XDECREF(events[i].value);
    }
    wanted = what;
    changes_used = decisions_used = events_used = waits_used = 0;
    incomplete = 0;
    if (wanted & FTC_LOG_OPS) {
        ftc_follow_births();
    }
}

void
ftc_trace_no_more(void)
{
    wanted = 0;
}

void
ftc_trace_end(void)
{
    ftc_forget_births();
}

/* An object by which threads pass each other things: to look at it is to hear of those who changed it. */
static int
passes_on(const ftc_op *op)
{
    PyObject *object = (PyObject *)op->object;
    if ((op->kind != FTC_READ && op->kind != FTC_WRITE) || object == NULL) {
        return 0;
    }
    return PyList_Check(object) || PyDict_Check(object) || PyAnySet_Check(object) || PyByteArray_Check(object)
        || PyObject_TypeCheck(object, deque_type) || PyObject_TypeCheck(object, event_type);
}

void
ftc_trace_switch(ftc_worker *from, int to, enum ftc_why why)
{
    if (wanted & FTC_LOG_SWITCHES) {
        APPEND(changes, (change){.thread = from->id, .why = why, .to = to, .step = from->step, .code = from->code, .offset = from->offset});
    }
}

void
ftc_trace_decision(ftc_worker *me, uint64_t enabled, int chosen, enum ftc_why why)
{
    if (wanted & FTC_LOG_DECISIONS) {
        APPEND(decisions, (decision){me->id, why, chosen, me->step, enabled, events_used});
    }
}

/* It leaves something changed, apart from who has which lock. */
static int
is_deed(const ftc_op *op)
{
    switch (op->kind) {
        case FTC_NOTHING: case FTC_READ: case FTC_CLOCK: case FTC_LOOK: case FTC_ACQUIRE: case FTC_RELEASE: case FTC_TRY:
            return op->also_writes;
        default:
            return 1;
    }
}

void
ftc_trace_op(ftc_worker *me)
{
    ftc_the.deeds += is_deed(&me->pending);
    if (wanted & FTC_LOG_OPS && !ftc_the.abandoning) {
        ftc_event e = {me->id, me->offset, !me->in_extension && passes_on(&me->pending), me->step, me->pending, me->code, me->value, ftc_the.before};
        ftc_identify(&e.op);
        APPEND(events, e);
        me->value = NULL;                              /* the log's from now on */
    }
}

void
ftc_trace_value(long event, PyObject *value, int only_read)
{
    if (wanted & FTC_LOG_VALUES && event < events_used && events[event].value == NULL) {
        events[event].value = Py_NewRef(value);
        events[event].op.kind = only_read ? FTC_READ : events[event].op.kind;
    }
}

/* Time passes, because nobody can run: what each of those who wait was about to do. */
void
ftc_trace_time(void)
{
    if (!(wanted & FTC_LOG_OPS) || ftc_the.abandoning) {
        return;
    }
    for (int i = 0; i < ftc_the.workers; i++) {
        const ftc_worker *w = &ftc_workers[i];
        if (ftc_the.live & FTC_BIT(i) && w->wait != FTC_RUNS) {
            ftc_waiting one = {events_used, i, w->pending};
            ftc_identify(&one.op);
            APPEND(waits, one);
        }
    }
    int whose = events_used > 0 ? events[events_used - 1].thread : 0;  /* nobody's, so it is no turn of another thread */
    APPEND(events, (ftc_event){.thread = whose, .op = {.kind = FTC_CLOCK, .typed = 2}});
}

const ftc_waiting *
ftc_waits(long *count)
{
    *count = waits_used;
    return waits;
}

int
ftc_trace_wants(int what)
{
    return wanted & what;
}

const ftc_event *
ftc_events(long *count)
{
    *count = events_used;
    return events;
}

int
ftc_trace_init(PyObject *Py_UNUSED(module))
{
    deque_type = (PyTypeObject *)PyImport_ImportModuleAttrString("collections", "deque");      /* kept for good */
    event_type = (PyTypeObject *)PyImport_ImportModuleAttrString("threading", "Event");
    ftc_local_type = (PyTypeObject *)PyImport_ImportModuleAttrString("_thread", "_local");
    PyObject *thread = PyImport_ImportModuleAttrString("threading", "Thread");
    ftc_is_alive = thread == NULL ? NULL : PyObject_GetAttrString(thread, "is_alive");
    Py_XDECREF(thread);
    return ftc_is_alive == NULL || ftc_local_type == NULL || deque_type == NULL || event_type == NULL ? -1 : 0;
}

#define ADD(list, ...) do { \
    PyObject *row = Py_BuildValue(__VA_ARGS__); \
    failed = row == NULL || PyList_Append(list, row) < 0; \
    Py_XDECREF(row); } while (0)

PyObject *
ftc_switches(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    PyObject *rows = PyList_New(0);
    int failed = rows == NULL;
    for (long i = 0; !failed && i < changes_used; i++) {
        change *c = &changes[i];
        ADD(rows, "(ilii)", c->thread, c->step, c->why, c->to);
    }
    if (failed) {
        Py_CLEAR(rows);
    }
    return rows;
}

/* (switches, decisions, operations, complete) */
PyObject *
ftc_trace(PyObject *module, PyObject *Py_UNUSED(ignored))
{
    PyObject *switches = ftc_switches(module, NULL), *choices = PyList_New(0), *ops = PyList_New(0);
    int failed = switches == NULL || choices == NULL || ops == NULL;
    for (long i = 0; !failed && i < decisions_used; i++) {
        decision *d = &decisions[i];
        ADD(choices, "(iliKil)", d->thread, d->step, d->why, (unsigned long long)d->enabled, d->chosen, d->op);
    }
    for (long i = 0; !failed && i < events_used; i++) {
        ftc_event *e = &events[i];
        ADD(ops, "(iliiKKKKKOiO)", e->thread, e->step, e->op.kind, e->op.typed, (unsigned long long)e->op.object,
            (unsigned long long)e->op.key, (unsigned long long)e->op.also, (unsigned long long)e->op.also_key,
            (unsigned long long)e->op.place, e->code == NULL ? Py_None : e->code, e->offset,
            e->value == NULL ? Py_None : e->value);
    }
    if (failed) {
        Py_XDECREF(switches);
        Py_XDECREF(choices);
        Py_XDECREF(ops);
        return NULL;
    }
    return Py_BuildValue("NNNi", switches, choices, ops, !incomplete);
}

/* Where in the code each of the switches was made: (code, offset). */
PyObject *
ftc_places_of_switches(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    PyObject *rows = PyList_New(0);
    int failed = rows == NULL;
    for (long i = 0; !failed && i < changes_used; i++) {
        ADD(rows, "(Oi)", changes[i].code == NULL ? Py_None : changes[i].code, changes[i].offset);
    }
    if (failed) {
        Py_CLEAR(rows);
    }
    return rows;
}

/* What each thread was about to do when the run was given up: rows like those of the log. */
PyObject *
ftc_unfinished(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    PyObject *rows = PyList_New(0);
    int failed = rows == NULL;
    for (int i = 0; !failed && ftc_the.outcome != FTC_COMPLETE && i < ftc_the.workers; i++) {
        const ftc_worker *w = &ftc_workers[i];
        if (w->unfinished.kind == FTC_NOTHING) {
            continue;
        }
        ADD(rows, "(iliiKKKKKOiO)", w->id, w->step, w->unfinished.kind, w->unfinished.typed,
            (unsigned long long)w->unfinished.object, (unsigned long long)w->unfinished.key,
            (unsigned long long)w->unfinished.also, (unsigned long long)w->unfinished.also_key,
            (unsigned long long)w->unfinished.place, w->unfinished_code == NULL ? Py_None : w->unfinished_code,
            w->unfinished_offset, Py_None);
    }
    if (failed) {
        Py_CLEAR(rows);
    }
    return rows;
}

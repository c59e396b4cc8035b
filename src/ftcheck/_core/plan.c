/* Replay: an explicit schedule, as a list of (thread, step, why, to).
 *
 * Without an entry a thread goes on as long as it can, and then the lowest-numbered one that can run follows: the run
 * without preemptions.  An entry says otherwise for one decision, which is named by the thread that decides and its own
 * count of points, so that dropping one entry does not move the others.  An entry that cannot be followed (its thread
 * cannot run there) is passed over and counted.  Where each entry was met, or why it was not, is noted: a schedule that
 * leads another way than it did once has to be explained (explore/divergence.py).
 */
#include "sched.h"
#include <stdlib.h>

typedef struct { long step; int why, to; Py_ssize_t number; } change;

enum meeting { NOT_REACHED, MET, CANNOT_RUN, OTHERWISE };    /* OTHERWISE: no such decision was to be made there */
typedef struct { enum meeting how; PyObject *code; int offset; long step; } met;       /* code: borrowed */

static change *changes[FTC_MAX_WORKERS];
static int count[FTC_MAX_WORKERS], next[FTC_MAX_WORKERS];
static long ignored;
static met *meetings;                /* one for each entry */
static Py_ssize_t entries;

static int
prepare(PyObject *parameters)
{
    for (int i = 0; i < FTC_MAX_WORKERS; i++) {
        count[i] = next[i] = 0;
    }
    ignored = 0;
    Py_ssize_t size = PyList_Check(parameters) ? PyList_GET_SIZE(parameters) : 0;
    free(meetings);
    meetings = calloc((size_t)size + 1, sizeof *meetings);
    entries = meetings == NULL ? 0 : size;
    if (meetings == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (int pass = 0; pass < 2; pass++) {             /* the first counts, the second fills */
        for (Py_ssize_t i = 0; i < size; i++) {
            int thread;
            change c;
            if (!PyArg_ParseTuple(PyList_GET_ITEM(parameters, i), "ilii:change", &thread, &c.step, &c.why, &c.to)) {
                return -1;
            }
            if (thread < 0 || thread >= FTC_MAX_WORKERS || c.to < 0 || c.to >= FTC_MAX_WORKERS) {
                PyErr_SetString(PyExc_ValueError, "a schedule names a thread that there cannot be");
                return -1;
            }
            c.number = i;
            if (pass == 1) {
                changes[thread][next[thread]++] = c;
            }
            else {
                count[thread]++;
            }
        }
        for (int i = 0; i < FTC_MAX_WORKERS; i++) {
            if (pass == 0 && count[i] > 0) {
                free(changes[i]);
                changes[i] = malloc((size_t)count[i] * sizeof(change));
                if (changes[i] == NULL) {
                    PyErr_NoMemory();
                    return -1;
                }
            }
            next[i] = 0;
        }
    }
    return 0;
}

/* Who goes on where no entry says otherwise. */
int
ftc_unplanned(ftc_worker *me, uint64_t enabled, enum ftc_why why)
{
    if (why == FTC_YIELDED) {
        return ftc_after(enabled & ~FTC_BIT(me->id), me->id);
    }
    return why == FTC_FREE ? me->id : ftc_lowest(enabled);
}

static void
note(const change *c, const ftc_worker *me, enum meeting how)
{
    if (meetings[c->number].how == NOT_REACHED || how == MET) {        /* one point may have several decisions */
        meetings[c->number] = (met){how, me->code, me->offset, me->step};
    }
}

/* The thread has passed it by.  The point before its end has a higher number than the decision after its end: see ends.c. */
static int
is_past(const change *c, const ftc_worker *me, enum ftc_why why)
{
    int before_end = me->pending.kind == FTC_END && why == FTC_FREE;
    return c->step < me->step && !(before_end && c->step == me->step - 1 && c->why == FTC_FINISHED);
}

static int
choose(ftc_worker *me, uint64_t enabled, enum ftc_why why)
{
    int id = me->id;
    while (next[id] < count[id] && is_past(&changes[id][next[id]], me, why)) {
        note(&changes[id][next[id]++], me, OTHERWISE); /* a place that this run did not come to */
        ignored++;
    }
    if (next[id] < count[id]) {
        const change *c = &changes[id][next[id]];
        if (c->step == me->step && (c->why == (int)why || (c->why == FTC_FREE && why == FTC_YIELDED))) {
            next[id]++;
            note(c, me, enabled & FTC_BIT(c->to) ? MET : CANNOT_RUN);
            if (enabled & FTC_BIT(c->to)) {
                return c->to;
            }
            ignored++;
        }
        else if (c->step == me->step) {
            note(c, me, OTHERWISE);
        }
    }
    return ftc_unplanned(me, enabled, why);
}

PyObject *
ftc_unmatched(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(nothing))
{
    long left = ignored;
    for (int i = 0; i < FTC_MAX_WORKERS; i++) {
        left += count[i] - next[i];
    }
    return PyLong_FromLong(left);
}

PyObject *
ftc_meetings(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(nothing))
{
    PyObject *rows = PyList_New(0);
    for (Py_ssize_t i = 0; rows != NULL && i < entries; i++) {
        const met *m = &meetings[i];
        PyObject *row = Py_BuildValue("(iOil)", (int)m->how, m->code == NULL ? Py_None : m->code, m->offset, m->step);
        if (row == NULL || PyList_Append(rows, row) < 0) {
            Py_CLEAR(rows);
        }
        Py_XDECREF(row);
    }
    return rows;
}

/* An entry names the point before its end. */
static int
stops_at(const ftc_worker *who, enum ftc_kind Py_UNUSED(kind))
{
    int k = next[who->id], last = count[who->id];
    for (; k < last && changes[who->id][k].step <= who->step; k++) {}
    return k < last && changes[who->id][k].step == who->step + 1 && changes[who->id][k].why == FTC_FREE;
}

const ftc_policy ftc_plan = {"plan", prepare, choose, NULL, NULL, stops_at};

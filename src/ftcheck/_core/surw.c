/* SURW: Zhao, Wolff, Mathur, Roychoudhury: Selectively uniform concurrency testing (ASPLOS 2025).
 * Parameters: (place, [events of each thread], order): the place (ftc_place: a class's attribute, a kind of lock) whose
 * accesses are to be ordered uniformly, how many of them each thread had in an earlier run, and the order of their threads
 * that is to be tried, as bytes.  Place 0: every operation.
 *
 * The order is drawn from all of them with the same probability (explore/strategies/surw.py); everything else goes by
 * random priorities.  Where it cannot be followed, or has come to its end, the thread that does the next of these operations
 * is drawn with a probability proportional to how many it has left, as in the paper.
 *
 * Deviations: a place stands for one object in the paper; here it stands for all objects that are alike, because objects
 * are others in each run.  The counts are those of the run with the most operations so far.  A thread that yields, or
 * stays for long while others wait, comes last once.
 */
#include "sched.h"
#include <string.h>

static uintptr_t place;
static long counts[FTC_MAX_WORKERS];
static uint8_t order[4096];
static int length, at;
static int wanted;                   /* the thread that is to do the next selected operation, or -1 */
static uint64_t held;                /* those that stand before one and are not wanted */

static int
prepare(PyObject *parameters)
{
    PyObject *list;
    unsigned long long chosen;
    const char *letters;
    Py_ssize_t size;
    if (!PyArg_ParseTuple(parameters, "KO!y#:surw", &chosen, &PyList_Type, &list, &letters, &size)) {
        return -1;
    }
    length = (int)(size < (Py_ssize_t)sizeof order ? size : (Py_ssize_t)sizeof order);
    memcpy(order, letters, (size_t)length);
    at = 0;
    place = (uintptr_t)chosen;
    for (int i = 0; i < FTC_MAX_WORKERS; i++) {
        counts[i] = i < PyList_GET_SIZE(list) ? PyLong_AsLong(PyList_GET_ITEM(list, i)) : 1;
    }
    wanted = -1;
    held = 0;
    return PyErr_Occurred() ? -1 : 0;
}

static void
born(ftc_worker *who, ftc_worker *parent)
{
    who->priority = ftc_uniform();
    who->left = counts[who->id];
    if (parent != NULL) {              /* what a parent's unborn children will do counted as its own */
        if (wanted == parent->id && ftc_uniform() * (double)(parent->left > 0 ? parent->left : 1) < (double)who->left) {
            wanted = who->id;
        }
    }
}

static int
selected(const ftc_worker *w)
{
    if (w->pending.kind != FTC_READ && w->pending.kind != FTC_WRITE && w->pending.kind != FTC_ACQUIRE) {
        return 0;
    }
    return place == 0 || w->pending.place == place;
}

/* `id` has done one of these operations: its next turn in the order is over, whether it was the first or not. */
static void
strike_out(int id)
{
    for (int i = at; i < length; i++) {
        if (order[i] == id) {
            memmove(&order[at + 1], &order[at], (size_t)(i - at));
            at++;
            return;
        }
    }
}

static void
draw_wanted(uint64_t enabled)
{
    if (at < length && order[at] < FTC_MAX_WORKERS && enabled & FTC_BIT(order[at])) {
        wanted = order[at];
        return;
    }
    double total = 0;
    for (uint64_t set = enabled; set != 0; set &= set - 1) {
        ftc_worker *w = &ftc_workers[ftc_lowest(set)];
        total += (double)(w->left > 0 ? w->left : 0);
    }
    double dice = ftc_uniform() * total;
    for (uint64_t set = enabled; set != 0; set &= set - 1) {
        ftc_worker *w = &ftc_workers[ftc_lowest(set)];
        dice -= (double)(w->left > 0 ? w->left : 0);
        if (w->left > 0 && dice < 0) {
            wanted = w->id;
            return;
        }
    }
    wanted = ftc_pick(enabled);
}

static int
choose(ftc_worker *me, uint64_t enabled, enum ftc_why why)
{
    if (why == FTC_YIELDED) {
        enabled &= ~FTC_BIT(me->id);
        me->priority = 0;
        held = 0;
        wanted = -1;
    }
    for (;;) {
        uint64_t candidates = enabled & ~held;
        if (candidates == 0) {
            held = 0;
            wanted = -1;
            continue;
        }
        int t = ftc_most_urgent(candidates);
        if (!selected(&ftc_workers[t])) {
            return t;
        }
        if (ftc_workers[t].left < 1) {
            ftc_workers[t].left = 1;
        }
        if (wanted < 0 || !(enabled & FTC_BIT(wanted))) {
            draw_wanted(enabled);
        }
        if (t == wanted) {
            return t;
        }
        held |= FTC_BIT(t);
    }
}

static void
executes(ftc_worker *who)
{
    if (selected(who)) {
        who->left--;
        strike_out(who->id);
        if (wanted == who->id) {
            wanted = -1;
            held = 0;
        }
    }
    who->priority = ftc_uniform();
}

const ftc_policy ftc_surw = {"surw", prepare, choose, born, executes, 0};

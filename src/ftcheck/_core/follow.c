/* Follows the order of an earlier run's operations, or that order with two of them reversed (races.c makes it).
 *
 * The order is a list of (thread, step).  Whoever comes next in it and can run goes on.  Behind a reversal a run may go
 * another way than the one whose order it is: what cannot be followed is passed over, and behind the list's end nobody is
 * preempted.
 */
#include "sched.h"

static PyObject *order;              /* bytes: an array of ftc_place */
static const ftc_place *places;
static long count, at;
static long last[FTC_MAX_WORKERS];   /* the last step that each thread has executed */

#define FAR 1000                     /* places that are looked ahead, past those who cannot run */

static int
prepare(PyObject *parameters)
{
    if (!PyBytes_Check(parameters) || PyBytes_GET_SIZE(parameters) % (Py_ssize_t)sizeof(ftc_place) != 0) {
        PyErr_SetString(PyExc_TypeError, "an order as reversal() gives it");
        return -1;
    }
    Py_XSETREF(order, Py_NewRef(parameters));
    places = (const ftc_place *)PyBytes_AS_STRING(order);
    count = PyBytes_GET_SIZE(order) / (Py_ssize_t)sizeof(ftc_place);
    at = 0;
    for (long i = 0; i < count; i++) {
        if (places[i].thread < 0 || places[i].thread >= FTC_MAX_WORKERS) {
            PyErr_SetString(PyExc_ValueError, "an order names a thread that there cannot be");
            return -1;
        }
    }
    for (int i = 0; i < FTC_MAX_WORKERS; i++) {
        last[i] = -1;
    }
    return 0;
}

/* Threads that there are not yet have everything before them. */
static int
is_past(const ftc_place *p)
{
    const ftc_worker *w = &ftc_workers[p->thread];
    return p->thread < ftc_the.workers && (w->wait == FTC_ENDED || last[p->thread] >= p->step || w->step > p->step);
}

static int
choose(ftc_worker *me, uint64_t enabled, enum ftc_why why)
{
    uint64_t others = enabled & ~FTC_BIT(me->id);
    uint64_t can = why == FTC_YIELDED && others ? others : enabled;
    while (at < count && is_past(&places[at])) {
        at++;
    }
    for (long i = at; i < count && i < at + FAR; i++) {
        if (can & FTC_BIT(places[i].thread) && !is_past(&places[i])) {
            return (int)places[i].thread;
        }
    }
    return ftc_unplanned(me, enabled, why);
}

static void
executes(ftc_worker *who)
{
    last[who->id] = who->step;
}

const ftc_policy ftc_follow = {"follow", prepare, choose, NULL, executes, 0};

/* POS: Yuan, Yang, Gu: Partial order aware concurrency sampling (CAV 2018).  No parameters.
 *
 * Every pending operation gets a random priority; the most urgent one is executed.  Then those that are dependent with it
 * draw again, so that the order of two dependent operations is decided anew each time, and the order of independent ones,
 * which does not matter, costs nothing.
 *
 * Deviation: a thread that yields, or stays for long while others wait, comes last once (PCT's, see pct.c).
 */
#include "sched.h"

#define UNSET (-1.0)

static int
prepare(PyObject *Py_UNUSED(parameters))
{
    return 0;
}

static void
born(ftc_worker *who, ftc_worker *Py_UNUSED(parent))
{
    who->priority = ftc_uniform();
}

static int
choose(ftc_worker *me, uint64_t enabled, enum ftc_why why)
{
    if (why == FTC_YIELDED) {
        enabled &= ~FTC_BIT(me->id);
        me->priority = 0;
    }
    for (uint64_t set = enabled; set != 0; set &= set - 1) {
        ftc_worker *w = &ftc_workers[ftc_lowest(set)];
        if (w->priority == UNSET) {
            w->priority = ftc_uniform();
        }
    }
    return ftc_most_urgent(enabled);
}

static void
executes(ftc_worker *who)
{
    for (uint64_t set = ftc_the.enabled; set != 0; set &= set - 1) {
        ftc_worker *w = &ftc_workers[ftc_lowest(set)];
        if (w != who && ftc_dependent(&w->pending, &who->pending)) {
            w->priority = UNSET;
        }
    }
    who->priority = UNSET;
}

const ftc_policy ftc_pos = {"pos", prepare, choose, born, executes, 0};

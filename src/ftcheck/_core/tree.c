/* Systematic search: a tree of decisions, walked depth first by running again from the start each time.
 *
 * A state stands before each operation that is chosen to be next.  A run follows the choices of the states it shares with
 * the run before it, makes a new choice in the last of them, and from there on goes on without preemptions.  Which choices
 * are to be made in a state:
 *
 *   without reduction   everyone who can run, as far as the bound on preemptions allows: brute force, or iterative context
 *                       bounding (Musuvathi, Qadeer: Iterative context bounding for systematic testing of multithreaded
 *                       programs, PLDI 2007), where a choice costs 1 if it stops a thread that could have gone on.
 *   with reduction      those that dpor.c finds necessary; and sleep sets (Godefroid: Partial-order methods for the
 *                       verification of concurrent systems, 1996): a thread whose next operation was explored from this
 *                       state already sleeps until something dependent with it is done.  A thread that goes round a loop
 *                       in which nothing happens cannot run, as it were, until somebody gives it a reason: await.c.
 *
 * Deviations: a thread that stays for long while others wait gives way, at no cost (loops that wait would never end); with a
 * bound there is no reduction, because the two together lose interleavings (Coons, Musuvathi, McKinley: Bounded
 * partial-order reduction, OOPSLA 2013).
 */
#include "sched.h"
#include <stdlib.h>

static ftc_node *nodes;
static long used, room;              /* states of the last run; the first `prefix` of them are to be gone through again */
static long prefix, at;
static int bound, reduce, diverged, running;
static struct { int thread, kind, offset; const PyObject *code; } expected, found;     /* where the last run went another way */
static uint64_t asleep, waiting;     /* waiting: who was not to be chosen at the last decision */

PyObject *
ftc_tree_reset(PyObject *Py_UNUSED(module), PyObject *args)
{
    if (!PyArg_ParseTuple(args, "ip:tree_reset", &bound, &reduce)) {
        return NULL;
    }
    used = prefix = 0;
    Py_RETURN_NONE;
}

static int
prepare(PyObject *Py_UNUSED(parameters))
{
    at = 0;
    asleep = waiting = 0;
    ftc_await_reset();
    diverged = 0;
    running = -1;
    used = prefix;
    return 0;
}

static void
diverge(int thread, const ftc_worker *found_one, int known)
{
    if (!diverged) {
        diverged = 1;
        expected.thread = thread, expected.kind = known ? nodes[at].kind : FTC_NOTHING;
        expected.code = known ? nodes[at].code : NULL, expected.offset = known ? nodes[at].offset : 0;
        found.thread = found_one->id, found.kind = found_one->pending.kind;
        found.code = found_one->code, found.offset = found_one->offset;
    }
}

static int
cheapest(uint64_t enabled, ftc_worker *me, enum ftc_why why)
{
    uint64_t awake = enabled & ~asleep;
    if (awake == 0) {
        ftc_give_up(FTC_REDUNDANT);
        return ftc_lowest(enabled);
    }
    int next = enabled == FTC_BIT(me->id) ? me->id : ftc_unplanned(me, enabled, why);
    return awake & FTC_BIT(next) ? next : ftc_lowest(awake);
}

static int
choose(ftc_worker *me, uint64_t enabled, enum ftc_why why)
{
    running = why == FTC_FREE ? me->id : -1;           /* whom it costs to stop */
    waiting = reduce ? ftc_await_those(me) : 0;
    waiting = (enabled & ~waiting) != 0 ? waiting : 0; /* nobody else is there: they wait in vain, which the limit ends */
    if (at >= prefix) {
        return cheapest(enabled & ~waiting, me, why);
    }
    int next = nodes[at].chosen;
    if (!(enabled & FTC_BIT(next))) {
        diverge(next, &ftc_workers[ftc_lowest(enabled)], at < prefix - 1);
        return ftc_lowest(enabled);
    }
    return next;
}

static void
executes(ftc_worker *who)
{
    uint64_t me = FTC_BIT(who->id);
    if (at < prefix) {
        int known = at < prefix - 1;                   /* in the last one another thread is chosen than before */
        if (nodes[at].chosen != who->id || (known && (nodes[at].kind != who->pending.kind || nodes[at].code != who->code
                                                      || nodes[at].offset != who->offset))) {
            diverge(nodes[at].chosen, who, known);
        }
        if (!known) {
            nodes[at].kind = who->pending.kind, nodes[at].code = who->code, nodes[at].offset = who->offset;
        }
        if (at == prefix - 1 && reduce) {
            asleep = (nodes[at].sleep | nodes[at].done) & ~me;
        }
    }
    else {
        if (used == room) {
            long more = room * 2 + 256;
            ftc_node *bigger = realloc(nodes, (size_t)more * sizeof *nodes);
            if (bigger == NULL) {
                ftc_give_up(FTC_TOO_LONG);
                return;
            }
            nodes = bigger;
            room = more;
        }
        int cost = used == 0 ? 0 : nodes[used - 1].cost;
        cost += used > 0 && nodes[used - 1].previous >= 0 && nodes[used - 1].previous != nodes[used - 1].chosen;
        nodes[used++] = (ftc_node){
            .enabled = ftc_the.before & ~waiting, .sleep = asleep, .backtrack = reduce ? me : ftc_the.before, .done = 0,
            .chosen = who->id, .previous = running, .cost = cost,
            .kind = who->pending.kind, .code = who->code, .offset = who->offset,
        };
        if (asleep & me) {
            ftc_give_up(FTC_REDUNDANT);
        }
    }
    at++;
    running = -1;
    waiting = 0;
    if (reduce) {
        ftc_await_executes(who);
    }
    if (asleep != 0) {
        for (uint64_t set = asleep; set != 0; set &= set - 1) {
            int q = ftc_lowest(set);
            if (ftc_dependent(&ftc_workers[q].pending, &who->pending)) {
                asleep &= ~FTC_BIT(q);
            }
        }
    }
}

/* Which choices in this state are within the bound. */
static uint64_t
affordable(const ftc_node *n)
{
    return bound < 0 || n->previous < 0 || n->cost < bound ? FTC_ALL : FTC_BIT(n->previous);
}

PyObject *
ftc_tree_advance(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    if (diverged) {
        Py_RETURN_NONE;
    }
    if (!reduce && ftc_ends_asked() != ftc_the.ends_count) {           /* there are more states than the last runs had */
        used = prefix = 0;
        Py_RETURN_TRUE;
    }
    if (reduce && ftc_dpor_analyse(nodes, used) < 0) {
        return NULL;
    }
    while (used > 0) {
        ftc_node *n = &nodes[used - 1];
        n->done |= FTC_BIT(n->chosen);
        uint64_t left = n->backtrack & n->enabled & ~n->done & ~n->sleep & affordable(n);
        if (left) {
            n->chosen = ftc_lowest(left);
            prefix = used;
            Py_RETURN_TRUE;
        }
        used--;
    }
    prefix = 0;
    Py_RETURN_FALSE;
}

/* Where the last run did not do what its prefix says: what was to come, and what came. */
PyObject *
ftc_tree_divergence(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    if (!diverged) {
        Py_RETURN_NONE;
    }
    return Py_BuildValue("(iiOi)(iiOi)", expected.thread, expected.kind, expected.code == NULL ? Py_None : expected.code,
                         expected.offset, found.thread, found.kind, found.code == NULL ? Py_None : found.code, found.offset);
}

static int
stops_at_end(const ftc_worker *Py_UNUSED(who))
{
    return reduce;                                     /* which makes no choice there that no race asks for */
}

const ftc_policy ftc_tree = {"tree", prepare, choose, NULL, executes, 1, stops_at_end};

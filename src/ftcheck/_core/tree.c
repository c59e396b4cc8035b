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

typedef struct {
    ftc_node *nodes;
    long used, room;                 /* states of the last run; the first `prefix` of them are to be gone through again */
    long prefix;
    int bound, refused;              /* refused: to stay within the bound, some choice was not made */
} tree;

static tree trees[2];                /* one without reduction, one with it: a search may walk both, by turns */
static tree *the = &trees[0];        /* that of the last run, or of this one */
static int reduce;                   /* which it is */
static long at;                      /* of its states, in this run */
static int diverged, running;
static struct { int thread, kind, offset; const PyObject *code; } expected, found;     /* where the last run went another way */
static uint64_t asleep, waiting;     /* waiting: who was not to be chosen at the last decision */

static void
walk(int reducing)
{
    reduce = reducing;
    the = &trees[reducing];
}

PyObject *
ftc_tree_reset(PyObject *Py_UNUSED(module), PyObject *args)
{
    int bound, reducing;
    if (!PyArg_ParseTuple(args, "ip:tree_reset", &bound, &reducing)) {
        return NULL;
    }
    walk(reducing);
    the->bound = bound;
    the->used = the->prefix = the->refused = 0;
    Py_RETURN_NONE;
}

static int
prepare(int reducing)
{
    walk(reducing);
    at = 0;
    asleep = waiting = 0;
    ftc_await_reset();
    diverged = 0;
    running = -1;
    the->used = the->prefix;
    return 0;
}

static int
prepare_bounded(PyObject *Py_UNUSED(parameters))
{
    return prepare(0);
}

static int
prepare_reduced(PyObject *Py_UNUSED(parameters))
{
    return prepare(1);
}

static void
diverge(int thread, const ftc_worker *found_one, int known)
{
    if (!diverged) {
        diverged = 1;
        const ftc_node *n = &the->nodes[at];
        expected.thread = thread, expected.kind = known ? n->kind : FTC_NOTHING;
        expected.code = known ? n->code : NULL, expected.offset = known ? n->offset : 0;
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
    if (at >= the->prefix) {
        return cheapest(enabled & ~waiting, me, why);
    }
    int next = the->nodes[at].chosen;
    if (!(enabled & FTC_BIT(next))) {
        diverge(next, &ftc_workers[ftc_lowest(enabled)], at < the->prefix - 1);
        return ftc_lowest(enabled);
    }
    return next;
}

static void
executes(ftc_worker *who)
{
    uint64_t me = FTC_BIT(who->id);
    if (at < the->prefix) {
        ftc_node *n = &the->nodes[at];
        int known = at < the->prefix - 1;              /* in the last one another thread is chosen than before */
        if (n->chosen != who->id
            || (known && (n->kind != who->pending.kind || n->code != who->code || n->offset != who->offset))) {
            diverge(n->chosen, who, known);
        }
        if (!known) {
            n->kind = who->pending.kind, n->code = who->code, n->offset = who->offset;
        }
        if (at == the->prefix - 1 && reduce) {
            asleep = (n->sleep | n->done) & ~me;
        }
    }
    else {
        if (the->used == the->room) {
            long more = the->room * 2 + 256;
            ftc_node *bigger = realloc(the->nodes, (size_t)more * sizeof *the->nodes);
            if (bigger == NULL) {
                ftc_give_up(FTC_TOO_LONG);
                return;
            }
            the->nodes = bigger;
            the->room = more;
        }
        const ftc_node *last = the->used == 0 ? NULL : &the->nodes[the->used - 1];
        int cost = last == NULL ? 0 : last->cost + (last->previous >= 0 && last->previous != last->chosen);
        the->nodes[the->used++] = (ftc_node){
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
    return the->bound < 0 || n->previous < 0 || n->cost < the->bound ? FTC_ALL : FTC_BIT(n->previous);
}

PyObject *
ftc_tree_advance(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    if (diverged) {
        Py_RETURN_NONE;
    }
    if (!reduce && ftc_ends_asked() != ftc_the.ends_count) {           /* there are more states than the last runs had */
        the->used = the->prefix = the->refused = 0;
        Py_RETURN_TRUE;
    }
    if (reduce && ftc_dpor_analyse(the->nodes, the->used) < 0) {
        return NULL;
    }
    while (the->used > 0) {
        ftc_node *n = &the->nodes[the->used - 1];
        n->done |= FTC_BIT(n->chosen);
        uint64_t left = n->backtrack & n->enabled & ~n->done & ~n->sleep, within = left & affordable(n);
        the->refused |= left != within;
        if (within) {
            n->chosen = ftc_lowest(within);
            the->prefix = the->used;
            Py_RETURN_TRUE;
        }
        the->used--;
    }
    the->prefix = 0;
    Py_RETURN_FALSE;
}

PyObject *
ftc_tree_refused(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    return PyBool_FromLong(the->refused);
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
stops_at(const ftc_worker *Py_UNUSED(who), enum ftc_kind kind)
{
    return kind == FTC_RELEASE || kind == FTC_CLOCK || reduce;              /* which makes no choice at an end that no race asks for */
}

const ftc_policy ftc_bounded = {"bounded", prepare_bounded, choose, NULL, executes, stops_at};
const ftc_policy ftc_dpor = {"dpor", prepare_reduced, choose, NULL, executes, stops_at};

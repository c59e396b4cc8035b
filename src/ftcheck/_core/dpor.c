/* Source-DPOR: which other choices do the races of a run ask for?
 *
 * Abdulla, Aronis, Jonsson, Sagonas: Optimal dynamic partial order reduction (POPL 2014), algorithm 1, with source sets.
 * Two operations race if they are dependent, of different threads, and nothing else orders them.  For a race there has to
 * be a run in which the second comes first, so in the state before the first one of the threads that could lead there must
 * be chosen some time; if none of them is, one is added.
 *
 * Races are those of *pending* operations, before they have heard of what they wait for: an acquisition races with the
 * earlier one of the same lock although that lock's release orders them afterwards.  The operations of threads that are
 * blocked at the end of a run are pending, too; without them no deadlock would be found.
 *
 * Time passes when nobody can run.  That is like an operation of one more thread, which no choice can bring about while
 * anybody else could be chosen: so it races with nothing, and is ordered with everything.  The operations of threads that
 * are blocked then are looked at for races before it.
 */
#include "sched.h"
#include <stdlib.h>
#include <string.h>

typedef struct {
    const ftc_event *event;
    long local;                      /* the thread's how-manieth chosen operation, from 1 */
    long heard[FTC_MAX_WORKERS];     /* how many of each thread's happen before it, itself included */
} step;

static step *steps;
static long room;
static long (*clock_of)[FTC_MAX_WORKERS], (*end_of)[FTC_MAX_WORKERS];

#define THE_CLOCK ((uintptr_t)&ftc_the.clock)

enum { LOCK, TRIES, WRITES, ACCESSES };                /* what orders: a lock or queue, a variable's writes, all its accesses */

static void
hear(long *mine, int kind, uintptr_t object, uintptr_t key)
{
    ftc_hear_all(mine, object, key, kind);
}

static void
tell(const long *mine, int kind, uintptr_t object, uintptr_t key)
{
    ftc_hear(ftc_clock_of(object, key, kind), mine);
}

/* The operation takes place: its thread hears of what it depends on, and tells. */
static void
happen(const ftc_event *e, long *mine)
{
    const ftc_op *op = &e->op;
    int writes = op->kind == FTC_WRITE;
    switch (op->kind) {
        case FTC_TRY:
            if (!op->typed) {                          /* in vain: it saw that the lock was taken */
                hear(mine, LOCK, op->object, FTC_WHOLE);
                tell(mine, TRIES, op->object, FTC_WHOLE);
                return;
            }
            /* fall through */
        case FTC_ACQUIRE: case FTC_GET: case FTC_PUT:
            hear(mine, LOCK, op->object, FTC_WHOLE);
            hear(mine, ACCESSES, op->object, FTC_WHOLE);               /* of those who look at it: lock.locked() */
            tell(mine, LOCK, op->object, FTC_WHOLE);
            tell(mine, WRITES, op->object, FTC_WHOLE);
            return;
        case FTC_RELEASE:
            hear(mine, LOCK, op->object, FTC_WHOLE);                   /* anybody may give it back, but once */
            hear(mine, TRIES, op->object, FTC_WHOLE);
            hear(mine, ACCESSES, op->object, FTC_WHOLE);
            tell(mine, LOCK, op->object, FTC_WHOLE);
            tell(mine, WRITES, op->object, FTC_WHOLE);
            return;
        case FTC_READ:
        case FTC_WRITE:
            hear(mine, writes ? ACCESSES : WRITES, op->object, op->key);
            if (op->also != 0) {
                hear(mine, op->also_writes ? ACCESSES : WRITES, op->also, op->also_key);
                tell(mine, ACCESSES, op->also, op->also_key);
                if (op->also_writes) {
                    tell(mine, WRITES, op->also, op->also_key);
                }
            }
            if (writes) {
                tell(mine, WRITES, op->object, op->key);
            }
            tell(mine, ACCESSES, op->object, op->key);
            return;
        case FTC_START:
        case FTC_JOIN:
            for (int i = 0; i < ftc_the.workers && !(op->kind == FTC_JOIN && op->typed); i++) {
                if (op->also & FTC_BIT(i)) {
                    ftc_hear(op->kind == FTC_START ? clock_of[i] : mine, op->kind == FTC_START ? mine : end_of[i]);
                }
            }
            return;
        case FTC_LOOK:
            hear(mine, WRITES, op->object, FTC_WHOLE);
            tell(mine, ACCESSES, op->object, FTC_WHOLE);
            return;
        case FTC_BEGIN:
        case FTC_END:
            if (op->object != 0) {                     /* of those who have looked at it */
                hear(mine, ACCESSES, op->object, FTC_WHOLE);
                tell(mine, ACCESSES, op->object, FTC_WHOLE);
                tell(mine, WRITES, op->object, FTC_WHOLE);
            }
            if (op->kind == FTC_END) {
                ftc_hear(end_of[e->thread], mine);
            }
            return;
        case FTC_CLOCK:
            hear(mine, op->typed ? ACCESSES : WRITES, THE_CLOCK, FTC_WHOLE);
            tell(mine, ACCESSES, THE_CLOCK, FTC_WHOLE);
            if (op->typed) {
                tell(mine, WRITES, THE_CLOCK, FTC_WHOLE);
            }
            return;
        default:
            return;
    }
}

/* Time passes: what comes now comes after all that was. */
static void
pass_time(void)
{
    long all[FTC_MAX_WORKERS] = {0};
    for (int i = 0; i < ftc_the.workers; i++) {
        ftc_hear(all, clock_of[i]);
    }
    for (int i = 0; i < ftc_the.workers; i++) {
        ftc_hear(clock_of[i], all);
    }
}

/* Dependent, in this order: to take a lock after somebody has tried in vain is not to disturb that, and who waits for a lock
 * cannot come before it is given back. */
static int
race(const ftc_op *first, const ftc_op *second)
{
    if (first->kind == FTC_TRY && !first->typed && (second->kind == FTC_ACQUIRE || second->kind == FTC_TRY)) {
        return 0;
    }
    if (first->kind == FTC_RELEASE && second->kind == FTC_ACQUIRE) {
        return 0;
    }
    return ftc_dependent(first, second);
}

/* Whether `op`, had it been pending before this step, could have taken place: it did not wait then for a lock that is held,
 * or for a queue that may be empty.  If not, the two cannot change places, and an earlier race is not the business of a run
 * in which they have. */
static int
possible(const ftc_op *step, const ftc_op *op)
{
    switch (op->kind) {
        case FTC_ACQUIRE:
            return step->kind == FTC_ACQUIRE || (step->kind == FTC_TRY && step->typed);
        case FTC_GET:
            return step->kind == FTC_GET && !step->also_key;
        default:
            return 1;
    }
}

static int
before(const step *a, const step *b)
{
    return b->heard[a->event->thread] >= a->local;
}

/* The choices with which, in the state before `first`, a run could lead to `op` of `thread` taking place before it. */
static uint64_t
initials(long first, long count, int thread, const ftc_op *op, const long *known)
{
    uint64_t seen = 0, found = 0;
    int disturbed = 0;
    for (long k = first + 1; k < count; k++) {
        const step *s = &steps[k];
        if (before(&steps[first], s)) {
            continue;
        }
        int t = s->event->thread, preceded = 0;
        disturbed |= known[t] >= s->local || ftc_dependent(&s->event->op, op);
        if (seen & FTC_BIT(t)) {
            continue;
        }
        seen |= FTC_BIT(t);
        for (long g = first + 1; g < k && !preceded; g++) {
            preceded = !before(&steps[first], &steps[g]) && before(&steps[g], s);
        }
        if (!preceded) {
            found |= FTC_BIT(t);
        }
    }
    if (!disturbed && !(seen & FTC_BIT(thread))) {
        found |= FTC_BIT(thread);
    }
    return found;
}

/* `op` of `thread`, which knows so much, is pending after the first `count` steps. */
static void
find_races(ftc_node *nodes, long count, int thread, const ftc_op *op, const long *known)
{
    for (long i = count - 1; i >= 0; i--) {
        const step *s = &steps[i];
        if (s->event->thread == thread || known[s->event->thread] >= s->local || !race(&s->event->op, op)) {
            continue;
        }
        int immediate = 1;
        for (long k = i + 1; k < count && immediate; k++) {
            const step *later = &steps[k];
            immediate = !(later->event->thread != thread && known[later->event->thread] < later->local
                          && race(&later->event->op, op) && possible(&later->event->op, op) && before(s, later));
        }
        if (!immediate) {
            continue;
        }
        uint64_t first = initials(i, count, thread, op, known) & nodes[i].enabled;
        if (first == 0) {
            nodes[i].backtrack |= nodes[i].enabled;
        }
        else if ((first & nodes[i].backtrack) == 0) {
            nodes[i].backtrack |= FTC_BIT(first & FTC_BIT(thread) ? thread : ftc_lowest(first));
        }
    }
}

int
ftc_dpor_analyse(ftc_node *nodes, long count)
{
    long total, waiting, done = 0, next = 0;
    const ftc_event *events = ftc_events(&total);
    const ftc_waiting *waits = ftc_waits(&waiting);
    if (count > room) {
        step *more = realloc(steps, (size_t)count * 2 * sizeof *steps);
        if (more == NULL) {
            PyErr_NoMemory();
            return -1;
        }
        steps = more;
        room = count * 2;
    }
    clock_of = calloc(FTC_MAX_WORKERS, sizeof *clock_of);
    end_of = calloc(FTC_MAX_WORKERS, sizeof *end_of);
    int failed = clock_of == NULL || end_of == NULL;
    ftc_clocks_begin();
    for (long i = 0; i < total && !failed; i++) {
        const ftc_event *e = &events[i];
        long *mine = clock_of[e->thread];
        for (; next < waiting && waits[next].before == i; next++) {
            find_races(nodes, done, waits[next].thread, &waits[next].op, clock_of[waits[next].thread]);
        }
        if (e->op.kind == FTC_CLOCK && e->op.typed == 2) {
            pass_time();
        }
        else if (e->enabled != 0 && done < count) {
            find_races(nodes, done, e->thread, &e->op, mine);
            mine[e->thread]++;
            happen(e, mine);
            steps[done].event = e;
            steps[done].local = mine[e->thread];
            memcpy(steps[done].heard, mine, sizeof steps[done].heard);
            done++;
        }
        else {
            happen(e, mine);
        }
    }
    for (int i = 0; i < ftc_the.workers && !failed; i++) {
        if (ftc_workers[i].unfinished.kind != FTC_NOTHING) {           /* blocked, or stopped, when the run was given up */
            find_races(nodes, done, i, &ftc_workers[i].unfinished, clock_of[i]);
        }
    }
    free(clock_of);
    free(end_of);
    clock_of = end_of = NULL;
    if (ftc_clocks_end() < 0) {
        return -1;
    }
    return failed ? (PyErr_NoMemory(), -1) : 0;
}

/* Who decides, and what is searched.  A part of sched.h, which includes it. */
#ifndef FTCHECK_POLICY_H
#define FTCHECK_POLICY_H

/* --- policy.c and the policies ---------------------------------------------------------------- */

const ftc_policy *ftc_policy_named(const char *name);
PyObject *ftc_shuffled(PyObject *module, PyObject *args);
int ftc_lowest(uint64_t set);
int ftc_pick(uint64_t set);          /* one of them, all equally likely */
int ftc_most_urgent(uint64_t set);   /* the one with the highest priority */
int ftc_unplanned(ftc_worker *me, uint64_t enabled, enum ftc_why why);     /* plan.c: who goes on if nobody decides */
int ftc_after(uint64_t set, int id); /* the next one after `id`, in turn */
PyObject *ftc_unmatched(PyObject *module, PyObject *ignored);    /* plan.c: entries that were not followed */
PyObject *ftc_meetings(PyObject *module, PyObject *ignored);     /* plan.c: where each entry was met, or why not */
typedef struct { long thread, step; } ftc_place;        /* follow.c: one operation of an order */
extern const ftc_policy ftc_plan, ftc_walk, ftc_pct, ftc_pos, ftc_surw, ftc_race, ftc_bounded, ftc_dpor, ftc_follow;

/* --- tree.c, dpor.c: systematic search -------------------------------------------------------- */

/* A state of the search: before the n-th operation that was chosen. */
typedef struct {
    uint64_t enabled, sleep;         /* who could run; of whom nothing new would come */
    uint64_t backtrack, done;        /* whom to choose here in some run; whom runs have chosen */
    int chosen, previous, cost;      /* previous: who had run before; cost: preemptions up to here */
    int kind, offset;                /* of the chosen operation, and where it stands: the same in each run that comes here */
    const PyObject *code;
} ftc_node;

PyObject *ftc_tree_reset(PyObject *module, PyObject *args);
PyObject *ftc_tree_advance(PyObject *module, PyObject *ignored);
PyObject *ftc_tree_refused(PyObject *module, PyObject *ignored);
PyObject *ftc_tree_divergence(PyObject *module, PyObject *ignored);
/* Adds to `backtrack` of the nodes what the last run's races ask for. -1 with an exception. */
int ftc_dpor_analyse(ftc_node *nodes, long count);
void ftc_give_up(enum ftc_outcome outcome);

/* --- await.c: loops that wait ------------------------------------------------------------------ */

#define FTC_LOOP_LOCALS 16           /* a function with more variables has no such loops; explore/loops.py has it, too */
void ftc_await_reset(void);
/* The calling worker goes round a loop of this frame once more; `stored`: the variables that are stored in it. */
void ftc_loop_again(const void *frame, int stored);
void ftc_loop_left(const void *frame);               /* its function returns */
void ftc_changes(void);              /* the calling worker does, or learns, what no operation says */
/* Those who wait in a loop, now that this one is at a point. */
uint64_t ftc_await_those(const ftc_worker *me);
void ftc_await_executes(const ftc_worker *who);      /* it is about to do what is pending */

/* --- ends.c ----------------------------------------------------------------------------------- */

/* The call of Thread.is_alive() as an operation; 0: it is another call. */
int ftc_call_looks(ftc_op *op, PyObject *callable, PyObject *self);
/* Whether this other worker has ended, asked by the calling one where no call in scope has said so.  -1: given up. */
int ftc_look(ftc_worker *me, const ftc_worker *who);
const ftc_worker *ftc_worker_with(const PyObject *handle);             /* NULL: there is none yet, or it is none of ours */
PyObject *ftc_look_value(const ftc_op *op);
int ftc_ends_asked(void);            /* anybody has, in this search */
void ftc_ends_forget(void);          /* a new one begins */
/* The calling worker is about to end, and does: perhaps somebody else goes first.  0: that is still to be logged. */
int ftc_end(ftc_worker *me);

#endif

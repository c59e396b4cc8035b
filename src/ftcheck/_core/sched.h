/* The controlled scheduler: real threads, one of which runs at a time.
 *
 *   sched.c    the token: who may run, who is blocked on what, deadlocks, the virtual clock
 *   giveup.c   runs that are given up, and how their threads get out of them
 *   turn.c     handing the token over, and waiting for it
 *   gate.c     how a worker enters the scheduler and leaves it; workers that block outside of control
 *   outside.c  the watchdog that notices them
 *   strangers.c  threads that are not of the run, and for which it waits
 *   run.c      a run as Python sees it: its beginning and its end
 *   depend.c   which operations disturb each other
 *   points.c   the sys.monitoring callback: which instructions are scheduling points, and what each is about to do
 *   native_points.c  those in C code, where an extension was built for it
 *   ops.c      from the operands of an instruction to an operation; objects.c on an object; returns.c to code out of scope
 *   calls.c    the same for calls of builtins: list.append(x) writes to the list, len(x) reads it
 *   methods.c  replaces the methods of built-in types
 *   locks.c    _thread.lock and _thread.RLock, those that exist already included
 *   squeue.c   _queue.SimpleQueue
 *   pool.c     pooled threads, for the bodies of a test
 *   threads.c  threads that the code under test starts itself; joining
 *   ends.c     whether a thread has ended: the question, and the end as an operation
 *   clock.c    time.sleep() and the clocks, on virtual time
 *   policy.c   what all policies need; one file for each: plan.c, walk.c, pct.c, pos.c, surw.c, race.c, tree.c, follow.c
 *   dpor.c     partial-order reduction for tree.c
 *   await.c    loops that wait, for tree.c
 *   trace.c    what happened, for those who ask: the log of operations and of decisions
 *   values.c   what an operation reads or writes, as text
 *   reborn.c   objects of one address are told apart, in that log
 *   clocks.c   happens-before over that log: vector clocks
 *   before.c   accesses that nothing orders: where a search decides first
 *   races.c    candidates for races in that log, and the order in which a pair of accesses would be reversed
 *
 * The words.  A *worker* is a thread under control.  A *point* is where a worker may be stopped: just before an operation
 * on something that may be shared, or before a blocking call.  At a point where somebody else could run, too, the
 * *policy* says who goes on: a *decision*.  A point at which nobody is to be switched costs the callback alone; nothing
 * is locked, nobody is woken.  Only the worker that has the token, and is in the scheduler with it, touches the state
 * below, so none of it is atomic; handing over (a semaphore for each worker) and the gate order it.
 */
#ifndef FTCHECK_SCHED_H
#define FTCHECK_SCHED_H

#include "core.h"
#include <semaphore.h>
#include <time.h>

#define FTC_MAX_WORKERS 64           /* a set of workers is one uint64_t */
#define FTC_LONGEST 9223372036.0     /* seconds: threading.TIMEOUT_MAX; what is longer the originals refuse */
#define FTC_ALL (~(uint64_t)0)
#define FTC_BIT(n) ((uint64_t)1 << (n))

/* What a worker is about to do.  Two data operations are dependent if they meet on an object and a key, and one writes;
 * two acquisitions if they are of one lock; put and get of one queue.  Everything else orders, or does not matter. */
enum ftc_kind {
    FTC_NOTHING, FTC_READ, FTC_WRITE,              /* data */
    FTC_ACQUIRE, FTC_RELEASE,                      /* a lock */
    FTC_START, FTC_JOIN, FTC_BEGIN, FTC_END, FTC_SLEEP,                /* `also` of START, JOIN, END, LOOK: the threads;
                                                    * a JOIN that is typed waited no longer: its timeout came */
    FTC_PUT, FTC_GET,                              /* of a SimpleQueue; `also_key` of GET: there was nothing */
    FTC_TRY,                                       /* to take a lock, without waiting; `typed`: it was free; `also_key`:
                                                    * it has waited, until its timeout came */
    FTC_OUT,                                       /* it blocks outside of control; `value` says where */
    FTC_LOOK,                                      /* asks whether a thread lives, which BEGIN and END change; typed: it has ended */
    FTC_CLOCK,                                     /* sets a time by the clock; typed: looks at it, which moves it; 2: time passed */
};

typedef struct {
    int kind;                        /* enum ftc_kind */
    int typed;                       /* one call of a builtin, which is atomic: list.append(x); 2: it tells nothing back */
    uintptr_t object;                /* its address */
    uintptr_t key;                   /* an attribute's name, the hash of an item's key; FTC_WHOLE: all of the object */
    uintptr_t also, also_key;        /* (in C code, where `also` is 0: the address itself)
                                      * something that is read besides: the class on which an attribute was found, the
                                      * container that an iterator walks, another argument of a call */
    int also_writes;                 /* it is not only read */
    uintptr_t item;                  /* obj[key]: the hash of the key, also where `key` has to be FTC_WHOLE; 0: not known */
    uintptr_t place;                 /* what it is alike to in other runs, where objects are others: type and name */
} ftc_op;

#define FTC_WHOLE 0

enum ftc_wait {
    FTC_RUNS, FTC_WAITS_LOCK, FTC_WAITS_QUEUE, FTC_WAITS_WORKERS, FTC_WAITS_REST, FTC_SLEEPS, FTC_ENDED, FTC_OUTSIDE, FTC_WAITS_NATIVE
};
enum ftc_native_lock {               /* a lock of C code: see native_locks.c */
    FTC_NO_LOCK, FTC_PYMUTEX, FTC_PTHREAD_MUTEX, FTC_READING, FTC_WRITING, FTC_SPINLOCK, FTC_SEMAPHORE, FTC_ONCE, FTC_GUARD,
    FTC_GIVEN                        /* a condition or barrier: native_waits.c */
};

#define FTC_OPEN 16
typedef struct {                     /* an operation of a call that may still be under way; see returns.c */
    const void *frame;
    int offset;
    ftc_op op;
} ftc_open;

typedef struct ftc_worker {
    int id;
    enum ftc_wait wait;
    const void *waits_on;            /* the lock or queue */
    uint64_t waits_for;              /* the workers to join */
    int64_t deadline;                /* virtual nanoseconds, or -1 */
    int timed_out;
    int background;                  /* a daemon thread, or one of an executor: the run does not wait for it */
    long step;                       /* points passed */
    long stay;                       /* points since somebody else ran while others could have */
    ftc_op pending, unfinished;      /* unfinished: what was pending when the run was given up */
    PyObject *unfinished_code;       /* where that was; borrowed */
    int unfinished_offset;
    PyObject *value;                 /* what is read or written, as text, if the log asks for it */
    PyObject *code;                  /* of the pending operation, borrowed, or NULL */
    int offset, cold;                /* cold: an access where no conflict was ever seen */
    PyThreadState *tstate;
    unsigned long ident;             /* of the thread, for Python, and for the kernel */
    long native;
    enum ftc_native_lock native_lock;                  /* what it waits for is one */
    int in_extension;                /* stopped within C code: stays attached, and cannot be unwound */
    const void *awaits;              /* a condition or barrier, since that one came; it was given to it */
    long since;
    int given;
    int c_thread;                    /* C code has made it: native_threads.c */
    int in_lobby;                    /* it has come back from outside, and waits there, not for `go` */
    const PyObject *handle;          /* the _ThreadHandle of a thread that the code under test started; not owned */
    ftc_open open[FTC_OPEN];
    unsigned opened;
    sem_t *go;                       /* it waits there for its turn: of its own, or its place's in the pool */
    sem_t own_go;
    double priority;                 /* of the policy's own use, as are these */
    long low, left;
} ftc_worker;

enum ftc_why { FTC_FREE, FTC_BLOCKED, FTC_FINISHED, FTC_YIELDED };   /* why somebody else is to be chosen */

typedef struct ftc_policy {
    const char *name;
    /* Reads its parameters; -1 with an exception. */
    int (*prepare)(PyObject *parameters);
    /* Who goes on: one of `enabled`, which has two members at least, or one where `me` cannot go on. */
    int (*choose)(ftc_worker *me, uint64_t enabled, enum ftc_why why);
    /* A worker has come into being / is about to do what is pending.  May be NULL. */
    void (*born)(ftc_worker *who, ftc_worker *parent);
    void (*executes)(ftc_worker *who);
    /* Whether this worker is to stop before it releases a lock (FTC_RELEASE), or at its end (FTC_END) although nobody is
     * known to have asked for that.  NULL: never. */
    int (*stops_at)(const ftc_worker *who, enum ftc_kind kind);
} ftc_policy;

enum ftc_outcome { FTC_COMPLETE, FTC_DEADLOCK, FTC_TOO_LONG, FTC_TOO_MANY, FTC_INTERRUPTED, FTC_REDUNDANT };

typedef struct {
    long number;                     /* how many runs there were before */
    int active, abandoning;
    enum ftc_outcome outcome;
    int workers;                     /* ids in use */
    uint64_t enabled, live;
    uint64_t unjoined;               /* threads that have not been joined */
    uint64_t outside;                /* those that block outside of control; live, not enabled */
    long uncontrolled;               /* times that anybody did */
    uint64_t before;                 /* who could run at the last decision; 0 once that is used */
    int64_t clock;                   /* virtual nanoseconds since the run began */
    long deeds;                      /* operations that left something changed; see clock.c */
    long steps, limit, stay_limit;
    int letting_out;                 /* nothing more is noted, and it goes on to its end by turns: see giveup.c */
    long overtime;                   /* points that daemon threads still have after the end of the test; 0: it is under way */
    int timed;                       /* somebody slept, or waited with a timeout */
    int ends_count;                  /* so is the end of each thread that somebody may ask about: see ends.c */
    int only_hot;                    /* decide only at blocking calls and where accesses were seen to conflict */
    long decisions, switches, preemptions;
    const ftc_policy *policy;
    uint64_t random;
} ftc_run;

extern ftc_run ftc_the;              /* the run */
extern ftc_worker ftc_workers[FTC_MAX_WORKERS];
extern atomic_int ftc_interrupted;   /* a signal handler has raised, on the main thread, while it waited for its turn */
extern PyObject *ftc_interruption;   /* what it raised */
extern PyObject *ftc_abandoned;      /* the exception that unwinds the workers of a run that is given up */

/* --- gate.c, outside.c ------------------------------------------------------------------------ */

char ftc_task_state(long native);    /* of a thread, as in proc(5): R, S, D, ...; 0: there is no such thread */

typedef struct {                     /* what a thread knows of itself */
    ftc_worker *worker;              /* NULL: it is not under control */
    unsigned long long token;        /* its run's era and its number: it is in the gate while this thread runs code */
    int inside;                      /* how deep it is in the scheduler */
} ftc_seat;

#if defined(__GLIBC__)                /* elsewhere a module that is loaded late cannot have it */
#  define FTC_NEAR __attribute__((tls_model("initial-exec")))
#else
#  define FTC_NEAR
#endif
extern _Thread_local ftc_seat ftc_my FTC_NEAR;
extern atomic_ullong ftc_gate;       /* a token, or one of: */
enum { FTC_NOBODY, FTC_BUSY, FTC_PARKED };

void ftc_sit(ftc_worker *me);        /* the calling thread is this worker from now on, and in the scheduler */
void ftc_sit_in_c(ftc_worker *me);    /* the same on a thread that the interpreter does not know */
void ftc_stand_up(void);
int ftc_come_back(ftc_seat *my);
int ftc_come_back_as_is(ftc_seat *my);                /* neither detaches nor raises: for C code */
int ftc_worker_of(unsigned long long token);

/* To be called before the state below is touched.  -1, with an exception: the run that this thread was of is over.  It is
 * not under control any more then, and must not leave. */
static inline int
ftc_enter(void)
{
    ftc_seat *my = &ftc_my;
    if (my->inside > 0) {
        my->inside++;
        return 0;
    }
    unsigned long long token = my->token;
    if (!atomic_compare_exchange_strong_explicit(&ftc_gate, &token, FTC_BUSY, memory_order_acquire, memory_order_relaxed)
        && ftc_come_back(my) < 0) {
        return -1;
    }
    my->inside = 1;
    return 0;
}

static inline void
ftc_exit(void)
{
    if (--ftc_my.inside == 0) {
        atomic_store_explicit(&ftc_gate, ftc_my.token, memory_order_release);
    }
}

void ftc_admit(void);                /* those who have come back from outside can run */
int ftc_anybody_back(void);          /* somebody has come back and was not admitted yet */
void ftc_wake(int to);               /* hands it the token */
void ftc_park(void);                 /* there is nobody to hand it to but those who are outside */
void ftc_let_real_time_pass(void);
void ftc_new_era(void);              /* the run is over: who is still outside does not belong to it any more */
/* In a run that is given up, or over: lets these unwind; those outside have so long to come back.  Those who did not. */
uint64_t ftc_unwind_all(ftc_worker *me, uint64_t who, long milliseconds);
void ftc_pause(long milliseconds);
struct timespec ftc_in(long milliseconds);           /* so long from now, as the calls that wait until then take it */
int ftc_gate_init(PyObject *module);
PyObject *ftc_await_stall(PyObject *module, PyObject *ignored);
PyObject *ftc_hand_on(PyObject *module, PyObject *args);
PyObject *ftc_watch_stalls(PyObject *module, PyObject *on);
PyObject *ftc_take_calls(void);
void ftc_add_call(PyObject *where);  /* takes over the reference */
/* Nobody can run: perhaps a thread that is not of the run lets somebody go on. */
int ftc_await_strangers(void);
PyObject *ftc_look_for_strangers(PyObject *module, PyObject *callable);
int ftc_lock_is_free(PyObject *lock);
int ftc_queue_has_some(PyObject *queue);
#define FTC_GRACE 100                /* milliseconds for threads that are outside when a run is given up */

/* --- sched.c ---------------------------------------------------------------------------------- */

/* The calling worker is about to do `pending`: perhaps somebody else goes first.  -1: the run is given up. */
int ftc_point(ftc_worker *me, enum ftc_why why);
/* The same in two steps, for what may have to block in between. */
int ftc_stop(ftc_worker *me, enum ftc_why why);
void ftc_execute(ftc_worker *me);
int ftc_decide(ftc_worker *me, uint64_t enabled, enum ftc_why why);   /* who goes on */
/* The calling worker cannot go on; `wait` and what belongs to it are set.  0: it can; 1: timed out; -1: given up. */
int ftc_block(ftc_worker *me, int64_t timeout);
/* Those who wait for this lock or queue can try again / cannot after all. */
void ftc_can(const void *what);
void ftc_cannot(const void *what);
ftc_worker *ftc_new_worker(ftc_worker *parent);
void ftc_wait_for_turn(ftc_worker *me);              /* turn.c, as are these */
void ftc_hand_over(ftc_worker *me, int to);
void ftc_pass_on_to(int next);       /* who is to be woken by ftc_pass_on() */
void ftc_pass_on(void);
int ftc_let_out(enum ftc_outcome outcome);             /* giveup.c; returns whether the run goes on to its end */
int ftc_really_give_up(enum ftc_outcome outcome);      /* now; -1 */
int ftc_unwind(ftc_worker *me);      /* with an exception, if it can be: -1 */
int ftc_first_to_unwind(uint64_t set);
void ftc_let_unwind(ftc_worker *me, int who);        /* in a run that is given up: another one first */
int ftc_successor(ftc_worker *me, enum ftc_why why); /* who goes on, now that `me` cannot; -1: nobody can */
/* So long from now; -1, which is never, where that is too long.  Not 0: given up. */
int ftc_set_deadline(ftc_worker *me, int64_t nanoseconds, int64_t *deadline);
int64_t ftc_nearest_deadline(void);                  /* INT64_MAX: there is none */
/* native_locks.c: who waits for a lock in C code that is free by now is enabled.  Those who are enabled, and would have to wait. */
uint64_t ftc_native_refresh(ftc_worker *me, int leaves);
/* To be called before such a lock is taken by this function.  0: the run is given up; do as if. */
int ftc_native_block(ftc_worker *me, enum ftc_native_lock kind, const void *what, int64_t deadline);      /* once; 1: it is late */
int ftc_native_await(enum ftc_native_lock kind, void *lock, const void *function, uintptr_t pc);
uint64_t ftc_runnable(ftc_worker *me, int leaves);     /* of the enabled; `leaves`: it cannot go on itself */
void ftc_let_time_pass(void);                        /* until then */
void ftc_look_for_signals(int id);
void ftc_leave(ftc_worker *me);      /* it has ended; its thread gives the token away for good by ftc_pass_on() */
int ftc_dependent(const ftc_op *a, const ftc_op *b);
uint64_t ftc_random(void);
double ftc_uniform(void);            /* [0, 1) */

PyObject *ftc_begin_run(PyObject *module, PyObject *args, PyObject *names);
PyObject *ftc_end_run(PyObject *module, PyObject *ignored);
int ftc_sched_init(PyObject *module);

/* --- points.c, ops.c, objects.c, calls.c ----------------------------------------------------------------- */

enum ftc_site {                      /* what an instruction may touch; the names are those of explore/sites.py */
    SITE_NONE, SITE_LOAD_ATTR, SITE_STORE_ATTR, SITE_GLOBAL_READ, SITE_GLOBAL_WRITE, SITE_CELL_READ, SITE_CELL_WRITE,
    SITE_GET_ITEM, SITE_SET_ITEM, SITE_DELETE_ITEM, SITE_CONTAINS, SITE_NEXT, SITE_ITERATE, SITE_IN_PLACE, SITE_CALL,
    SITE_CALL_KW, SITE_SLICE, SITE_SET_SLICE, SITE_ANY, SITE_DELETE_ATTR, SITE_DELETE_GLOBAL, SITE_DELETE_CELL,
    SITE_RETURN, SITE_READ_ONE, SITE_READ_TWO, SITE_YIELD, SITE_CALL_EX, SITE_LOAD_OWN, SITE_READ_BELOW,
    SITE_AGAIN,
};

PyObject *ftc_watch_code(PyObject *module, PyObject *args);
PyObject *ftc_classify(PyObject *module, PyObject *args);
/* Whether a code object is in scope, and the site and argument of the instruction at this offset; 0: it is not. */
int ftc_site_at(PyObject *code, int offset, int *site, int *arg);
void ftc_classify_own(PyMethodDef *definition);
int ftc_points_init(PyObject *module);
/* Where in the code under test the caller is: `code` and `offset` of the worker. 1: it is in the middle of what starts or
 * ends a thread (threading.py), where nothing is worth a decision. */
int ftc_find_caller(ftc_worker *me);
/* The nearest frame in scope; 0: there is none near. */
int ftc_nearest(PyObject **code, int *offset);
/* The function that runs was called by code in scope, whose call was a point. */
int ftc_called_in_scope(void);
/* Accesses there were seen to conflict: see `only_hot` of a run. */
void ftc_heat(PyObject *code, int offset);
void ftc_heat_place(int offset);     /* native_points.c: the same for C code */
uint32_t ftc_this_search(void);
int ftc_native_shared(const ftc_op *op, int offset);   /* native_shared.c: others access that memory as well, or may */
PyObject *ftc_cool(PyObject *module, PyObject *ignored);
PyObject *ftc_quiet_code(PyObject *module, PyObject *code);
void ftc_operation(ftc_op *op, int site, int arg, PyCodeObject *code);
int ftc_is_constant(PyObject *object);
PyObject *ftc_walked_by(PyObject *iterator);         /* the container that it walks, or NULL; borrowed */
uintptr_t ftc_key(PyObject *key);
void ftc_call_operation(ftc_op *op, PyObject *callable, PyObject *const *args, Py_ssize_t nargs);
int ftc_call_is_known(PyObject *callable);           /* what it does its operation says, or those of its own points */

/* --- locks.c, squeue.c, pool.c, threads.c, clock.c: what blocks ---------------------------------------- */

PyObject *ftc_take_control(PyObject *module, PyObject *ignored);
PyObject *ftc_give_back(PyObject *module, PyObject *ignored);
int ftc_locks_control(int on);
int ftc_is_lock(PyObject *object);   /* of exactly these two types */
int ftc_queues_control(int on);
int ftc_threads_control(int on);
int ftc_clocks_control(int on);
/* Replaces a method in a type's dict, for objects that exist already; keeps the original for putting it back. */
typedef struct { PyTypeObject *type; PyMethodDef *definition; PyObject *original; } ftc_method;
int ftc_replace_methods(ftc_method *methods, int count, int on);
/* Calls the original with these arguments. */
PyObject *ftc_original(const ftc_method *method, PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *names);
PyObject *ftc_serve(PyObject *module, PyObject *ignored);
PyObject *ftc_run_bodies(PyObject *module, PyObject *bodies);
PyObject *ftc_claim_place(PyObject *module, PyObject *thread);
PyObject *ftc_idle_places(PyObject *module, PyObject *ignored);
PyObject *ftc_idle_threads(PyObject *module, PyObject *ignored);
PyObject *ftc_send_home(PyObject *module, PyObject *ignored);
PyObject *ftc_uncontrolled(PyObject *module, PyObject *callable);
PyObject *ftc_watch_starts(PyObject *module, PyObject *callable);

#include "policy.h"
#include "log.h"

#endif

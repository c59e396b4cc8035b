/* What has happened in a run, and what can be read off that.  A part of sched.h, which includes it. */
#ifndef FTCHECK_LOG_H
#define FTCHECK_LOG_H

/* --- trace.c ---------------------------------------------------------------------------------- */

enum ftc_record { FTC_NO_LOG = 0, FTC_LOG_SWITCHES = 1, FTC_LOG_DECISIONS = 2, FTC_LOG_OPS = 4, FTC_LOG_VALUES = 8 };

void ftc_trace_reset(int what);
void ftc_trace_end(void);
void ftc_trace_no_more(void);        /* in this run */
int ftc_trace_init(PyObject *module);
extern PyTypeObject *ftc_local_type;                 /* threading.local */
extern PyObject *ftc_is_alive;                       /* threading.Thread.is_alive */
int ftc_trace_wants(int what);
PyObject *ftc_value(int site, int arg, PyCodeObject *code);          /* values.c: what is read or written, as text */
void ftc_trace_switch(ftc_worker *from, int to, enum ftc_why why);
void ftc_trace_decision(ftc_worker *me, uint64_t enabled, int chosen, enum ftc_why why);
void ftc_trace_op(ftc_worker *me);
/* Of an operation that is in the log already; it may have come out as one that only reads. */
void ftc_trace_value(long event, PyObject *value, int only_read);
PyObject *ftc_trace(PyObject *module, PyObject *ignored);
PyObject *ftc_switches(PyObject *module, PyObject *ignored);
PyObject *ftc_places_of_switches(PyObject *module, PyObject *ignored);
PyObject *ftc_unfinished(PyObject *module, PyObject *ignored);

/* enabled: who could run when this operation was chosen to be next; 0: it was not chosen, it came with the one before. */
typedef struct {
    int thread, offset;
    int shared;                      /* the object is one that passes things from thread to thread: a list, an Event */
    long step;
    ftc_op op;
    PyObject *code, *value;
    uint64_t enabled;
} ftc_event;
const ftc_event *ftc_events(long *count);            /* the log of operations of the last run */
void ftc_trace_time(void);
typedef struct { long before; int thread; ftc_op op; } ftc_waiting;    /* the number of the event that is the passing of time */
const ftc_waiting *ftc_waits(long *count);           /* who waited for what when time passed */

/* --- reborn.c: an address and a number in one, while operations are logged ---------------------- */

uintptr_t ftc_identity(uintptr_t address);
void ftc_identify(ftc_op *op);
void ftc_follow_births(void);
void ftc_forget_births(void);

/* --- made.c: where locks were made ------------------------------------------------------------- */

void ftc_note_maker(PyObject *object);               /* it has just been made, by this thread */
PyObject *ftc_follow_makers(PyObject *module, PyObject *ignored);
PyObject *ftc_forget_makers(PyObject *module, PyObject *ignored);
PyObject *ftc_makers(PyObject *module, PyObject *ignored);

/* --- before.c: happens-before; races.c: candidates ---------------------------------------------- */

PyObject *ftc_study(PyObject *module, PyObject *ignored);
PyObject *ftc_unordered(void);       /* before.c: (place, code, offset) of both, for each pair of places in the code */
PyObject *ftc_races(PyObject *module, PyObject *ignored);
PyObject *ftc_reversal(PyObject *module, PyObject *args);

/* What threads have heard of each other, over the log.  Begin, then take one event after the other. */
extern long ftc_clocks[FTC_MAX_WORKERS][FTC_MAX_WORKERS];
void ftc_clocks_begin(void);
void ftc_clocks_take(const ftc_event *event);          /* counts it, and hears or tells what locks, queues and threads do */
/* The clock that is kept under this object and key, all zero at first; what is there, to be heard of or told to. */
long *ftc_clock_of(uintptr_t object, uintptr_t key, int kind);
void ftc_hear(long *mine, const long *other);
void ftc_hear_all(long *mine, uintptr_t object, uintptr_t key, int kind);
int ftc_clocks_end(void);                              /* -1 with an exception: there was no memory */

#endif

/* What the files of ftcheck._core share.
 *
 *   module.c     the module's table of names; nothing else
 *   startline.c  StartLine: lets the bodies of a round begin together, and stamps when each ran
 *   spin.c       its second stage: lines up threads that are awake
 *   slots.c      which threads are ours: label, round, and where in a round each one is
 *   frames.c     writes a thread's Python stack to a file descriptor, from inside a signal handler
 *   crash.c      the last words of a process that gets a fatal signal: what *every* thread of ours was doing
 *   deadman.c    ends a process in which no Python code can run any more
 *   builtins.c   calls something before a function that is written in C
 *   globals.c    notices that a module's function is replaced
 *   statics.c    compares static memory of other modules with what it was
 *   gil.c        whether a module asks for the GIL
 */
#ifndef FTCHECK_CORE_H
#define FTCHECK_CORE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__linux__) && defined(__GLIBC__) && (defined(__x86_64__) || defined(__aarch64__))
#  define FTC_NATIVE 1               /* extensions can be watched from the inside: native.h */
#endif

#if PY_VERSION_HEX < 0x030E0000
#  error "ftcheck needs CPython 3.14 or later"
#endif

/* --- slots.c ---------------------------------------------------------------------------------- */

#define FTC_MAX_SLOTS 1024
#define FTC_LABEL_SIZE 64

/* Where in a round a thread is.  Written by its own thread, read by a signal handler of any thread. */
enum ftc_place { FTC_IDLE, FTC_AT_START_LINE, FTC_IN_BODY, FTC_DONE };

typedef struct {
    atomic_int used;
    atomic_int place;            /* enum ftc_place */
    atomic_long round;           /* -1 before the first round */
    atomic_int answered;         /* this thread has written its stack (crash.c) */
    pthread_t thread;
    PyThreadState *tstate;
    void *signal_stack;          /* so that a stack overflow can still be reported */
    char label[FTC_LABEL_SIZE];
} ftc_slot;

extern ftc_slot ftc_slots[FTC_MAX_SLOTS];

ftc_slot *ftc_my_slot(void);     /* the calling thread's slot, or NULL */
PyObject *ftc_enter_thread(PyObject *module, PyObject *label);
PyObject *ftc_leave_thread(PyObject *module, PyObject *ignored);
PyObject *ftc_places(PyObject *module, PyObject *ignored);
const char *ftc_place_name(int place);

/* --- strict.c: how threads wait for each other, for those who watch what extensions do in memory ----------------- */

#ifdef FTC_NATIVE
__attribute__((visibility("hidden"))) void ftc_strict_told(uintptr_t address);         /* this thread releases what is there */
__attribute__((visibility("hidden"))) void ftc_strict_heard(uintptr_t address);        /* it has acquired that */
#else
static inline void ftc_strict_told(uintptr_t Py_UNUSED(address)) {}
static inline void ftc_strict_heard(uintptr_t Py_UNUSED(address)) {}
#endif

/* --- startline.c ------------------------------------------------------------------------------ */

extern PyType_Spec ftc_startline_spec;
int ftc_startline_init(PyObject *module);

/* --- spin.c ----------------------------------------------------------------------------------- */

typedef struct ftc_spin ftc_spin;

/* What one thread may use when it is not bound to a CPU. */
typedef struct {
    int bound;
#ifdef __linux__
    cpu_set_t before;
#endif
} ftc_affinity;

ftc_spin *ftc_spin_new(int parties);                  /* NULL: no memory */
void ftc_spin_free(ftc_spin *self);
void ftc_spin_together(ftc_spin *self, int rank, ftc_affinity *affinity, atomic_int *broken);
void ftc_bind(ftc_affinity *mine, int rank);
void ftc_unbind(ftc_affinity *mine);
int64_t ftc_now(void);                                /* nanoseconds of CLOCK_MONOTONIC */

/* --- frames.c (async-signal-safe as far as the interpreter's own structures are intact) -------- */

void ftc_write(int fd, const char *text);
void ftc_write_number(int fd, long long number);
void ftc_write_hex(int fd, uintptr_t number);
void ftc_write_stack(int fd, PyThreadState *tstate);

/* --- crash.c ---------------------------------------------------------------------------------- */

PyObject *ftc_watch_fatal_signals(PyObject *module, PyObject *fd);
PyObject *ftc_unwatch_fatal_signals(PyObject *module, PyObject *ignored);
void ftc_report_stuck(void);     /* the same report without a signal */

/* --- deadman.c -------------------------------------------------------------------------------- */

int ftc_dead_man_is_there(void);      /* it is a thread */
PyObject *ftc_dead_man(PyObject *module, PyObject *args);

/* --- builtins.c ------------------------------------------------------------------------------- */

PyObject *ftc_before_call(PyObject *module, PyObject *args);

/* --- globals.c -------------------------------------------------------------------------------- */

PyObject *ftc_watch_globals(PyObject *module, PyObject *args);
PyObject *ftc_unwatch_globals(PyObject *module, PyObject *dict);
PyObject *ftc_take_replaced(PyObject *module, PyObject *ignored);

/* --- gil.c ------------------------------------------------------------------------------------ */

PyObject *ftc_requires_gil(PyObject *module, PyObject *other);
PyObject *ftc_gil_is_permanent(PyObject *module, PyObject *ignored);

/* --- statics.c: Linux only -------------------------------------------------------------------- */

PyObject *ftc_static_copy(PyObject *module, PyObject *args);
PyObject *ftc_static_changes(PyObject *module, PyObject *args);
PyObject *ftc_static_layouts(PyObject *module, PyObject *ignored);

#endif

/* What the files share that watch the memory accesses of C extensions.
 *
 * An extension that ftcheck-cc has compiled calls a function of ours (__tsan_read4, ...) before each access to memory.  These
 * are the callbacks of -fsanitize=thread (LLVM's and GCC's ThreadSanitizer); its own runtime is not used, because it has to
 * see all synchronisation, and an interpreter that was not built for it shows it none.
 *
 *   tsan.c        the callbacks for plain accesses and C++ objects; stacks.c those at the beginning and the end of functions
 *   atomics.c     those for C11 and C++ atomics, which are operations of their own
 *   annotations.c what code says to ThreadSanitizer by itself, and atomics of sixteen bytes (wide.h)
 *   accesses.c    the detector: two accesses, one of them writes, and nothing has ordered them; notes.c its fast path
 *   delays.c      who waits before an access, and how long; runnable.c whether others could go on
 *   shadow.c      its memory: the last accesses to each eight bytes
 *   watchers.c    threads that access; borders.c the order of what they do; vectors.c the clocks of atomic variables
 *   contexts.c    call stacks as numbers
 *   modules.c     finds the extensions that call us
 *   imports.c     replaces the functions that they import
 *   taken.c       functions of which it takes the address alone
 *   indirect.c    calls through pointers
 *   thunks.c      what such a function is replaced by where nothing is known of it
 *   wrapped.c     what it is replaced by where something is
 *   strict.c      the strict rule, by which borders order nothing
 *   sync.c        functions by which threads synchronise, besides locks
 *   begun.c       those that begin threads, and join them
 *   taking.c      those that take memory
 *   handover.c    locks and queues of Python
 *   held.c        the locks that a thread holds
 *   stuck.c       those that the threads of a deadlock hold
 *   blocks.c      memory that is taken and given back
 *   heap.c        that of malloc(), and of the system
 *   found.c       the races that were found, in memory that outlives a crash
 *   native_shared.c  memory that several threads of a run touch
 *   native_points.c  scheduling points, for the explorer (sched.h); native_calls.c those that are calls of the interpreter,
 *                 native_locks.c waiting for locks of C code, native_taking.c the functions that do, native_waits.c for its
 *                 conditions and barriers, native_threads.c threads that it makes itself
 *   native.c      the names that Python sees
 *
 * What orders (the overlap rule).  The interpreter is not compiled like this, so how it orders threads cannot be seen: by the
 * locks of its containers, by reference counts, by stopping the world.  So each entry into an extension from elsewhere, each
 * return, and each call of something that is imported is taken to order: all that was done before such a border in one thread
 * comes before all that is done after a later border in another.  A race is reported where two accesses are not separated by
 * one: the stretches of C code in which they stand have overlapped in time, and no atomic operation between them says who was
 * first.  So nothing is reported that the interpreter, or a library, can have ordered.  On request there is another rule besides
 * (strict.c), whose findings are possible races.
 */
#ifndef FTCHECK_NATIVE_H
#define FTCHECK_NATIVE_H

#include "shadow.h"
#include "watchers.h"
#include <elf.h>
#include <link.h>

#pragma GCC visibility push(hidden)

/* --- stuck.c ---------------------------------------------------------------------------------- */

void ftc_note_stuck(void);           /* now, when all are stopped */
void ftc_forget_stuck(void);

/* --- delays.c ---------------------------------------------------------------------------------- */

void ftc_set_delays(double rate, long longest, uint64_t seed);         /* nanoseconds */
void ftc_seed_watcher(ftc_watcher *me);                /* at its beginning, and that of each round */
void ftc_begin_round(void);          /* on each thread of it, which has its number in its slot */
void ftc_delay(ftc_watcher *me, uintptr_t pc);
int ftc_may_wait(const ftc_watcher *me, uintptr_t pc);               /* who is quick has to be so no more for this place */

int ftc_somebody_can_run(void);      /* runnable.c */

/* --- native_points.c -------------------------------------------------------------------------- */

#define FTC_NATIVE_OFFSET (-2)       /* of operations that stand in an extension: this less the number of the instruction */
extern int ftc_native_exploring;     /* accesses are scheduling points */
void ftc_native_point(uintptr_t address, size_t size, int flags, uintptr_t pc);
extern long ftc_native_passed;       /* points in this run */
void ftc_native_settle(void);        /* what was written last has been written by now */
void ftc_native_wrote_nothing(void); /* the atomic operation has found another value than it was to replace */
uint64_t ftc_place_of_offset(int offset);
int ftc_offset_of(uintptr_t pc);     /* the other way round */
int ftc_native_is_managed(void);     /* the calling thread is a worker of a run that looks into extensions, and not in the scheduler */
int ftc_native_enter(void);          /* like ftc_enter(), but it neither detaches nor raises */
void ftc_native_stop(int kind, uintptr_t object, size_t size, uintptr_t pc);         /* a point, of an operation on this */

void ftc_native_call(int kind, uintptr_t object, const void *function, uintptr_t pc);

/* --- native_calls.c ---------------------------------------------------------------------------- */

void ftc_native_calls_init(void);
void ftc_called(uintptr_t pc, const void *function, uintptr_t first);

/* --- native_locks.c, native_taking.c ------------------------------------------------------------ */

/* Who waits in C code is detached from the interpreter meanwhile, and in the scheduler, unless the run is over. */
typedef struct { PyThreadState *tstate; int is_inside; } ftc_stay;
struct ftc_worker;
ftc_stay ftc_stay_begins(struct ftc_worker *me);
void ftc_stay_ends(struct ftc_worker *me, ftc_stay stay);
void *ftc_waiting_wrapper_for(const char *name, void *real);        /* of functions that may have to wait */

/* --- native_waits.c ---------------------------------------------------------------------------- */

/* -1: it is to be done in earnest.  `when`: NULL: as long as it takes. */
int ftc_native_wait(void *condition, pthread_mutex_t *mutex, const struct timespec *when, clockid_t clock, const void *function, uintptr_t pc);
void ftc_native_signal(const void *condition, int all, const void *function, uintptr_t pc);
int ftc_native_barrier(const void *barrier, const void *function, uintptr_t pc);          /* 1: it was the last one to come */

/* --- native_threads.c -------------------------------------------------------------------------- */

/* A thread that C code makes in a run; `worker` is NULL where there is no run, or no room in it: then these do nothing. */
typedef struct { struct ftc_worker *worker; long run; } ftc_c_thread;
ftc_c_thread ftc_c_thread_comes(void);                 /* before it is made */
void ftc_c_thread_does_not_come(ftc_c_thread mine);
void ftc_c_thread_is(ftc_c_thread mine, pthread_t thread);
void ftc_c_thread_begins(ftc_c_thread mine);           /* on it: waits for its turn */
void ftc_c_thread_ends(void);
void ftc_c_thread_join(pthread_t thread);              /* waits for its end, if it is one of these */

/* --- tsan.c ----------------------------------------------------------------------------------- */

FTC_PUBLIC void __tsan_init(void);
FTC_PUBLIC void __tsan_func_entry(void *pc);
FTC_PUBLIC void __tsan_func_exit(void);
/* The calling extension calls something that is not compiled like it; `pc`: where that returns to. */
void ftc_call_out(uintptr_t pc);
/* atomics.c: this variable is released by a function that cannot be seen into. */
void ftc_release_at(uintptr_t address);
void ftc_acquire_at(uintptr_t address);                /* the other side of that */
void ftc_range(uintptr_t address, size_t size, int flags, uintptr_t pc);

/* --- modules.c -------------------------------------------------------------------------------- */

#define FTC_MODULES 250

typedef struct {
    uintptr_t base, low, high, end;  /* low to high: its code; end: of all that belongs to it */
    char path[512];
    int imports, unknown;            /* that were replaced; that lead nobody knows where yet, so that calls of them are no borders */
} ftc_module;

extern ftc_module ftc_modules[FTC_MODULES];
extern int ftc_module_count;
extern int ftc_module_changes;       /* how often one came, or went */
void ftc_find_modules(void);         /* those that are loaded, and were not there at the last call */
int ftc_module_of(uintptr_t address);                  /* its number, or -1 */
uint64_t ftc_place_of(uintptr_t pc);
int ftc_modules_refused(void);
void ftc_modules_in_child(void);

/* --- imports.c -------------------------------------------------------------------------------- */

typedef struct {
    const char *path;
    uintptr_t base, low, high, end;  /* as of an ftc_module */
    const ElfW(Sym) *symbols;
    const char *names;
    const ElfW(Rela) *tables[2];     /* of procedures, and of all else */
    size_t sizes[2];
    const ElfW(Half) *versions;
    const void *needed;
    size_t needed_count;
} ftc_imports;

int ftc_read_imports(const struct dl_phdr_info *info, ftc_imports *found);             /* 0: it says nothing of itself */
int ftc_imports_one(const ftc_imports *all, const char *name, size_t length);
void **ftc_import_entry(const ftc_imports *all, const char *name);     /* of a function; NULL: it is not imported */
void ftc_replace_imports(const ftc_imports *all, ftc_module *module);
int ftc_is_import(const ElfW(Rela) *one);

/* --- taken.c ---------------------------------------------------------------------------------- */

/* Addresses of entries, and whether some instruction calls through each of them; `count` is 0 where that is not known. */
typedef struct { uintptr_t *entries; unsigned char *called; size_t count; } ftc_taken;

ftc_taken ftc_what_is_only_taken(const ftc_imports *all);
int ftc_is_only_taken(const ftc_taken *known, uintptr_t entry);
void ftc_forget_taken(ftc_taken *known);

/* --- thunks.c, wrapped.c, indirect.c ---------------------------------------------------------------------- */

void *ftc_thunk_for(void *function);                   /* NULL: no memory */
/* What stands in for a function of this name.  `real`: where the function is kept, which comes with who needs it. */
typedef struct { const char *name; void (*wrapper)(void); void **real; } ftc_wrapper;
void *ftc_wrapper_in(const ftc_wrapper *table, size_t count, const char *name, void *real);      /* NULL: nothing does */
void *ftc_sync_wrapper_for(const char *name, void *real);            /* sync.c; NULL: it orders nothing by itself */
void *ftc_begun_wrapper_for(const char *name, void *real);           /* begun.c */
void *ftc_taking_wrapper_for(const char *name, void *real);          /* taking.c */
int ftc_is_thunk(const void *address);
void ftc_close_thunks(void);         /* they can be called now */
void *ftc_wrapper_for(const char *name, void *real);   /* NULL: there is none */
int ftc_orders_nothing(const char *name);              /* it may be called without a border */
int ftc_address_matters(const char *name);             /* the interpreter compares pointers with it */

/* --- blocks.c --------------------------------------------------------------------------------- */

void ftc_hook_allocators(void);
void ftc_block_taken(void *block, size_t size);
void ftc_block_asked_for(void *block, size_t size);
void ftc_block_given_back(void *block);

/* --- heap.c ----------------------------------------------------------------------------------- */

void *ftc_heap_wrapper_for(const char *name, void *real);              /* NULL: it gives nothing back */
void ftc_hook_unmapping(const ftc_imports *interpreter);

/* --- found.c ---------------------------------------------------------------------------------- */

#define FTC_STACK 24
#define FTC_LOCKS 4

typedef struct {
    uint64_t place;                  /* FTC_PLACE */
    int line;                        /* of Python code: then `name` says where */
} ftc_step;

typedef struct {
    int kind;                        /* enum ftc_lock_kind */
    uint64_t address, taken;         /* FTC_PLACE */
} ftc_held;

typedef struct {
    int flags, thread, steps, python_line, held;
    ftc_held locks[FTC_LOCKS];
    uint64_t places[FTC_STACK];      /* the access itself, then who has called that, each FTC_PLACE; 0: not in an extension */
    char label[FTC_LABEL_SIZE], python_file[256], python_name[128];
} ftc_side;

typedef struct {
    uint32_t ready;                  /* all of it is written */
    uint32_t count;
    int possible;                    /* borders order it, and nothing else does (strict.c) */
    uint64_t address;
    ftc_side sides[2];               /* the later one first */
} ftc_data_race;

void ftc_race_found(const ftc_touch *mine, const ftc_touch *other, uintptr_t address, int possible);

/* --- native.c --------------------------------------------------------------------------------- */

PyObject *ftc_native_begin(PyObject *module, PyObject *path);
PyObject *ftc_native_watch(PyObject *module, PyObject *args);
void ftc_native_begin_watching(int also);               /* enum ftc_mode */
PyObject *ftc_native_explore(PyObject *module, PyObject *ignored);
PyObject *ftc_native_points(PyObject *module, PyObject *ignored);
PyObject *ftc_native_module(PyObject *module, PyObject *address);
PyObject *ftc_native_place(PyObject *module, PyObject *offset);
PyObject *ftc_native_stuck(PyObject *module, PyObject *ignored);
PyObject *ftc_native_rest(PyObject *module, PyObject *ignored);
PyObject *ftc_native_runnable(PyObject *module, PyObject *ignored);
PyObject *ftc_native_tick(PyObject *module, PyObject *ignored);
PyObject *ftc_native_races(PyObject *module, PyObject *ignored);
PyObject *ftc_native_state(PyObject *module, PyObject *ignored);
int ftc_found_init(const char *path);
void ftc_found_begin(void);          /* a new list */
PyObject *ftc_native_races_of(PyObject *module, PyObject *path);
uint32_t ftc_found_count(void);
unsigned long ftc_found_possible_dropped(void);        /* the same of possible ones */
unsigned long ftc_found_dropped(void);                 /* races there was no room for, or that have no place */

#pragma GCC visibility pop

#endif

/* What the files share that watch the memory accesses of C extensions.
 *
 * An extension that ftcheck-cc has compiled calls a function of ours (__tsan_read4, ...) before each access to memory.  These
 * are the callbacks of -fsanitize=thread (LLVM's and GCC's ThreadSanitizer); its own runtime is not used, because it has to
 * see all synchronisation, and an interpreter that was not built for it shows it none.
 *
 *   tsan.c        the callbacks for plain accesses, functions and C++ objects
 *   atomics.c     those for C11 and C++ atomics, which are operations of their own
 *   accesses.c    the detector: two accesses, one of them writes, and nothing has ordered them
 *   shadow.c      its memory: the last accesses to each eight bytes
 *   watchers.c    threads that access, and the order of what they do: vector clocks
 *   contexts.c    call stacks as numbers
 *   modules.c     finds the extensions that call us
 *   imports.c     replaces the functions that they import
 *   indirect.c    calls through pointers
 *   thunks.c      what such a function is replaced by where nothing is known of it
 *   wrapped.c     what it is replaced by where something is
 *   held.c        the locks that a thread holds
 *   blocks.c      memory that is taken and given back
 *   found.c       the races that were found, in memory that outlives a crash
 *   native_points.c  scheduling points, for the explorer (sched.h); native_calls.c those that are calls of the interpreter,
 *                 native_locks.c waiting for locks of C code
 *   native.c      the names that Python sees
 *
 * What orders (the overlap rule).  The interpreter is not compiled like this, so how it orders threads cannot be seen: by the
 * locks of its containers, by reference counts, by stopping the world.  So each entry into an extension from elsewhere, each
 * return, and each call of something that is imported is taken to order: all that was done before such a border in one thread
 * comes before all that is done after a later border in another.  A race is reported where two accesses are not separated by
 * one: the stretches of C code in which they stand have overlapped in time, and no atomic operation between them says who was
 * first.  So nothing is reported that the interpreter, or a library, can have ordered.
 */
#ifndef FTCHECK_NATIVE_H
#define FTCHECK_NATIVE_H

#include "core.h"
#include <elf.h>
#include <link.h>

#define FTC_PUBLIC __attribute__((visibility("default")))
#define FTC_CALLER ((uintptr_t)__builtin_return_address(0))

/* --- what an access is ------------------------------------------------------------------------ */

enum ftc_access { FTC_READS = 0, FTC_WRITES = 1, FTC_ATOMIC = 2, FTC_FREES = 4 };      /* flags */
#define FTC_RELAXED 8                /* of what comes to ftc_before_access() only */

/* One access as the shadow has it: who, when, and which of eight bytes; and from where. */
typedef struct {
    uint64_t who;                    /* 0: none; see FTC_WHO */
    uint64_t where;                  /* see FTC_WHERE */
} ftc_touch;

#define FTC_WHO(epoch, id, flags, low, size) \
    ((uint64_t)(epoch) << 22 | (uint64_t)(id) << 14 | (uint64_t)(flags) << 8 | (uint64_t)(low) << 4 | (uint64_t)(size))
#define FTC_EPOCH(who) ((who) >> 22)
#define FTC_ID(who) ((int)((who) >> 14 & 0xff))
#define FTC_FLAGS(who) ((int)((who) >> 8 & 7))
#define FTC_LOW(who) ((int)((who) >> 4 & 7))
#define FTC_SIZE(who) ((int)((who) & 15))

/* Where: the number of the call stack, of the module, and the offset of the instruction in it. */
#define FTC_WHERE(context, place) ((uint64_t)(context) << 36 | (uint64_t)(place))
#define FTC_CONTEXT(where) ((uint32_t)((where) >> 36))
#define FTC_PLACE(where) ((where) & 0xfffffffffu)
#define FTC_PLACE_MODULE(place) ((int)((place) >> 28))
#define FTC_PLACE_OFFSET(place) ((uintptr_t)((place) & 0xfffffff))

/* --- watchers.c ------------------------------------------------------------------------------- */

#define FTC_WATCHED 256              /* threads at a time; those beyond are not watched, and counted */
#define FTC_DEEP 512                 /* calls within extensions; what is deeper has the stack of the last one that is noted */

typedef struct { uintptr_t frame; uint32_t context; int border; } ftc_frame;

typedef struct {
    int id;
    uint64_t epoch;                  /* of this thread: one more after each border and each atomic release */
    uint64_t heard[FTC_WATCHED];     /* of which epoch of each thread it has heard */
    int behind;                      /* it has been elsewhere: before its next access it hears what all others have told */
    int muted;
    uintptr_t stack_low, stack_high;
    uint32_t context;                /* its call stack now */
    uintptr_t called_from;           /* where the extension last called something that is not compiled like it */
    int depth;
    ftc_frame frames[FTC_DEEP];
    uint64_t random;
    char label[FTC_LABEL_SIZE];
} ftc_watcher;

extern int ftc_native_begun;         /* extensions are looked for: those that come are taken in */
extern int ftc_native_on __attribute__((visibility("hidden")));        /* accesses are looked at */
extern _Thread_local ftc_watcher *ftc_watcher_here;
ftc_watcher *ftc_new_watcher(void);  /* NULL: there are too many */

static inline ftc_watcher *
ftc_watcher_me(void)
{
    ftc_watcher *me = ftc_watcher_here;
    return me != NULL ? me : ftc_new_watcher();
}

int ftc_watchers_init(void);
int ftc_watchers_used(void);         /* ids below this one are, or were, in use */
const char *ftc_watcher_label(int id);
long ftc_unwatched(void);            /* threads there was no room for */
/* All that this thread has done is before what any other does after its next border. */
void ftc_tell_all(ftc_watcher *me);
void ftc_hear_everybody(ftc_watcher *me);
/* The clock of an atomic variable, under the lock of its cell. */
typedef struct ftc_clock { struct ftc_clock *next; uint64_t epochs[FTC_WATCHED]; } ftc_clock;
void ftc_hear_clock(ftc_watcher *me, const ftc_clock *clock);
void ftc_tell_clock(ftc_watcher *me, ftc_clock *clock);
ftc_clock *ftc_new_clock(void);      /* NULL: no memory */
void ftc_drop_clock(ftc_clock *clock);

/* --- contexts.c ------------------------------------------------------------------------------- */

typedef struct {
    uint32_t parent;
    int line;                        /* of Python code; else 0 */
    uintptr_t place;                 /* where the call stands; or the code object, which is kept */
} ftc_context;

uint32_t ftc_context_of(uint32_t parent, uintptr_t place, int line);
const ftc_context *ftc_context_at(uint32_t number);    /* NULL: it is the root */
uint32_t ftc_python_context(void);   /* the line of Python code that calls into C now */

/* --- held.c ----------------------------------------------------------------------------------- */

enum ftc_lock_kind {
    FTC_PY_MUTEX = 1, FTC_SECTION, FTC_MUTEX, FTC_READ_LOCK, FTC_WRITE_LOCK, FTC_SPIN_LOCK, FTC_THREAD_LOCK, FTC_BYTE
};
/* Steps of a stack that are no calls: as the line of an ftc_context. */
#define FTC_LOCK (-16)               /* `place` is the address of a lock */
#define FTC_LOCK_TAKEN (-32)         /* less its kind: `place` is where the lock above was taken */
void ftc_held_begin(void);
/* `key`: by which it is given back. */
void ftc_lock_taken(const volatile void *lock, const volatile void *key, int kind, uintptr_t pc);
void ftc_lock_given_back(const volatile void *key);
void ftc_byte_exchanged(ftc_watcher *me, uintptr_t address, int before, int after, uintptr_t pc);
uint32_t ftc_with_locks(uint32_t context);
void *ftc_lock_wrapper_for(const char *name);          /* NULL: it takes none */

/* --- shadow.c --------------------------------------------------------------------------------- */

#define FTC_TOUCHES 3

typedef struct {
    uint8_t lock;
    uint8_t next : 4, freed : 4;     /* which of the touches is forgotten next; the block that this is in was given back */
    uint16_t units;                  /* of eight bytes, of the block that begins here; 0: not known */
    uint32_t generation;             /* of what it says; an older one means nothing */
    ftc_clock *clock;
    ftc_touch touches[FTC_TOUCHES];
} ftc_cell;

ftc_cell *ftc_cell_of(uintptr_t address);              /* made if there is none; NULL: no memory */
ftc_cell *ftc_cell_if_any(uintptr_t address);
void ftc_lock_cell(ftc_cell *cell);  /* and what an earlier generation has left in it is gone */
void ftc_new_generation(void);
size_t ftc_shadow_bytes(void);

static inline void
ftc_unlock_cell(ftc_cell *cell)
{
    __atomic_store_n(&cell->lock, 0, __ATOMIC_RELEASE);
}

/* --- accesses.c ------------------------------------------------------------------------------- */

void ftc_access_memory(ftc_watcher *me, uintptr_t address, size_t size, int flags, uintptr_t pc);
/* The same for eight bytes, or a part of them, whose cell is locked. */
void ftc_touch_cell(ftc_watcher *me, ftc_cell *cell, uintptr_t address, int size, int flags, uintptr_t pc);
void ftc_set_delays(double rate, long longest, uint64_t seed);         /* nanoseconds */
void ftc_perhaps_wait(ftc_watcher *me, uintptr_t pc);
void ftc_seed_watcher(ftc_watcher *me);

/* --- native_points.c -------------------------------------------------------------------------- */

#define FTC_NATIVE_OFFSET (-2)       /* of operations that stand in an extension: this less the number of the instruction */
extern int ftc_native_exploring;     /* accesses are scheduling points */
void ftc_native_point(uintptr_t address, size_t size, int flags, uintptr_t pc);
void ftc_native_settle(void);        /* what was written last has been written by now */
uint64_t ftc_place_of_offset(int offset);
int ftc_native_enter(void);          /* like ftc_enter(), but it neither detaches nor raises */
void ftc_native_stop(int kind, uintptr_t object, size_t size, uintptr_t pc);         /* a point, of an operation on this */

void ftc_native_call(int kind, uintptr_t object, const void *function, uintptr_t pc);

/* --- native_calls.c ---------------------------------------------------------------------------- */

void ftc_native_calls_init(void);
void ftc_called(uintptr_t pc, const void *function, uintptr_t first);

/* --- native_locks.c ---------------------------------------------------------------------------- */

void *ftc_waiting_wrapper_for(const char *name, void *real);        /* of functions that may have to wait */

/* What comes before each access: others may go first. */
static inline void
ftc_before_access(ftc_watcher *me, uintptr_t address, size_t size, int flags, uintptr_t pc)
{
    if (ftc_native_exploring) {
        ftc_native_point(address, size, flags, pc);
    }
    else {
        ftc_perhaps_wait(me, pc);
    }
}

/* --- tsan.c ----------------------------------------------------------------------------------- */

FTC_PUBLIC void __tsan_init(void);
FTC_PUBLIC void __tsan_func_entry(void *pc);
FTC_PUBLIC void __tsan_func_exit(void);
/* The calling extension calls something that is not compiled like it; `pc`: where that returns to. */
void ftc_call_out(uintptr_t pc);
/* atomics.c: this variable is released by a function that cannot be seen into. */
void ftc_release_at(uintptr_t address);
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
void ftc_replace_imports(const ftc_imports *all, ftc_module *module);

/* --- thunks.c, wrapped.c, indirect.c ---------------------------------------------------------------------- */

void *ftc_thunk_for(void *function);                   /* NULL: no memory */
int ftc_is_thunk(const void *address);
void ftc_close_thunks(void);         /* they can be called now */
void *ftc_wrapper_for(const char *name, void *real);   /* NULL: there is none */
int ftc_orders_nothing(const char *name);              /* it may be called without a border */
int ftc_address_matters(const char *name);             /* the interpreter compares pointers with it */

/* --- blocks.c --------------------------------------------------------------------------------- */

void ftc_hook_allocators(void);
void ftc_block_taken(void *block, size_t size);
void ftc_block_given_back(void *block);

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
    uint64_t address;
    ftc_side sides[2];               /* the later one first */
} ftc_data_race;

void ftc_race_found(ftc_watcher *me, const ftc_touch *mine, const ftc_touch *other, uintptr_t address);

/* --- native.c --------------------------------------------------------------------------------- */

PyObject *ftc_native_begin(PyObject *module, PyObject *path);
PyObject *ftc_native_watch(PyObject *module, PyObject *args);
void ftc_native_begin_watching(void);
PyObject *ftc_native_explore(PyObject *module, PyObject *ignored);
PyObject *ftc_native_points(PyObject *module, PyObject *ignored);
PyObject *ftc_native_module(PyObject *module, PyObject *address);
PyObject *ftc_native_place(PyObject *module, PyObject *offset);
PyObject *ftc_native_rest(PyObject *module, PyObject *ignored);
PyObject *ftc_native_races(PyObject *module, PyObject *ignored);
PyObject *ftc_native_state(PyObject *module, PyObject *ignored);
int ftc_found_init(const char *path);
void ftc_found_begin(void);          /* a new list */
PyObject *ftc_native_races_of(PyObject *module, PyObject *path);
uint32_t ftc_found_count(void);

#endif

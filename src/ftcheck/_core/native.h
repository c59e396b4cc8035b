/* What the files share that watch the memory accesses of C extensions.
 *
 * An extension that ftcheck-cc has compiled calls a function of ours (__tsan_read4, ...) before each access to memory.  These
 * are the callbacks of -fsanitize=thread (LLVM's and GCC's ThreadSanitizer); its own runtime is not used, because it has to
 * see all synchronisation, and an interpreter that was not built for it shows it none.
 *
 *   tsan.c        the callbacks for plain accesses, functions and C++ objects
 *   atomics.c     those for C11 and C++ atomics, which are operations of their own
 *   annotations.c what code says to ThreadSanitizer by itself, and atomics of sixteen bytes (wide.h)
 *   accesses.c    the detector: two accesses, one of them writes, and nothing has ordered them
 *   delays.c      who waits before an access, and how long
 *   shadow.c      its memory: the last accesses to each eight bytes
 *   watchers.c    threads that access, and the order of what they do: vector clocks
 *   contexts.c    call stacks as numbers
 *   modules.c     finds the extensions that call us
 *   imports.c     replaces the functions that they import
 *   indirect.c    calls through pointers
 *   thunks.c      what such a function is replaced by where nothing is known of it
 *   wrapped.c     what it is replaced by where something is
 *   strict.c      the strict rule, by which borders order nothing
 *   sync.c        functions by which threads synchronise, besides locks
 *   handover.c    locks and queues of Python
 *   held.c        the locks that a thread holds
 *   stuck.c       those that the threads of a deadlock hold
 *   blocks.c      memory that is taken and given back
 *   heap.c        that of malloc(), and of the system
 *   found.c       the races that were found, in memory that outlives a crash
 *   native_shared.c  memory that several threads of a run touch
 *   native_points.c  scheduling points, for the explorer (sched.h); native_calls.c those that are calls of the interpreter,
 *                 native_locks.c waiting for locks of C code
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

#include "core.h"
#include <elf.h>
#include <link.h>

#pragma GCC visibility push(hidden)  /* what is declared here is reached without a detour; but for what is FTC_PUBLIC */

#define FTC_PUBLIC __attribute__((visibility("default")))
#define FTC_CALLER ((uintptr_t)__builtin_return_address(0))

/* --- what an access is ------------------------------------------------------------------------ */

enum ftc_access { FTC_READS = 0, FTC_WRITES = 1, FTC_ATOMIC = 2, FTC_FREES = 4 };      /* flags */
#define FTC_RELAXED 8                /* of what comes to ftc_arrive() only */

/* One access as the shadow has it: who, when, how, and which of eight bytes; and from where.
 *
 * `who` is 0 where there is none.  The bit of FTC_ATOMIC is stored the other way round: so a word has all bits of another one
 * of the same epoch where that one adds nothing to it, which is what the fast path asks (ftc_nothing_new). */
typedef struct {
    uint64_t who;                    /* see FTC_WHO */
    uint32_t where;                  /* see FTC_WHERE */
} ftc_touch;

#define FTC_NOW(epoch, id) ((uint64_t)(epoch) << 22 | (uint64_t)(id) << 14)
#define FTC_HOW(flags, bytes) ((uint64_t)((flags) ^ FTC_ATOMIC) << 8 | (uint64_t)(bytes))
#define FTC_BYTES_OF(low, size) (((1u << (size)) - 1) << (low))
#define FTC_EPOCH(who) ((who) >> 22)
#define FTC_ID(who) ((int)((who) >> 14 & 0xff))
#define FTC_FLAGS(who) ((int)((who) >> 8 & 7) ^ FTC_ATOMIC)
#define FTC_BYTES(who) ((unsigned)((who) & 0xff))
#define FTC_TAKEN ((uint64_t)FTC_FREES << 8 | 1u << 13)  /* in place of a word: somebody is about to put another one there */
#define FTC_SAME (~(uint64_t)0x3fff | FTC_FREES << 8)  /* what must be equal: epoch, thread, and that it frees */

/* Where: a node of contexts.c, and once more the thread. */
#define FTC_WHERE(id, node) ((uint32_t)(id) << 24 | (node))
#define FTC_NODE(where) ((where) & 0xffffffu)
#define FTC_WHERE_ID(where) ((int)((where) >> 24))

/* A place: the number of the module, and the offset of the instruction in it. */
#define FTC_PLACE_MODULE(place) ((int)((place) >> 28))
#define FTC_PLACE_OFFSET(place) ((uintptr_t)((place) & 0xfffffff))

/* --- watchers.c ------------------------------------------------------------------------------- */

#define FTC_WATCHED 256              /* threads at a time; those beyond are not watched, and counted */
#define FTC_PLACES 4096              /* in the code, that are told apart by delays.c */
#define FTC_DEEP 512                 /* calls within extensions; what is deeper has the stack of the last one that is noted */

#define FTC_AT_HAND 512                 /* nodes that a thread has at hand */
#define FTC_CALLERS 64               /* places of calls of which it knows whether they are in an extension */
#define FTC_UNKNOWN UINT32_MAX
#define FTC_TICKS 64                 /* that are remembered of each thread; what is older counts as having come first */

typedef struct {
    uintptr_t frame, called_from;
    uint32_t context;                /* FTC_UNKNOWN: nobody has asked yet */
    int border;
} ftc_frame;

/* Of each id: the epochs that are over.  Written by the thread that has it, read by whoever has to know. */
typedef struct {
    _Alignas(64) uint64_t told;      /* the last epoch that is over */
    uint64_t tick;                   /* when that was */
    uint64_t count;                  /* of the entries there were */
    struct { uint64_t tick, told; } entries[FTC_TICKS];          /* when this tick had passed, these were over */
} ftc_past;

typedef struct {
    uint64_t now;                    /* its epoch, one more after each border and each atomic release; and its id: FTC_NOW */
    ftc_past *past;
    uintptr_t called_from;           /* where the extension last called something that is not compiled like it */
    int behind;                      /* it has been elsewhere: its next access is after all that others have told */
    int id;
    uint64_t since;                  /* the tick at which that was so the last time */
    int muted;
    int holds;                       /* it has the lock of a cell */
    int frees;                       /* what it writes is memory that it gives back */
    int fenced;                      /* it has passed a fence that releases */
    int depth;
    uintptr_t stack_low, stack_high;
    uint32_t turn;                   /* accesses that were noted */
    uint32_t until;                  /* accesses before the next one that may wait */
    uint32_t firsts, stops_at;       /* places that it has come to in this round; and at which of them it stops (delays.c) */
    uint64_t been[FTC_PLACES / 64];  /* where it has been in this round, a bit each */
    int modules;                     /* there were so many when `callers` was filled */
    uint64_t random;
    struct { uintptr_t pc; int border; } callers[FTC_CALLERS];
    struct { uintptr_t pc; uint32_t parent, node; } near[FTC_AT_HAND];
    uint64_t heard[FTC_WATCHED];     /* of which epoch of each thread it has heard, by atomic operations */
    ftc_frame frames[FTC_DEEP];
    pthread_t thread;
    const struct ftc_lock_held *held;     /* so many locks: held.c.  NULL: it has taken none yet */
    const int *holding;
    char label[FTC_LABEL_SIZE];
} ftc_watcher;

/* Whether accesses are looked at, and what else is done at each.  So the fast path of all callbacks asks one word. */
enum ftc_mode { FTC_RESTS = 0, FTC_WATCHES = 1, FTC_DELAYS = 2, FTC_EXPLORES = 4 };      /* flags */

extern int ftc_native_begun;         /* extensions are looked for: those that come are taken in */
extern int ftc_native_on;            /* enum ftc_mode */
extern _Thread_local ftc_watcher *ftc_watcher_here __attribute__((tls_model("initial-exec")));
ftc_watcher *ftc_new_watcher(void);  /* NULL: there are too many */
ftc_watcher *ftc_new_announced_watcher(void);          /* the same for a thread that will be told what came before it */
void ftc_name_watcher(ftc_watcher *me);                /* it may have a name by now */

static inline ftc_watcher *
ftc_watcher_me(void)
{
    ftc_watcher *me = ftc_watcher_here;
    return me != NULL ? me : ftc_new_watcher();
}

int ftc_watchers_init(void);
int ftc_watchers_used(void);         /* ids below this one are, or were, in use */
const char *ftc_watcher_label(int id);
const ftc_watcher *ftc_watcher_of(pthread_t thread);   /* NULL: it is not watched.  It must not end meanwhile */
long ftc_unwatched(void);            /* threads there was no room for, in this watch */
uint64_t ftc_noted(void);            /* accesses that said something new, in this watch */
long ftc_children(void);             /* of fork(), in this watch: nobody looks at them */
void ftc_watchers_begin(void);       /* a new watch */

/* Borders.  Time goes in ticks: whoever waits, or has got on a good way, makes a new one (watchers.c). */
extern uint64_t ftc_ticks;
#define FTC_PROGRESS 256             /* so many borders, or accesses that are noted, of a thread: time has gone on */
/* To be called where a thread is made to wait while another one goes on, and again when it does itself. */
static inline void
ftc_tick(void)
{
    __atomic_fetch_add(&ftc_ticks, 1, __ATOMIC_SEQ_CST);
}
/* All that this thread has done is before what any other does after its next border. */
void ftc_tell_all(ftc_watcher *me);

/* The same, where there is no new tick to be noted or made.  Returns whether it was done. */
static inline __attribute__((always_inline)) int
ftc_told_quickly(ftc_watcher *me)
{
    uint64_t epoch = FTC_EPOCH(me->now);
    if (me->past->tick != __atomic_load_n(&ftc_ticks, __ATOMIC_RELAXED) || epoch % FTC_PROGRESS == 0) {
        return 0;
    }
    __atomic_store_n(&me->past->told, epoch, __ATOMIC_RELEASE);
    me->now += FTC_NOW(1, 0);
    return 1;
}

/* --- strict.c: the other rule, when it is asked for */
extern int ftc_strict;
void ftc_strict_begins(uintptr_t address);
void ftc_strict_sections(int tell);
int ftc_watch_handovers(int on);     /* handover.c; -1: with an exception */
PyObject *ftc_native_tell(PyObject *module, PyObject *address);
PyObject *ftc_native_hear(PyObject *module, PyObject *address);
PyObject *ftc_native_begins(PyObject *module, PyObject *address);

static inline void
ftc_hear_everybody(ftc_watcher *me)
{
    uint64_t tick = __atomic_load_n(&ftc_ticks, __ATOMIC_ACQUIRE);
    if (__builtin_expect(ftc_strict, 0)) {
        ftc_strict_sections(0);
    }
    me->behind = 0;
    me->since = tick > me->since ? tick : me->since;
}

uint64_t ftc_progress_of_others(const ftc_watcher *me);               /* another number: one of them has got on */
int ftc_is_before(const ftc_watcher *me, int id, uint64_t epoch);      /* what `id` did then, and what `me` does now */
void ftc_hear_what_is_over(ftc_watcher *me);           /* as if others had told it by atomic operations */

/* The clock of an atomic variable, under the lock of its cell; by its number, and 0 is none. */
void ftc_hear_clock(ftc_watcher *me, uint32_t clock);
void ftc_tell_clock(ftc_watcher *me, uint32_t clock);
uint32_t ftc_new_clock(void);        /* 0: no memory */
void ftc_drop_clock(uint32_t clock);
void ftc_drop_all_clocks(void);

/* --- held.c ----------------------------------------------------------------------------------- */

enum ftc_lock_kind {
    FTC_PY_MUTEX = 1, FTC_SECTION, FTC_MUTEX, FTC_READ_LOCK, FTC_WRITE_LOCK, FTC_SPIN_LOCK, FTC_THREAD_LOCK, FTC_BYTE
};
/* Steps of a stack that are no calls: as the line of an ftc_context. */
#define FTC_LOCK (-16)               /* `place` is the address of a lock */
#define FTC_LOCK_TAKEN (-32)         /* less its kind: `place` is where the lock above was taken */
#define FTC_HELD 6                   /* locks at a time; what is taken besides is not named */
typedef struct ftc_lock_held {
    uintptr_t lock, key, pc;         /* key: by which it is given back; pc: where it was taken */
    int kind;
} ftc_lock_held;
void ftc_held_begin(void);
/* `key`: by which it is given back. */
void ftc_lock_taken(const volatile void *lock, const volatile void *key, int kind, uintptr_t pc);
void ftc_lock_given_back(const volatile void *key);
void ftc_byte_exchanged(ftc_watcher *me, uintptr_t address, int before, int after, uintptr_t pc);
extern _Thread_local int ftc_locks_held __attribute__((tls_model("initial-exec")));         /* so many */
uint32_t ftc_with_locks(uint32_t context);
void *ftc_lock_wrapper_for(const char *name);          /* NULL: it takes none */

/* --- stuck.c ---------------------------------------------------------------------------------- */

void ftc_note_stuck(void);           /* now, when all are stopped */
void ftc_forget_stuck(void);

/* --- contexts.c ------------------------------------------------------------------------------- */

typedef struct {
    uint32_t parent;
    int line;                        /* of Python code; else 0 */
    uintptr_t place;                 /* where the call stands; or the code object, which is kept */
} ftc_context;

#define FTC_SITE (-1)                /* as a line: the node is no call, but an access */

uint32_t ftc_context_of(uint32_t parent, uintptr_t place, int line);
const ftc_context *ftc_context_at(uint32_t number);    /* NULL: it is the root */
long ftc_contexts_lost(void);        /* calls there was no room for: stacks are shorter than they were */
uint32_t ftc_python_context(ftc_watcher *me);          /* the line of Python code that calls into C now */
uint32_t ftc_find_context(ftc_watcher *me);
uint32_t ftc_find_node(ftc_watcher *me, uint32_t parent, uintptr_t pc, int line);

/* A place is that of a call, or of an access, and not both. */
static inline uint32_t
ftc_node_of(ftc_watcher *me, uint32_t parent, uintptr_t pc, int line)
{
    unsigned at = (unsigned)(pc + parent * 37) % FTC_AT_HAND;
    if (__builtin_expect(me->near[at].pc == pc && me->near[at].parent == parent, 1)) {
        return me->near[at].node;
    }
    return ftc_find_node(me, parent, pc, line);
}

static inline uint32_t
ftc_context_here(ftc_watcher *me)    /* the stack of calls within extensions */
{
    unsigned top = (unsigned)me->depth - 1;
    return top < FTC_DEEP && me->frames[top].context != FTC_UNKNOWN ? me->frames[top].context : ftc_find_context(me);
}

static inline uint32_t
ftc_where_at_hand(ftc_watcher *me, uintptr_t pc)       /* the same; FTC_UNKNOWN: it has to be looked up */
{
    unsigned top = (unsigned)me->depth - 1;
    uint32_t context = top < FTC_DEEP ? me->frames[top].context : FTC_UNKNOWN;
    unsigned at = (unsigned)(pc + context * 37) % FTC_AT_HAND;
    return me->near[at].pc == pc && me->near[at].parent == context && ftc_locks_held == 0 ? FTC_WHERE(me->id, me->near[at].node) : FTC_UNKNOWN;
}

static inline uint32_t
ftc_where(ftc_watcher *me, uintptr_t pc)               /* FTC_WHERE of an access there */
{
    return FTC_WHERE(me->id, ftc_node_of(me, ftc_with_locks(ftc_context_here(me)), pc, FTC_SITE));
}

/* --- shadow.c --------------------------------------------------------------------------------- */

#define FTC_TOUCHES 3
#define FTC_REGION 22                /* bits of an address within a region */
#define FTC_CELLS (1u << (FTC_REGION - 3))
#define FTC_REGIONS ((size_t)1 << (48 - FTC_REGION))   /* user space of x86-64 and aarch64 */
#define FTC_PAGE 512                 /* cells of which is noted together whether there is anything in them */

typedef struct {
    uint64_t who[FTC_TOUCHES];
    uint8_t lock;                    /* for the clock, and what goes with it */
    uint16_t units;                  /* of eight bytes, of the block that begins here; 0: not known */
    uint32_t clock;
} ftc_cell;

extern ftc_cell **ftc_regions;
int ftc_shadow_init(void);
ftc_cell *ftc_make_region(uintptr_t address);          /* NULL: no memory */
void ftc_lock_cell(ftc_cell *cell);
void ftc_new_generation(void);       /* all that it says is forgotten */
size_t ftc_shadow_bytes(void);

static inline ftc_cell *
ftc_region_at(uintptr_t address)
{
    return __atomic_load_n(&ftc_regions[address >> FTC_REGION & (FTC_REGIONS - 1)], __ATOMIC_ACQUIRE);
}

static inline uint32_t
ftc_cell_number(uintptr_t address)
{
    return (uint32_t)(address >> 3) & (FTC_CELLS - 1);
}

/* Beside the cells: from where each of their touches came; and which pages have any. */
static inline uint32_t *
ftc_wheres_of(ftc_cell *region, uint32_t number)
{
    return (uint32_t *)(region + FTC_CELLS) + (size_t)number * FTC_TOUCHES;
}

static inline uint8_t *
ftc_page_of(ftc_cell *region, uint32_t number)
{
    return (uint8_t *)ftc_wheres_of(region, FTC_CELLS) + number / FTC_PAGE;
}

static inline ftc_cell *
ftc_cell_of(uintptr_t address)                         /* made if there is none; NULL: no memory */
{
    ftc_cell *region = ftc_region_at(address);
    region = region != NULL ? region : ftc_make_region(address);
    return region == NULL ? NULL : &region[ftc_cell_number(address)];
}

static inline ftc_cell *
ftc_cell_if_any(uintptr_t address)                     /* NULL: nothing was touched near it */
{
    ftc_cell *region = ftc_region_at(address);
    uint32_t number = ftc_cell_number(address);
    return region == NULL || !*ftc_page_of(region, number) ? NULL : &region[number];
}

static inline void
ftc_unlock_cell(ftc_cell *cell)
{
    __atomic_store_n(&cell->lock, 0, __ATOMIC_RELEASE);
}

/* Who puts a touch in a place of a cell takes that place first; 0: it is no more as it was seen to be.  Then the node goes there,
 * and then the word: who finds the same word before it reads the node and after it has them both of one touch. */
static inline int
ftc_take_place(uint64_t *place, uint64_t seen)
{
    return __atomic_compare_exchange_n(place, &seen, FTC_TAKEN, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

static inline void
ftc_fill_place(uint64_t *place, uint32_t *where, ftc_touch touch)
{
    __atomic_store_n(where, touch.where, __ATOMIC_RELEASE);            /* after FTC_TAKEN */
    __atomic_store_n(place, touch.who, __ATOMIC_RELEASE);
}

/* The same where it is one's own place, or nobody's, without an atomic operation: another thread that takes it at that moment may
 * be forgotten, or its word stand beside this one's node. */
static inline void
ftc_put_in_place(uint64_t *place, uint32_t *where, ftc_touch touch)
{
    __atomic_store_n(place, FTC_TAKEN, __ATOMIC_RELAXED);
    ftc_fill_place(place, where, touch);
}

/* Returns whether the node was read that belongs to this word; -1: there is none, and never will be. */
static inline int
ftc_read_place(const uint64_t *place, const uint32_t *where, ftc_touch *touch)
{
    touch->where = __atomic_load_n(where, __ATOMIC_ACQUIRE);
    int same = __atomic_load_n(place, __ATOMIC_RELAXED) == touch->who;
    return same && FTC_WHERE_ID(touch->where) != FTC_ID(touch->who) ? -1 : same;
}

/* This thread has noted in this epoch that it does as much, or more, with these bytes. */
static inline int
ftc_nothing_new(const ftc_cell *cell, uint64_t who)
{
    uint64_t asked = FTC_SAME | who;
    return (__atomic_load_n(&cell->who[0], __ATOMIC_RELAXED) & asked) == who
        || (__atomic_load_n(&cell->who[1], __ATOMIC_RELAXED) & asked) == who
        || (__atomic_load_n(&cell->who[2], __ATOMIC_RELAXED) & asked) == who;
}

/* --- accesses.c ------------------------------------------------------------------------------- */

/* From a callback: all that there is to do at an access; and where this thread is watched and does not wait, and has not noted
 * this word already. */
void ftc_access_slowly(uintptr_t address, size_t size, int flags, uintptr_t pc);
void ftc_note(ftc_watcher *me, ftc_cell *region, uintptr_t address, uint64_t who, uintptr_t pc);
/* The thread that comes to an access: NULL if nobody watches it, or it is its own stack.  It has waited if it had to. */
ftc_watcher *ftc_arrive(uintptr_t address, size_t size, int flags, uintptr_t pc);
void ftc_access_memory(ftc_watcher *me, uintptr_t address, size_t size, int flags, uintptr_t pc);
/* The same for eight bytes, or a part of them, which are in this cell of this region. */
void ftc_touch_cell(ftc_watcher *me, ftc_cell *region, uintptr_t address, ftc_touch mine);

/* The fast path of a callback that looks at up to eight bytes. */
static inline __attribute__((always_inline)) void
ftc_access(uintptr_t address, unsigned size, int flags, uintptr_t pc)
{
    int mode = __atomic_load_n(&ftc_native_on, __ATOMIC_RELAXED);
    unsigned low = (unsigned)(address & 7);
    if (__builtin_expect(mode == FTC_WATCHES && low + size <= 8, 1)) {
        ftc_watcher *me = ftc_watcher_here;
        ftc_cell *region = ftc_region_at(address);
        if (__builtin_expect(me != NULL && region != NULL, 1)) {
            uint64_t who = me->now | FTC_HOW(flags & ~FTC_RELAXED, FTC_BYTES_OF(low, size));
            if (!ftc_nothing_new(&region[ftc_cell_number(address)], who)) {
                ftc_note(me, region, address, who, pc);
            }
            return;
        }
    }
    else if (mode == FTC_RESTS) {
        return;
    }
    ftc_access_slowly(address, size, flags, pc);
}

/* --- delays.c ---------------------------------------------------------------------------------- */

void ftc_set_delays(double rate, long longest, uint64_t seed);         /* nanoseconds */
void ftc_seed_watcher(ftc_watcher *me);                /* at its beginning, and that of each round */
void ftc_begin_round(void);          /* on each thread of it, which has its number in its slot */
void ftc_delay(ftc_watcher *me, uintptr_t pc);

/* --- native_points.c -------------------------------------------------------------------------- */

#define FTC_NATIVE_OFFSET (-2)       /* of operations that stand in an extension: this less the number of the instruction */
extern int ftc_native_exploring;     /* accesses are scheduling points */
void ftc_native_point(uintptr_t address, size_t size, int flags, uintptr_t pc);
extern long ftc_native_passed;       /* points in this run */
void ftc_native_settle(void);        /* what was written last has been written by now */
void ftc_native_wrote_nothing(void); /* the atomic operation has found another value than it was to replace */
uint64_t ftc_place_of_offset(int offset);
int ftc_offset_of(uintptr_t pc);     /* the other way round */
int ftc_native_enter(void);          /* like ftc_enter(), but it neither detaches nor raises */
void ftc_native_stop(int kind, uintptr_t object, size_t size, uintptr_t pc);         /* a point, of an operation on this */

void ftc_native_call(int kind, uintptr_t object, const void *function, uintptr_t pc);

/* --- native_calls.c ---------------------------------------------------------------------------- */

void ftc_native_calls_init(void);
void ftc_called(uintptr_t pc, const void *function, uintptr_t first);

/* --- native_locks.c ---------------------------------------------------------------------------- */

void *ftc_waiting_wrapper_for(const char *name, void *real);        /* of functions that may have to wait */

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

/* --- thunks.c, wrapped.c, indirect.c ---------------------------------------------------------------------- */

void *ftc_thunk_for(void *function);                   /* NULL: no memory */
void *ftc_sync_wrapper_for(const char *name, void *real);            /* sync.c; NULL: it orders nothing by itself */
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

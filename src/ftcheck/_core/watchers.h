/* Who accesses memory in extensions, when, and from where: threads and the order of what they do (watchers.c, strict.c), the locks
 * that they hold (held.c), and their stacks of calls (contexts.c).  Part of native.h. */
#ifndef FTCHECK_WATCHERS_H
#define FTCHECK_WATCHERS_H

#include "core.h"

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
#define FTC_STEP FTC_NOW(1, 0)
#define FTC_HOW(flags, bytes) ((uint64_t)((flags) ^ FTC_ATOMIC) << 8 | (uint64_t)(bytes))
#define FTC_BYTES_OF(low, size) (((1u << (size)) - 1) << (low))
#define FTC_EPOCH(who) ((who) >> 22)
#define FTC_ID(who) ((int)((who) >> 14 & 0xff))
#define FTC_FLAGS(who) ((int)((who) >> 8 & 7) ^ FTC_ATOMIC)
#define FTC_BYTES(who) ((unsigned)((who) & 0xff))
/* In place of a word: this thread is about to put another one there. */
#define FTC_TAKEN_BY(who) ((uint64_t)FTC_FREES << 8 | 1u << 13 | ((who) & FTC_NOW(0, 0xff)))
#define FTC_IS_TAKEN(word) (((word) & ~FTC_NOW(0, 0xff)) == FTC_TAKEN_BY(0))
#define FTC_OWN (FTC_NOW(0, 0xff) | FTC_FREES << 8)    /* what two words of one thread that does not free have in common */
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
    uint64_t now;                    /* its epoch, one more after a border and each atomic release; and its id: FTC_NOW */
    ftc_past *past;
    uintptr_t called_from;           /* where the extension last called something that is not compiled like it */
    int behind;                      /* it has been elsewhere: its next access is after all that others have told */
    int passing;                     /* borders until it looks closely again (borders.c) */
    int left;                        /* until it has to look at the time */
    int quick;                       /* its accesses need not be waited at, for now: the fast path is open to it */
    int undelayed;                   /* what `quick` is after a border */
    int id;
    ftc_frame *top, *bottom;         /* the call that it is in; and frames[0], which is none, and above all of them */
    uint64_t since;                  /* the tick at which that was so the last time */
    int muted;
    int holds;                       /* it has the lock of a cell */
    int frees;                       /* what it writes is memory that it gives back */
    int fenced;                      /* it has passed a fence that releases */
    int deeper;                      /* calls that are not noted, within the last one that can be */
    uintptr_t stack_low, stack_high;
    uint32_t turn;                   /* accesses that were noted */
    uint32_t stretches;              /* of FTC_PROGRESS borders, in this round */
    uint32_t granted;                /* borders for which it did not have to look closely, those that `passing` counts included */
    unsigned watch;                  /* in which that was */
    uint32_t until;                  /* accesses before the next one that may wait */
    uint32_t firsts, stops_at;       /* places that it has come to in this round; and at which of them it stops (delays.c) */
    uint64_t been[FTC_PLACES / 64];  /* where it has been in this round, a bit each */
    int modules;                     /* there were so many when `callers` was filled */
    uint64_t random;
    struct { uintptr_t pc; int border; } callers[FTC_CALLERS];
    struct { uintptr_t pc; uint32_t parent, node; } near[FTC_AT_HAND];
    uint64_t heard[FTC_WATCHED];     /* of which epoch of each thread it has heard, by atomic operations */
    ftc_frame frames[1 + FTC_DEEP];
    pthread_t thread;
    const struct ftc_lock_held *held;     /* so many locks: held.c.  NULL: it has taken none yet */
    const int *holding;
    char label[FTC_LABEL_SIZE];
} ftc_watcher;

/* Whether accesses are looked at, and what else is done at each.  So the fast path of all callbacks asks one word. */
enum ftc_mode { FTC_RESTS = 0, FTC_WATCHES = 1, FTC_DELAYS = 2, FTC_EXPLORES = 4, FTC_STRICTLY = 8 };      /* flags */

extern int ftc_native_begun;         /* extensions are looked for: those that come are taken in */
extern int ftc_native_on;            /* enum ftc_mode */
/* Of this thread; where it is not watched, ftc_nobody, for which no fast path is open: so they need not ask. */
extern _Thread_local ftc_watcher *ftc_watcher_here __attribute__((tls_model("initial-exec")));
extern const ftc_watcher ftc_nobody;
ftc_watcher *ftc_new_watcher(void);  /* NULL: there are too many */
ftc_watcher *ftc_new_announced_watcher(void);          /* the same for a thread that will be told what came before it */
void ftc_name_watcher(ftc_watcher *me);                /* it may have a name by now */

static inline ftc_watcher *
ftc_watcher_if_any(void)             /* NULL: it has never been watched */
{
    ftc_watcher *me = ftc_watcher_here;
    return me != &ftc_nobody ? me : NULL;
}

static inline ftc_watcher *
ftc_watcher_me(void)
{
    ftc_watcher *me = ftc_watcher_if_any();
    return me != NULL ? me : ftc_new_watcher();
}

static inline ftc_watcher *
ftc_watching(void)                   /* NULL: nobody watches */
{
    return __builtin_expect(ftc_native_on, 0) ? ftc_watcher_me() : NULL;
}

int ftc_watchers_init(void);
extern unsigned ftc_watch;           /* this one has this number */
int ftc_watchers_used(void);         /* ids below this one are, or were, in use */
const char *ftc_watcher_label(int id);
uint64_t ftc_passed_by_others(const ftc_watcher *me);  /* borders at which they did not look closely */
const ftc_watcher *ftc_watcher_of(pthread_t thread);   /* NULL: it is not watched.  It must not end meanwhile */
long ftc_unwatched(void);            /* threads there was no room for, in this watch */
uint64_t ftc_noted(void);            /* accesses that said something new, in this watch */
long ftc_children(void);             /* of fork(), in this watch: nobody looks at them */
void ftc_watchers_begin(void);       /* a new watch */

/* Borders.  Time goes in ticks: whoever waits, or has got on a good way, makes a new one (borders.c). */
extern uint64_t ftc_ticks;
extern ftc_past ftc_pasts[FTC_WATCHED];
#define FTC_PROGRESS 256             /* so many borders, or accesses that are noted, of a thread: time has gone on */
/* To be called where a thread is made to wait while another one goes on, and again when it does itself. */
static inline void
ftc_tick(void)
{
    __atomic_fetch_add(&ftc_ticks, 1, __ATOMIC_SEQ_CST);
}
/* All that this thread has done is before what any other does after its next border; and a new epoch begins. */
void ftc_tell_all(ftc_watcher *me);
void ftc_tell_slowly(ftc_watcher *me);                 /* the same at a border: no new epoch may have to begin */
void ftc_begin_afresh(ftc_watcher *me);                /* a round */
void ftc_know_the_watch(ftc_watcher *me);              /* it may be another one than at its last access */
void ftc_look_closely(ftc_watcher *me);                /* so that what it does now is noted as exactly as can be */
void ftc_be_quick(ftc_watcher *me);  /* until the next border, or until it has noted much */
void ftc_nobody_is_quick(void);

/* At a border where there is no new tick to be noted or made.  Returns whether it was done. */
static inline __attribute__((always_inline)) int
ftc_told_quickly(ftc_watcher *me)
{
    if (me->passing > 0) {
        me->passing--;
        return 1;
    }
    if (me->past->tick != __atomic_load_n(&ftc_ticks, __ATOMIC_RELAXED) || --me->left <= 0) {
        return 0;
    }
    __atomic_store_n(&me->past->told, FTC_EPOCH(me->now), __ATOMIC_RELEASE);
    me->now += FTC_STEP;
    me->quick = me->undelayed;
    return 1;
}

static inline __attribute__((always_inline)) void
ftc_tell_at_border(ftc_watcher *me)
{
    if (!ftc_told_quickly(me)) {
        ftc_tell_slowly(me);
    }
    me->behind = 1;
}

/* --- strict.c: the other rule, when it is asked for */
extern int ftc_strict;
void ftc_strict_begins(uintptr_t address);
void ftc_strict_sections(int tell);
int ftc_watch_handovers(int on);     /* handover.c; -1: with an exception */
PyObject *ftc_native_tell(PyObject *module, PyObject *address);
PyObject *ftc_native_hear(PyObject *module, PyObject *address);
PyObject *ftc_native_begins(PyObject *module, PyObject *address);

/* The clock is read: from now on all that was told before it is heard. */
static inline void
ftc_hear_all_that_is_over(ftc_watcher *me)
{
    uint64_t tick = __atomic_load_n(&ftc_ticks, __ATOMIC_ACQUIRE);
    me->behind = 0;
    me->since = tick > me->since ? tick : me->since;
}

static inline void
ftc_hear_everybody(ftc_watcher *me)
{
    if (__builtin_expect(ftc_strict, 0)) {
        ftc_strict_sections(0);
    }
    ftc_hear_all_that_is_over(me);
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
    return me->top->context != FTC_UNKNOWN ? me->top->context : ftc_find_context(me);
}

static inline uint32_t
ftc_where_at_hand(const ftc_watcher *me, uintptr_t pc)               /* FTC_UNKNOWN: it has to be looked up */
{
    uint32_t context = me->top->context;
    unsigned at = (unsigned)(pc + context * 37) % FTC_AT_HAND;
    return me->near[at].pc == pc && me->near[at].parent == context && ftc_locks_held == 0 ? FTC_WHERE(me->id, me->near[at].node) : FTC_UNKNOWN;
}

static inline uint32_t
ftc_where(ftc_watcher *me, uintptr_t pc)               /* FTC_WHERE of an access there */
{
    return FTC_WHERE(me->id, ftc_node_of(me, ftc_with_locks(ftc_context_here(me)), pc, FTC_SITE));
}

#pragma GCC visibility pop
#endif

/* Where the last accesses to each eight bytes are kept (shadow.c), and how one is added (accesses.c).  Part of native.h. */
#ifndef FTCHECK_SHADOW_H
#define FTCHECK_SHADOW_H

#include "watchers.h"

#pragma GCC visibility push(hidden)

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
ftc_take_place(uint64_t *place, uint64_t seen, uint64_t who)
{
    return __atomic_compare_exchange_n(place, &seen, FTC_TAKEN_BY(who), 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

static inline void
ftc_fill_place(uint64_t *place, uint32_t *where, ftc_touch touch)
{
    __atomic_store_n(where, touch.where, __ATOMIC_RELEASE);            /* after FTC_TAKEN_BY */
    __atomic_store_n(place, touch.who, __ATOMIC_RELEASE);
}

/* The same where it is one's own place, or nobody's, without an atomic operation: another thread that takes it at that moment may
 * be forgotten, or its word stand beside this one's node. */
static inline void
ftc_put_in_place(uint64_t *place, uint32_t *where, ftc_touch touch)
{
    __atomic_store_n(place, FTC_TAKEN_BY(touch.who), __ATOMIC_RELAXED);
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

#define FTC_HOW_BITS (uint64_t)0x3fff
static inline int
ftc_is_own(uint64_t other, uint64_t who)
{
    return ((other ^ who) & FTC_OWN) == 0;
}

static inline int
ftc_is_superfluous(uint64_t own, uint64_t who)
{
    return (own & FTC_HOW_BITS & ~who) == 0;
}

/* --- accesses.c ------------------------------------------------------------------------------- */

/* From a callback: all that there is to do at an access; and where this thread is watched and does not wait, and has not noted
 * this word already. */
void ftc_access_slowly(uintptr_t address, size_t size, int flags, uintptr_t pc);
void ftc_note(ftc_watcher *me, ftc_cell *region, uintptr_t address, uint64_t who, uintptr_t pc);               /* notes.c */
void ftc_time_goes_on(ftc_watcher *me);
/* The thread that comes to an access: NULL if nobody watches it, or it is its own stack.  It has waited if it had to. */
ftc_watcher *ftc_arrive(uintptr_t address, size_t size, int flags, uintptr_t pc);
void ftc_access_memory(ftc_watcher *me, uintptr_t address, size_t size, int flags, uintptr_t pc);
/* The same for eight bytes, or a part of them, which are in this cell of this region. */
void ftc_touch_cell(ftc_watcher *me, ftc_cell *region, uintptr_t address, ftc_touch mine);

/* The fast path of a callback that looks at up to eight bytes. */
static inline __attribute__((always_inline)) void
ftc_access(uintptr_t address, unsigned size, int flags, uintptr_t pc)
{
    unsigned low = (unsigned)(address & 7);
    ftc_watcher *me = ftc_watcher_here;
    if (__builtin_expect(me->quick && low + size <= 8, 1)) {
        ftc_cell *region = ftc_region_at(address);
        if (__builtin_expect(region != NULL, 1)) {
            uint64_t who = me->now | FTC_HOW(flags & ~FTC_RELAXED, FTC_BYTES_OF(low, size));
            if (!ftc_nothing_new(&region[ftc_cell_number(address)], who)) {
                ftc_note(me, region, address, who, pc);
            }
            return;
        }
        if (address - me->stack_low < me->stack_high - me->stack_low) {
            return;
        }
    }
    else if (__atomic_load_n(&ftc_native_on, __ATOMIC_RELAXED) == FTC_RESTS) {
        return;
    }
    ftc_access_slowly(address, size, flags, pc);
}

#pragma GCC visibility pop
#endif

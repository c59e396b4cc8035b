/* The detector: of the last accesses to these bytes, is there one that nothing orders with this one?
 *
 * After FastTrack (Flanagan and Freund, PLDI 2009), with a few of the last accesses for each eight bytes instead of all: a race
 * of three threads may be forgotten, none is made up.  What a thread has done already in the same epoch, to the same bytes, is
 * nothing new: that is seen without the lock, and in a loop it is nearly all there is.
 *
 * A race shows only where two stretches of C code overlap in time, and those of most functions are shorter than it takes to
 * start a thread.  So threads wait now and then before an access (Edelstein et al.: Multithreaded Java program test generation,
 * 2002): at the first few comings to each place, and then at random, ever more seldom, so that a long loop takes no longer than
 * it must.  They stay attached to the interpreter meanwhile: to
 * detach would suspend critical sections, and with them what makes correct code correct.
 */
#include "native.h"
#include <errno.h>
#include <time.h>

#define FIRST 8                      /* comings to a place that always wait */
#define HALF 16                      /* waits at a place after which the chance of another one is half of what it was */
#define PLACES 4096

static uint64_t chance, longest_wait, seed;            /* of 2 ** 32; nanoseconds */
static uint8_t waits[PLACES];

/* --- delays -------------------------------------------------------------------------------------------------------- */

void
ftc_set_delays(double rate, long longest, uint64_t with_seed)
{
    chance = (uint64_t)(rate * 4294967296.0);
    longest_wait = (uint64_t)longest;
    seed = with_seed;
    for (int i = 0; i < PLACES; i++) {
        __atomic_store_n(&waits[i], 0, __ATOMIC_RELAXED);
    }
}

static uint64_t
draw(ftc_watcher *me)                                  /* splitmix64, as in policy.c */
{
    uint64_t z = me->random += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

void
ftc_seed_watcher(ftc_watcher *me)
{
    uint64_t mixed = seed;
    for (const char *c = me->label; *c != '\0'; c++) {
        mixed = mixed * 1099511628211u + (unsigned char)*c;
    }
    me->random = mixed;
}

void
ftc_perhaps_wait(ftc_watcher *me, uintptr_t pc)
{
    if (chance == 0) {
        return;
    }
    uint64_t drawn = draw(me);
    uint8_t *times = &waits[(uint32_t)(pc * 0x9E3779B97F4A7C15u >> 40) % PLACES];
    unsigned so_far = __atomic_load_n(times, __ATOMIC_RELAXED);
    if (so_far >= FIRST && (drawn & 0xffffffffu) >= chance >> (so_far / HALF)) {
        return;
    }
    if (so_far < 255) {
        __atomic_store_n(times, (uint8_t)(so_far + 1), __ATOMIC_RELAXED);
    }
    int before = errno;
    struct timespec so_long = {0, 1 + (long)((drawn >> 32) % longest_wait)};
    nanosleep(&so_long, NULL);
    errno = before;
}

/* --- races --------------------------------------------------------------------------------------------------------- */

static int
races(const ftc_watcher *me, const ftc_touch *other, int flags, int low, int size)
{
    int theirs = FTC_FLAGS(other->who), id = FTC_ID(other->who);
    if (FTC_LOW(other->who) + FTC_SIZE(other->who) <= low || low + size <= FTC_LOW(other->who)) {
        return 0;
    }
    if (theirs & FTC_FREES) {
        return 1;                                      /* it is gone, whoever was first */
    }
    return id != me->id && ((theirs | flags) & FTC_WRITES) && !(theirs & flags & FTC_ATOMIC)
        && FTC_EPOCH(other->who) > me->heard[id];
}

/* This one makes that one superfluous: whatever races with the old one races with the new one. */
static int
covers(const ftc_watcher *me, const ftc_touch *old, int flags, int low, int size)
{
    int theirs = FTC_FLAGS(old->who);
    return FTC_ID(old->who) == me->id && !(theirs & FTC_FREES) && low <= FTC_LOW(old->who)
        && FTC_LOW(old->who) + FTC_SIZE(old->who) <= low + size && (flags & FTC_WRITES) >= (theirs & FTC_WRITES)
        && (flags & FTC_ATOMIC) <= (theirs & FTC_ATOMIC);
}

void
ftc_touch_cell(ftc_watcher *me, ftc_cell *cell, uintptr_t address, int size, int flags, uintptr_t pc)
{
    int low = (int)(address & 7), put = -1;
    ftc_touch mine = {FTC_WHO(me->epoch, me->id, flags, low, size), FTC_WHERE(ftc_with_locks(me->context), ftc_place_of(pc))};
    for (int i = 0; i < FTC_TOUCHES; i++) {
        ftc_touch *other = &cell->touches[i];
        if (other->who == 0) {
            put = put < 0 ? i : put;
            continue;
        }
        if (races(me, other, flags, low, size)) {
            ftc_race_found(me, &mine, other, address);
        }
        if (covers(me, other, flags, low, size)) {
            other->who = 0;
            put = i;
        }
    }
    for (int i = 0; put < 0 && i < FTC_TOUCHES; i++) { /* one that everybody who comes now will have heard of, perhaps */
        const ftc_touch *other = &cell->touches[i];
        if (!(FTC_FLAGS(other->who) & FTC_FREES) && FTC_EPOCH(other->who) <= me->heard[FTC_ID(other->who)]) {
            put = i;
        }
    }
    if (put < 0) {
        put = cell->next;
        cell->next = (uint8_t)((cell->next + 1) % FTC_TOUCHES);
    }
    __atomic_store_n(&cell->touches[put].where, mine.where, __ATOMIC_RELAXED);
    __atomic_store_n(&cell->touches[put].who, mine.who, __ATOMIC_RELAXED);
}

static int
nothing_new(const ftc_cell *cell, uint64_t who)
{
    uint64_t writing = who | FTC_WHO(0, 0, FTC_WRITES, 0, 0);
    for (int i = 0; i < FTC_TOUCHES; i++) {
        uint64_t there = __atomic_load_n(&cell->touches[i].who, __ATOMIC_RELAXED);
        if (there == who || there == writing) {
            return 1;
        }
    }
    return 0;
}

void
ftc_access_memory(ftc_watcher *me, uintptr_t address, size_t size, int flags, uintptr_t pc)
{
    while (size > 0) {
        int low = (int)(address & 7), part = 8 - low < (int)size || size > 8 ? 8 - low : (int)size;
        ftc_cell *cell = ftc_cell_of(address);
        if (cell == NULL) {
            return;
        }
        if (!nothing_new(cell, FTC_WHO(me->epoch, me->id, flags, low, part))) {
            ftc_lock_cell(cell);
            ftc_touch_cell(me, cell, address, part, flags, pc);
            ftc_unlock_cell(cell);
        }
        address += (uintptr_t)part;
        size -= (size_t)part;
    }
}

/* The detector: of the last accesses to these bytes, is there one that nothing orders with this one?
 *
 * After FastTrack (Flanagan and Freund, PLDI 2009), with a few of the last accesses for each eight bytes instead of all: a race
 * of three threads may be forgotten, none is made up.  What a thread has done already in the same epoch, to the same bytes, is
 * nothing new: that is seen at once (ftc_access), and in a loop it is nearly all there is.  All else comes here.
 */
#include "native.h"

ftc_watcher *
ftc_arrive(uintptr_t address, size_t size, int flags, uintptr_t pc)
{
    int mode = __atomic_load_n(&ftc_native_on, __ATOMIC_RELAXED);
    ftc_watcher *me = mode == FTC_RESTS ? NULL : ftc_watcher_me();
    if (me == NULL || address - me->stack_low < me->stack_high - me->stack_low || me->muted) {
        return NULL;
    }
    ftc_know_the_watch(me);
    ftc_look_closely(me);
    if (me->behind) {
        ftc_hear_everybody(me);
    }
    if (mode & FTC_DELAYS) {
        ftc_delay(me, pc);
    }
    if (mode & FTC_EXPLORES) {
        ftc_tick();
        ftc_native_point(address, size, flags, pc);
        ftc_tick();
    }
    return me;
}

/* --- races --------------------------------------------------------------------------------------------------------- */

enum { NO_RACE, POSSIBLE, RACE };

/* Of memory that is given back the strict rule says nothing (strict.c). */
static int
races(const ftc_watcher *me, uint64_t other, uint64_t mine)
{
    int theirs = FTC_FLAGS(other), flags = FTC_FLAGS(mine), id = FTC_ID(other);
    if (theirs & FTC_FREES) {
        return RACE;                                   /* it is gone, whoever was first */
    }
    if (id == me->id || !((theirs | flags) & FTC_WRITES) || theirs & flags & FTC_ATOMIC) {
        return NO_RACE;
    }
    if (!ftc_is_before(me, id, FTC_EPOCH(other))) {
        return RACE;
    }
    return ftc_strict && me->heard[id] < FTC_EPOCH(other) && !(flags & FTC_FREES) && !me->frees ? POSSIBLE : NO_RACE;
}

/* What another thread has noted, or that the memory is gone.  Returns whether it can be forgotten: whoever comes now will have
 * heard of it, perhaps; -1: it is there no more. */
static __attribute__((noinline)) int
meet(ftc_watcher *me, ftc_touch mine, uint64_t other, const uint64_t *place, const uint32_t *where, uintptr_t address)
{
    int found = FTC_BYTES(other) & FTC_BYTES(mine.who) ? races(me, other, mine.who) : NO_RACE;
    if (found != NO_RACE) {
        ftc_touch theirs = {other, 0};
        int read = ftc_read_place(place, where, &theirs);
        if (read <= 0) {
            return read < 0 ? 1 : -1;
        }
        ftc_race_found(&mine, &theirs, address, found == POSSIBLE);
    }
    return !(FTC_FLAGS(other) & FTC_FREES) && ftc_is_before(me, FTC_ID(other), FTC_EPOCH(other));
}

#define BYTES (uint64_t)0xff
#define TURNS 1000                   /* then who has taken the place is gone, and will not fill it */

/* A word of one's own that adds nothing to the new one is replaced by it; and words that differ only in their bytes are one:
 * so a loop over bytes takes one of the places.
 *
 * Returns 0 where another thread was at it as well: then it has to be looked at again.  `met`: those that were met then. */
static inline __attribute__((always_inline)) int
touch_once(ftc_watcher *me, uint64_t *places, uint32_t *wheres, uintptr_t address, ftc_touch mine, uint64_t *met, int busy)
{
    uint64_t seen[FTC_TOUCHES], who = mine.who;
    unsigned spare = 0;
    int put = -1, empty = -1, over = -1;
#pragma GCC unroll 3
    for (int i = 0; i < FTC_TOUCHES; i++) {
        uint64_t other = seen[i] = __atomic_load_n(&places[i], __ATOMIC_ACQUIRE);
        if (other == 0) {
            empty = empty < 0 ? i : empty;
        }
        else if (__builtin_expect(FTC_IS_TAKEN(other), 0)) {
            if (!busy && other != FTC_TAKEN_BY(mine.who)) {
                return 0;                              /* by this thread: this is a signal handler, which has come in between */
            }
            over = i;
        }
        else if (__builtin_expect(!ftc_is_own(other, mine.who), 0)) {
            int before = other == met[i] ? 0 : meet(me, mine, other, &places[i], &wheres[i], address);
            if (before < 0) {
                return 0;
            }
            met[i] = other;
            over = before ? i : over;
        }
        else {
            int superfluous = ftc_is_superfluous(other, mine.who);
            if (superfluous || (((other ^ mine.who) & ~BYTES) == 0 && wheres[i] == mine.where)) {
                who |= superfluous ? 0 : other;
                spare |= put >= 0 ? 1u << i : 0;
                put = put >= 0 ? put : i;
            }
            else if ((other ^ mine.who) & ~FTC_HOW_BITS) {
                over = i;                              /* of an earlier epoch */
            }
        }
    }
    if (put < 0) {
        put = empty >= 0 ? empty : over >= 0 ? over : (int)(me->turn % FTC_TOUCHES);
        if (__builtin_expect(empty < 0 && !FTC_IS_TAKEN(seen[put]) && FTC_FLAGS(seen[put]) & FTC_FREES, 0)) {
            put = (put + 1) % FTC_TOUCHES;             /* what is gone stays so */
        }
    }
    if (__builtin_expect(!ftc_take_place(&places[put], seen[put], mine.who), 0)) {
        return 0;
    }
    ftc_fill_place(&places[put], &wheres[put], (ftc_touch){who, mine.where});
    for (int i = 0; __builtin_expect(spare != 0, 0) && i < FTC_TOUCHES; i++) {
        if (spare >> i & 1) {
            __atomic_compare_exchange_n(&places[i], &seen[i], 0, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
        }
    }
    return 1;
}

static __attribute__((noinline)) void
touch_again(ftc_watcher *me, uint64_t *places, uint32_t *wheres, uintptr_t address, ftc_touch mine, uint64_t *met)
{
    for (int turn = 1; !touch_once(me, places, wheres, address, mine, met, turn > TURNS); turn++) {
        if (turn > 100) {
            sched_yield();                             /* whoever has it was taken off its CPU */
        }
    }
}

void
ftc_time_goes_on(ftc_watcher *me)
{
    me->quick = me->undelayed;
    ftc_tick();
}

void
ftc_touch_cell(ftc_watcher *me, ftc_cell *region, uintptr_t address, ftc_touch mine)
{
    uint32_t number = ftc_cell_number(address), *wheres = ftc_wheres_of(region, number);
    uint8_t *page = ftc_page_of(region, number);
    uint64_t met[FTC_TOUCHES] = {0};
    if (__builtin_expect(!__atomic_load_n(page, __ATOMIC_RELAXED), 0)) {
        __atomic_store_n(page, 1, __ATOMIC_RELAXED);
    }
    if (__builtin_expect(++me->turn % FTC_PROGRESS == 0, 0)) {
        ftc_time_goes_on(me);
    }
    if (__builtin_expect(!touch_once(me, region[number].who, wheres, address, mine, met, 0), 0)) {
        touch_again(me, region[number].who, wheres, address, mine, met);
    }
}

/* The cells of a range are the same number of words apart, up to the end of a region. */
void
ftc_access_memory(ftc_watcher *me, uintptr_t address, size_t size, int flags, uintptr_t pc)
{
    uint32_t where = FTC_UNKNOWN;
    while (size > 0) {
        unsigned low = (unsigned)(address & 7), part = size < 8 - low ? (unsigned)size : 8 - low;
        ftc_cell *cell = ftc_cell_of(address);
        if (cell == NULL) {
            return;
        }
        uint64_t who = me->now | FTC_HOW(flags, FTC_BYTES_OF(low, part));
        if (part == 8) {
            size_t full = size / 8, left = FTC_CELLS - ftc_cell_number(address), run = 0;
            full = full < left ? full : left;
            while (run < full && ftc_nothing_new(&cell[run], who)) {
                run++;
            }
            address += run * 8;
            size -= run * 8;
            if (run == full) {
                continue;
            }
            cell += run;
        }
        if (part < 8 ? !ftc_nothing_new(cell, who) : 1) {
            where = where == FTC_UNKNOWN ? ftc_where(me, pc) : where;
            ftc_touch_cell(me, cell - ftc_cell_number(address), address, (ftc_touch){who, where});
        }
        address += part;
        size -= part;
    }
}

void
ftc_access_slowly(uintptr_t address, size_t size, int flags, uintptr_t pc)
{
    ftc_watcher *me = ftc_arrive(address, size, flags, pc);
    if (me != NULL) {
        ftc_access_memory(me, address, size, flags & ~FTC_RELAXED, pc);
    }
}

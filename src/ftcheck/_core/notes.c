/* The fast way to note an access: where it is in a cell in which nobody else has been, by an instruction that was there just before.
 *
 * That is most of what happens in calls of extensions.  All else is for accesses.c.  And there are threads that do not look
 * closely for now (borders.c): those note less.
 */
#include "native.h"

static __attribute__((noinline)) void
note_slowly(ftc_watcher *me, ftc_cell *region, uintptr_t address, uint64_t who, uintptr_t pc)
{
    if (me->behind) {
        ftc_hear_everybody(me);
    }
    ftc_touch_cell(me, region, address, (ftc_touch){who, ftc_where(me, pc)});
}

/* A word of its own in an earlier epoch, or in this one, that adds nothing to the new one. */
static inline int
is_over(uint64_t own, uint64_t who)
{
    return ftc_is_own(own, who) && ftc_is_superfluous(own, who);
}

static __attribute__((noinline)) uint64_t
look_closely(ftc_watcher *me, uint64_t who)
{
    who += me->passing > 0 ? FTC_STEP : 0;
    ftc_look_closely(me);
    if (me->behind) {
        ftc_hear_everybody(me);
    }
    return who;
}

/* Returns the new word, as all of these do. */
static __attribute__((noinline)) uint64_t
wait_first(ftc_watcher *me, uint64_t who, uintptr_t pc)
{
    me->quick = 0;
    who = look_closely(me, who);
    ftc_delay(me, pc);
    return who;
}

/* What a thread does that does not look closely is over as soon as it is noted: so it says only whose it is, for who comes next to
 * look closely, and not where.  Here is what that needs where nobody else is near; else it looks closely itself.  Then what the
 * other has noted is forgotten, so that he, too, finds that he is not alone when he comes again. */
static inline int
noted_in_passing(uint64_t *place, const uint8_t *page, uint64_t who)
{
    uint64_t first = __atomic_load_n(&place[0], __ATOMIC_RELAXED), second = __atomic_load_n(&place[1], __ATOMIC_RELAXED);
    uint64_t third = __atomic_load_n(&place[2], __ATOMIC_RELAXED);
    uint64_t others = (first == 0 ? 0 : first ^ who) | (second == 0 ? 0 : second ^ who) | (third == 0 ? 0 : third ^ who);
    if ((others & FTC_OWN) != 0 || (first == 0 && !*page)) {
        return 0;
    }
    if (ftc_is_superfluous(first, who)) {
        __atomic_store_n(&place[0], who, __ATOMIC_RELAXED);
    }
    else if (ftc_is_superfluous(second, who)) {
        __atomic_store_n(&place[1], who, __ATOMIC_RELAXED);
    }
    return 1;
}

static inline int
conflict(uint64_t one, uint64_t other)
{
    int flags = FTC_FLAGS(one) | FTC_FLAGS(other);
    return (flags & FTC_WRITES) && !(FTC_FLAGS(one) & FTC_FLAGS(other) & FTC_ATOMIC) && FTC_BYTES(one) & FTC_BYTES(other);
}

static __attribute__((noinline)) uint64_t
look_at_others(ftc_watcher *me, uint64_t *place, uint64_t who)
{
    for (int i = 0; i < FTC_TOUCHES; i++) {
        uint64_t other = __atomic_load_n(&place[i], __ATOMIC_RELAXED);
        if (other == 0 || ftc_is_own(other, who) || FTC_FLAGS(other) & FTC_FREES || !conflict(other, who)) {
            continue;
        }
        who = look_closely(me, who);
        if (ftc_is_before(me, FTC_ID(other), FTC_EPOCH(other))) {
            __atomic_compare_exchange_n(&place[i], &other, 0, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
        }
    }
    return who;
}

/* The same as ftc_touch_cell() where all that is there is one's own: so it needs no atomic operation. */
static __attribute__((noinline)) void
note_among_own(ftc_watcher *me, ftc_cell *region, uintptr_t address, uint64_t who, uintptr_t pc)
{
    uint64_t *place = region[ftc_cell_number(address)].who;
    uint32_t *wheres = ftc_wheres_of(region, ftc_cell_number(address)), where = ftc_where_at_hand(me, pc);
    uint64_t all = who;
    unsigned spare = 0;
    int put = -1, over = (int)(me->turn % FTC_TOUCHES);
#pragma GCC unroll 3
    for (int i = 0; i < FTC_TOUCHES; i++) {
        uint64_t other = __atomic_load_n(&place[i], __ATOMIC_RELAXED);
        if (!ftc_is_own(other, who) || where == FTC_UNKNOWN) {
            note_slowly(me, region, address, who, pc);
            return;
        }
        int superfluous = ftc_is_superfluous(other, who);
        if (superfluous || (((other ^ who) & ~(uint64_t)0xff) == 0 && wheres[i] == where)) {
            all |= superfluous ? 0 : other;
            spare |= put >= 0 ? 1u << i : 0;
            put = put >= 0 ? put : i;
        }
        else if ((other ^ who) & ~FTC_HOW_BITS) {
            over = i;
        }
    }
    put = put >= 0 ? put : over;
    for (int i = 1; __builtin_expect(spare != 0, 0) && i < FTC_TOUCHES; i++) {
        if (spare >> i & 1) {
            __atomic_store_n(&place[i], 0, __ATOMIC_RELAXED);
        }
    }
    if (me->behind) {
        ftc_hear_all_that_is_over(me);
    }
    ftc_put_in_place(&place[put], &wheres[put], (ftc_touch){all, where});
    if (__builtin_expect(++me->turn % FTC_PROGRESS == 0, 0)) {
        ftc_time_goes_on(me);
    }
}

/* Most words are noted where nobody else has been, and by an instruction that was there just before.  Here is what that needs of
 * ftc_touch_cell(). */
static inline __attribute__((always_inline)) void
note(ftc_watcher *me, ftc_cell *region, uintptr_t address, uint64_t who, uintptr_t pc)
{
    uint64_t *place = region[ftc_cell_number(address)].who;
    uint64_t first = __atomic_load_n(&place[0], __ATOMIC_RELAXED), second = __atomic_load_n(&place[1], __ATOMIC_RELAXED);
    uint32_t put = 0;
    if (place[2] != 0) {
        note_among_own(me, region, address, who, pc);
        return;
    }
    if (first == 0) {
        if (second != 0 || !*ftc_page_of(region, ftc_cell_number(address))) {
            goto slowly;
        }
    }
    else if (is_over(first, who)) {
        if (second != 0) {
            if (!is_over(second, who)) {
                goto slowly;
            }
            __atomic_store_n(&place[1], 0, __ATOMIC_RELAXED);
        }
    }
    else if (!ftc_is_own(first, who) || !((first ^ who) & ~FTC_HOW_BITS) || (second != 0 && !is_over(second, who))) {
        goto slowly;
    }
    else {
        put = 1;
    }
    uint32_t where = ftc_where_at_hand(me, pc);
    if (__builtin_expect(where == FTC_UNKNOWN, 0)) {
        goto slowly;
    }
    if (me->behind) {
        ftc_hear_all_that_is_over(me);
    }
    ftc_put_in_place(&place[put], &ftc_wheres_of(region, ftc_cell_number(address))[put], (ftc_touch){who, where});
    if (__builtin_expect(++me->turn % FTC_PROGRESS == 0, 0)) {
        ftc_time_goes_on(me);
    }
    return;
slowly:
    note_slowly(me, region, address, who, pc);
}

static __attribute__((noinline)) void
note_closely(ftc_watcher *me, ftc_cell *region, uintptr_t address, uint64_t who, uintptr_t pc)
{
    note(me, region, address, who, pc);
}

static __attribute__((noinline)) void
note_that_time_goes_on(ftc_watcher *me)
{
    ftc_look_closely(me);
    ftc_time_goes_on(me);
}

static __attribute__((noinline)) void
note_near_others(ftc_watcher *me, ftc_cell *region, uintptr_t address, uint64_t who, uintptr_t pc)
{
    note(me, region, address, look_at_others(me, region[ftc_cell_number(address)].who, who), pc);
}

static inline __attribute__((always_inline)) void
note_after_waiting(ftc_watcher *me, ftc_cell *region, uintptr_t address, uint64_t who, uintptr_t pc)
{
    uint32_t number = ftc_cell_number(address);
    if (me->passing <= 0) {
        note_closely(me, region, address, who, pc);
    }
    else if (__builtin_expect(!noted_in_passing(region[number].who, ftc_page_of(region, number), who), 0)) {
        note_near_others(me, region, address, who, pc);
    }
    else if (__builtin_expect(++me->turn % FTC_PROGRESS == 0, 0)) {
        note_that_time_goes_on(me);
    }
}

static __attribute__((noinline)) void
wait_and_note(ftc_watcher *me, ftc_cell *region, uintptr_t address, uint64_t who, uintptr_t pc)
{
    if (ftc_may_wait(me, pc)) {
        who = wait_first(me, who, pc);
    }
    note_after_waiting(me, region, address, who, pc);
}

/* This is done a few times in each call of an extension, and in order of what has to be remembered at a time; and what it calls it
 * calls last.  So it needs few registers that it would have to put back. */
void
ftc_note(ftc_watcher *me, ftc_cell *region, uintptr_t address, uint64_t who, uintptr_t pc)
{
    if (__builtin_expect(address - me->stack_low < me->stack_high - me->stack_low || me->muted, 0)) {
        return;
    }
    if (__builtin_expect(ftc_native_on & FTC_DELAYS, 0)) {
        wait_and_note(me, region, address, who, pc);
        return;
    }
    note_after_waiting(me, region, address, who, pc);
}

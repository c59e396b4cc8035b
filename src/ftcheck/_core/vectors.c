/* The vector clocks of atomic variables: what those who released one had heard of, and done, by then.
 *
 * They have numbers, which cells of the shadow keep (shadow.c), and are of no use any more when the cell is: then they are spare.
 */
#include "native.h"
#include <stdlib.h>
#include <string.h>

#define GROUP 256
#define GROUPS 4096

/* What a variable's releases have told. */
typedef struct {
    uint32_t next;                   /* that is spare, too */
    uint64_t since;
    uint64_t epochs[FTC_WATCHED];
} vector;

static vector *groups[GROUPS];        /* that come into being one after the other */
static uint32_t clocks = 1, spare;   /* numbers that were given; the first of those that nobody has */
static int clocks_lock;

static vector *
clock_at(uint32_t number)
{
    return &groups[number / GROUP][number % GROUP];
}

static void
lock_clocks(void)
{
    while (__atomic_exchange_n(&clocks_lock, 1, __ATOMIC_ACQUIRE)) {
        sched_yield();
    }
}

uint32_t
ftc_new_clock(void)
{
    lock_clocks();
    uint32_t number = spare;
    if (number != 0) {
        spare = clock_at(number)->next;
        memset(clock_at(number), 0, sizeof(vector));
    }
    else if (clocks < GROUP * GROUPS) {
        vector **group = &groups[clocks / GROUP];
        *group = *group == NULL ? calloc(GROUP, sizeof(vector)) : *group;
        number = *group == NULL ? 0 : clocks++;
    }
    __atomic_store_n(&clocks_lock, 0, __ATOMIC_RELEASE);
    return number;
}

void
ftc_drop_clock(uint32_t number)
{
    lock_clocks();
    clock_at(number)->next = spare;
    spare = number;
    __atomic_store_n(&clocks_lock, 0, __ATOMIC_RELEASE);
}

void
ftc_drop_all_clocks(void)
{
    lock_clocks();
    spare = 0;
    for (uint32_t number = clocks - 1; number > 0; number--) {
        clock_at(number)->next = spare;
        spare = number;
    }
    __atomic_store_n(&clocks_lock, 0, __ATOMIC_RELEASE);
}

void
ftc_hear_clock(ftc_watcher *me, uint32_t number)
{
    const vector *heard = clock_at(number);
    for (int i = 0, count = ftc_watchers_used(); i < count; i++) {
        me->heard[i] = heard->epochs[i] > me->heard[i] ? heard->epochs[i] : me->heard[i];
    }
    me->since = heard->since > me->since ? heard->since : me->since;
}

/* Of all that was told to everybody (ftc_tell_all), which the caller has done just before. */
void
ftc_tell_clock(ftc_watcher *me, uint32_t number)
{
    vector *telling = clock_at(number);
    for (int i = 0, count = ftc_watchers_used(); i < count; i++) {
        telling->epochs[i] = me->heard[i] > telling->epochs[i] ? me->heard[i] : telling->epochs[i];
    }
    telling->epochs[me->id] = FTC_EPOCH(me->now) - 1;
    telling->since = me->since > telling->since ? me->since : telling->since;
}

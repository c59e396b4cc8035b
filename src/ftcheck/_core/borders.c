/* The order of what threads do that access memory in extensions.
 *
 * Each thread counts epochs: a new one begins after each border, and after each atomic release.  A vector clock says of which
 * epoch of each thread one has heard; an access in epoch e of thread t comes before all that is done by those who have heard
 * of e of t (Lamport 1978; as epochs: Flanagan and Freund, FastTrack, PLDI 2009).
 *
 * Borders (native.h) come so often that they must not write to, or read, what other threads write to.  So they go by the clock:
 * time is a number of ticks.  Whoever is at a border notes, for itself, that its epoch is over, and since which tick; and when
 * it comes back, at which tick that was.  Only where two accesses may race is it asked whether the epoch of one was over when
 * the other thread came back.  Within one tick all that is over is taken to have come first.  Ticks are made where threads wait
 * for a while, which is where stretches of C code overlap, and every so many borders and accesses.
 *
 * A thread that has come to very many borders in a round, without delays, no longer looks closely at each stretch between two:
 * only at some of them, and wherever it comes to memory that another thread has been at, of which one writes (after Marino et
 * al., LiteRace, PLDI 2009: what is hot is sampled).  In the others its epoch stays the same, is over already, and so is what it
 * notes.  What it does then is missed where another thread comes to it for the first time, and only there: both look closely after
 * that.
 *
 * Nothing that was ordered is taken for a race: who ends an epoch reads the clock before it lets anybody go on, who was let go
 * on reads it after that, and it does not go back.  A race is missed where both stretches have met within one tick, and one
 * was over before the other one came to the same memory.
 */
#include "native.h"

uint64_t ftc_ticks = 1;
ftc_past ftc_pasts[FTC_WATCHED];

#define WARM 2                       /* times FTC_PROGRESS borders that are all looked at closely */
#define CLOSE 16                     /* borders for which a thread looks closely again after that */
#define PASSING 4080                 /* and for which it does not */

/* Who is quick does not ask whether anybody watches.  So when the watch ends all are told, and who has not heard asks here. */
void
ftc_be_quick(ftc_watcher *me)
{
    __atomic_store_n(&me->quick, 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&ftc_native_on, __ATOMIC_SEQ_CST) == FTC_RESTS) {
        me->quick = me->undelayed = 0;
    }
}

void
ftc_begin_afresh(ftc_watcher *me)
{
    me->watch = __atomic_load_n(&ftc_watch, __ATOMIC_RELAXED);
    me->now += FTC_STEP;
    me->passing = me->quick = 0;
    me->stretches = 0;
    me->left = FTC_PROGRESS;
    me->undelayed = ftc_native_on == FTC_WATCHES;
    if (me->undelayed) {
        ftc_be_quick(me);
    }
}

void
ftc_look_closely(ftc_watcher *me)
{
    if (me->passing > 0) {
        me->now += FTC_STEP;
        me->granted -= (uint32_t)me->passing;
        me->passing = 0;
        me->left = CLOSE;
        me->quick = me->undelayed;
    }
}

void
ftc_know_the_watch(ftc_watcher *me)
{
    if (me->watch != __atomic_load_n(&ftc_watch, __ATOMIC_RELAXED)) {
        ftc_begin_afresh(me);
    }
}

static void
tell(ftc_watcher *me)
{
    ftc_past *mine = me->past;
    uint64_t tick = __atomic_load_n(&ftc_ticks, __ATOMIC_RELAXED);
    if (tick != mine->tick) {
        __atomic_thread_fence(__ATOMIC_RELEASE);       /* who sees what is written here sees the count before it, too */
        __atomic_store_n(&mine->entries[mine->count % FTC_TICKS].tick, mine->tick, __ATOMIC_RELAXED);
        __atomic_store_n(&mine->entries[mine->count % FTC_TICKS].told, mine->told, __ATOMIC_RELAXED);
        __atomic_store_n(&mine->count, mine->count + 1, __ATOMIC_RELEASE);
        __atomic_store_n(&mine->tick, tick, __ATOMIC_RELEASE);
    }
    __atomic_store_n(&mine->told, FTC_EPOCH(me->now), __ATOMIC_RELEASE);
}

void
ftc_tell_all(ftc_watcher *me)
{
    tell(me);
    if (me->passing > 0) {
        ftc_look_closely(me);
    }
    else {
        me->now += FTC_STEP;
    }
}

void
ftc_tell_slowly(ftc_watcher *me)
{
    tell(me);
    ftc_know_the_watch(me);
    if (me->left <= 0) {
        ftc_tick();
        me->left = FTC_PROGRESS;
        if (++me->stretches >= WARM && me->quick && !(ftc_native_on & (FTC_EXPLORES | FTC_STRICTLY))) {
            me->left = CLOSE;
            me->granted += PASSING;
            me->passing = PASSING;
            return;
        }
    }
    me->now += FTC_STEP;
    me->quick = me->undelayed;
}

void
ftc_hear_what_is_over(ftc_watcher *me)
{
    for (int i = 0, count = ftc_watchers_used(); i < count; i++) {
        uint64_t told = __atomic_load_n(&ftc_pasts[i].told, __ATOMIC_ACQUIRE);
        me->heard[i] = told > me->heard[i] ? told : me->heard[i];
    }
}

/* The order of these reads is the reverse of that in which ftc_tell_all() writes. */
int
ftc_is_before(const ftc_watcher *me, int id, uint64_t epoch)
{
    const ftc_past *theirs = &ftc_pasts[id];
    if (me->heard[id] >= epoch) {
        return 1;
    }
    if (__atomic_load_n(&theirs->told, __ATOMIC_ACQUIRE) < epoch) {
        return 0;                                      /* it is still at it */
    }
    if (__atomic_load_n(&theirs->tick, __ATOMIC_ACQUIRE) <= me->since) {
        return 1;
    }
    uint64_t count = __atomic_load_n(&theirs->count, __ATOMIC_ACQUIRE);
    for (uint64_t i = count; i > 0 && i + FTC_TICKS > count; i--) {
        uint64_t tick = __atomic_load_n(&theirs->entries[(i - 1) % FTC_TICKS].tick, __ATOMIC_RELAXED);
        uint64_t told = __atomic_load_n(&theirs->entries[(i - 1) % FTC_TICKS].told, __ATOMIC_RELAXED);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (__atomic_load_n(&theirs->count, __ATOMIC_RELAXED) >= i + FTC_TICKS - 1) {
            return 1;                                  /* or another one is there by now */
        }
        if (tick <= me->since || epoch > told) {
            return epoch <= told;
        }
    }
    return count >= FTC_TICKS;
}

uint64_t
ftc_progress_of_others(const ftc_watcher *me)
{
    uint64_t sum = __atomic_load_n(&ftc_ticks, __ATOMIC_RELAXED) + ftc_passed_by_others(me);
    for (int id = 0, count = ftc_watchers_used(); id < count; id++) {
        sum += id == me->id ? 0 : __atomic_load_n(&ftc_pasts[id].told, __ATOMIC_RELAXED);
    }
    return sum;
}

/* Delays: threads wait before an access, so that stretches of C code overlap that hardly ever would.
 *
 * A race shows only where two stretches of C code overlap in time, and those of most functions are shorter than it takes to
 * start a thread.  So threads wait now and then (Edelstein et al.: Multithreaded Java program test generation, 2002).  They stay
 * attached to the interpreter meanwhile: to detach would suspend critical sections, and with them what makes correct code
 * correct.  There are two kinds.
 *
 * A *pause* is short, of a random length: at the first few comings to each place in the code, and then at random, ever more
 * seldom, so that a long loop takes no longer than it must (and not while another thread holds); and now and then where a thread
 * comes to a place for the first time in a round.  When the next random one is, is drawn when the last one was.  The distance is
 * uniform, from one to twice its mean.
 *
 * A *hold* is as long as what the others do.  What is done once a round only, at its beginning say, has one chance in each; and
 * what it has to overlap with may come milliseconds later.  So in every other round one half of the threads is drawn to be slow.  A
 * slow one stops once, where it comes to a place for the first time in the round: at the very first such place, or at any of
 * them.  It goes on when no other thread has got on for a while, though it had a CPU or could not run, or when it has waited for
 * very long; one in four goes on
 * earlier, after a number of borders of the others that is drawn.  So a round takes at most as long as if its threads ran one
 * after the other, and a while.  (The lazy initialisation `if (x == NULL) x = make();` races with itself only if one thread is
 * stopped before its `if` while another one makes x.)  In the rounds between, nobody is slow, so that what is long overlaps.
 *
 * Where a place has had many pauses, who comes there is let go on quickly until its next border, or until it has noted much: its
 * accesses take the fast path of the callbacks (shadow.h), and none of them pauses, unless it comes to another place.
 *
 * What a thread draws depends on the seed, its label and the number of the round.
 */
#include "native.h"
#include <errno.h>
#include <string.h>
#include <time.h>

#define FIRST 8                      /* comings to a place that always pause */
#define HALF 16                      /* pauses at a place after which the chance of another one is half of what it was */
#define ENOUGH 128                   /* pauses at a place, after which a thread that comes there is quick */
#define SELDOM 4                     /* one in so many first comings of a round pauses, and fewer where there are many places */
#define LOOKS 50000                  /* nanoseconds between two looks at the others */
#define PATIENCE 1000000             /* nanoseconds in which nobody gets on; twice that in one of two, and so on */
#define DOUBLINGS 3
#define BORDERS 16                   /* of the others after which some go on: 1, 2, 4, ..., so many numbers */
#define LONGEST 250000000            /* nanoseconds of a hold; where the machine has more to do, as many of CPU time, but at most */
#define AT_MOST (10 * (int64_t)LONGEST)

static uint64_t longest_pause, seed;                   /* nanoseconds */
static uint32_t distance;            /* twice the mean number of accesses between two that pause */
static uint8_t pauses[FTC_PLACES];
static uint32_t most_firsts;         /* places that a thread came to in one round, at most */
static atomic_uint strangers;
static int holding;                  /* threads that hold: for them the others hurry */

void
ftc_set_delays(double rate, long longest, uint64_t with_seed)
{
    distance = rate <= 2.0 / UINT32_MAX ? UINT32_MAX : rate >= 1 ? 1 : (uint32_t)(2.0 / rate);
    longest_pause = (uint64_t)longest;
    seed = with_seed;
    most_firsts = 0;
    atomic_store(&strangers, 0);
    for (int i = 0; i < FTC_PLACES; i++) {
        __atomic_store_n(&pauses[i], 0, __ATOMIC_RELAXED);
    }
}

static uint64_t
mix(uint64_t z)                                        /* splitmix64, as in policy.c */
{
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static uint64_t
draw(ftc_watcher *me)
{
    return mix(me->random += 0x9E3779B97F4A7C15u);
}

/* Which half that is, is drawn for the round, by the numbers at the ends of the labels: two threads with numbers that follow each
 * other are never both slow, nor both fast.  Who has no number draws for itself. */
static int
is_of_the_slow_half(const char *label, uint64_t round, uint64_t drawn)
{
    size_t length = strlen(label), digits = length;
    unsigned number = 0;
    while (digits > 0 && label[digits - 1] >= '0' && label[digits - 1] <= '9') {
        digits--;
    }
    if (digits == length) {
        return drawn & 1;
    }
    for (size_t i = digits; i < length; i++) {
        number = number * 10 + (unsigned)(label[i] - '0');
    }
    uint64_t half = mix(seed + (round + 1) * 0x9E3779B97F4A7C15u);
    return (__builtin_popcount(number & (1 | (half >> 1 & 6))) ^ (int)half) & 1;
}

/* Threads that are not ours are all called the same, and know of no round: those are numbered. */
void
ftc_seed_watcher(ftc_watcher *me)
{
    const ftc_slot *slot = ftc_my_slot();
    uint64_t mixed = seed;
    for (const char *c = me->label; *c != '\0'; c++) {
        mixed = mixed * 1099511628211u + (unsigned char)*c;
    }
    uint64_t round = slot != NULL ? (uint64_t)atomic_load(&slot->round) : atomic_fetch_add(&strangers, 1);
    me->random = mixed;
    me->random = draw(me) + round;
    me->until = 1 + (uint32_t)(draw(me) % distance);
    memset(me->been, 0, sizeof me->been);
    me->firsts = 0;
    uint64_t how = draw(me);
    uint32_t most = __atomic_load_n(&most_firsts, __ATOMIC_RELAXED);
    int is_slow = round & 1 && is_of_the_slow_half(me->label, round, how);
    me->stops_at = !is_slow ? UINT32_MAX : how & 2 || most == 0 ? 0 : (uint32_t)((how >> 32) % most);
}

/* A thread may have been watched before it was anybody in this run: then it had no name, and that of another one's is the same. */
void
ftc_begin_round(void)
{
    if (ftc_watcher_if_any() != NULL) {
        ftc_name_watcher(ftc_watcher_here);
        ftc_begin_afresh(ftc_watcher_here);
        if (ftc_native_on & FTC_DELAYS) {
            ftc_seed_watcher(ftc_watcher_here);
        }
    }
}

static void
sleep_for(uint64_t nanoseconds)
{
    struct timespec so_long = {0, (long)nanoseconds};
    nanosleep(&so_long, NULL);
}

static void
pause_once(uint64_t drawn)
{
    int before = errno;
    ftc_tick();
    sleep_for(1 + drawn % longest_pause);
    ftc_tick();
    errno = before;
}

static __attribute__((noinline)) void
pause_perhaps(ftc_watcher *me, uint8_t *times)
{
    uint64_t drawn = draw(me);
    unsigned so_far = __atomic_load_n(times, __ATOMIC_RELAXED);
    if (so_far >= FIRST) {
        me->until = 1 + (uint32_t)(draw(me) % distance);
        if ((drawn & 0xffffffffu) >= 0x100000000u >> (so_far / HALF) || __atomic_load_n(&holding, __ATOMIC_RELAXED) > 0) {
            return;
        }
    }
    if (so_far < 255) {
        __atomic_store_n(times, (uint8_t)(so_far + 1), __ATOMIC_RELAXED);
    }
    pause_once(drawn >> 32);
}

static int64_t
cpu_time(void)                       /* of all other threads, in nanoseconds */
{
    struct timespec all, mine;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &all);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &mine);
    return (all.tv_sec - mine.tv_sec) * 1000000000L + all.tv_nsec - mine.tv_nsec;
}

static void
hold(ftc_watcher *me)
{
    int before = errno;
    uint64_t drawn = draw(me);
    int64_t patience = PATIENCE;
    for (int i = 0; i < DOUBLINGS && drawn >> i & 1; i++) {
        patience *= 2;
    }
    __atomic_add_fetch(&holding, 1, __ATOMIC_RELAXED);
    ftc_tick();
    int64_t begin = ftc_now(), since = begin, now = begin, cpu = cpu_time(), used = cpu;
    uint64_t last = ftc_progress_of_others(me), enough = last + (drawn >> 32 & 3 ? UINT32_MAX : 1u << (drawn >> 40) % BORDERS);
    while ((now - begin < LONGEST || (cpu_time() - cpu < LONGEST && now - begin < AT_MOST)) && last < enough) {
        sleep_for(LOOKS);
        uint64_t next = ftc_progress_of_others(me);
        now = ftc_now();
        if (next != last) {
            last = next;
            since = now;
            used = cpu_time();
        }
        else if (now - since >= patience && (cpu_time() - used >= patience || !ftc_somebody_can_run())) {
            break;
        }
    }
    __atomic_sub_fetch(&holding, 1, __ATOMIC_RELAXED);
    ftc_tick();
    errno = before;
}

static __attribute__((noinline)) void
come_first(ftc_watcher *me, uint32_t place)
{
    uint32_t number = me->firsts++;
    me->been[place / 64] |= (uint64_t)1 << place % 64;
    if (me->firsts > __atomic_load_n(&most_firsts, __ATOMIC_RELAXED)) {
        __atomic_store_n(&most_firsts, me->firsts, __ATOMIC_RELAXED);
    }
    if (number == me->stops_at) {
        hold(me);
    }
    else if (__atomic_load_n(&pauses[place], __ATOMIC_RELAXED) < FIRST) {
        pause_perhaps(me, &pauses[place]);
    }
    else {
        uint64_t drawn = draw(me);
        if ((drawn & 0xffffffffu) % (number < SELDOM ? SELDOM : number) == 0) {
            pause_once(drawn >> 32);
        }
    }
}

static inline uint32_t
place_of(uintptr_t pc)
{
    return (uint32_t)(pc * 0x9E3779B97F4A7C15u >> 40) % FTC_PLACES;
}

static inline int
is_first(const ftc_watcher *me, uint32_t place)
{
    return !(me->been[place / 64] >> place % 64 & 1);
}

int
ftc_may_wait(const ftc_watcher *me, uintptr_t pc)
{
    uint32_t place = place_of(pc);
    return is_first(me, place) || __atomic_load_n(&pauses[place], __ATOMIC_RELAXED) < (me->passing > 0 ? FIRST : ENOUGH);
}

void
ftc_delay(ftc_watcher *me, uintptr_t pc)
{
    uint32_t place = place_of(pc);
    unsigned so_far = __atomic_load_n(&pauses[place], __ATOMIC_RELAXED);
    if (__builtin_expect(is_first(me, place), 0)) {
        come_first(me, place);
    }
    else if (so_far < FIRST || --me->until == 0) {
        pause_perhaps(me, &pauses[place]);
    }
    if (so_far >= ENOUGH) {
        ftc_be_quick(me);
    }
}

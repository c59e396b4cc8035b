/* Threads that access memory in extensions, and the order of what they do.
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
#include "sched.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int ftc_native_begun, ftc_native_on;
_Thread_local ftc_watcher *ftc_watcher_here __attribute__((tls_model("initial-exec")));

uint64_t ftc_ticks = 1;

static ftc_past pasts[FTC_WATCHED];
static ftc_watcher *watchers[FTC_WATCHED];
static char labels[FTC_WATCHED][FTC_LABEL_SIZE];
static atomic_int used;
static atomic_long unwatched, children;
static uint64_t noted_before;        /* by those who are gone, less what was noted before this watch */
static unsigned watch;               /* this one has this number */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_key_t at_exit;
static _Thread_local unsigned refused __attribute__((tls_model("initial-exec")));

static void
slow_down(ftc_watcher *one)
{
    __atomic_store_n(&one->undelayed, 0, __ATOMIC_SEQ_CST);
    __atomic_store_n(&one->quick, 0, __ATOMIC_SEQ_CST);
    __atomic_store_n(&one->passing, 0, __ATOMIC_RELAXED);              /* or a few more: then its next access finds out */
}

static void
leave(void *watcher)
{
    ftc_watcher *me = watcher;
    ftc_tell_all(me);
    ftc_strict_told((uintptr_t)pthread_self());        /* whoever joins it hears that */
    pthread_mutex_lock(&lock);
    watchers[me->id] = NULL;
    noted_before += me->turn;
    pthread_mutex_unlock(&lock);
    ftc_watcher_here = NULL;
    free(me);
}

/* After fork() there is one thread, and locks are as the parent's threads had them, those of the shadow as well.  What the child
 * does is looked at no more: then none of them is asked for, and the list of races stays the parent's. */
static void
in_child(void)
{
    ftc_native_on = ftc_native_begun = ftc_native_exploring = 0;
    pthread_mutex_init(&lock, NULL);
    ftc_modules_in_child();
    for (int i = 0; i < FTC_WATCHED; i++) {
        watchers[i] = watchers[i] == ftc_watcher_here ? watchers[i] : NULL;
    }
    if (ftc_watcher_here != NULL) {
        slow_down(ftc_watcher_here);
    }
}

static void
in_parent(void)
{
    children += ftc_native_on != 0;
}

int
ftc_watchers_init(void)
{
    static int done;
    if (!done && (pthread_key_create(&at_exit, leave) != 0 || pthread_atfork(NULL, in_parent, in_child) != 0)) {
        return -1;
    }
    done = 1;
    return 0;
}

/* The id that has been free for longest: what its last owner did is told apart by epochs, but only as long as somebody knows.
 * Clocks are as long as there are ids in use, so no more of them are taken than there have to be. */
static int
free_id(void)
{
    static int next, window = 32;
    for (; window <= FTC_WATCHED; window *= 2) {
        for (int i = 0; i < window; i++) {
            int id = (next + i) % window;
            if (watchers[id] == NULL) {
                next = id + 1;
                return id;
            }
        }
        if (window == FTC_WATCHED) {
            break;
        }
    }
    return -1;
}

void
ftc_name_watcher(ftc_watcher *me)
{
    const ftc_slot *slot = ftc_my_slot();
    const char *label = slot != NULL ? slot->label : getpid() == gettid() ? "the main thread" : "a thread";
    if (strncmp(me->label, label, sizeof me->label - 1) != 0) {
        snprintf(me->label, sizeof me->label, "%s", label);
        memcpy(labels[me->id], me->label, sizeof me->label);
        ftc_seed_watcher(me);
    }
}

ftc_watcher *
ftc_new_announced_watcher(void)
{
    if (refused != 0 && refused == __atomic_load_n(&watch, __ATOMIC_RELAXED)) {
        return NULL;
    }
    ftc_watcher *me = calloc(1, sizeof *me);
    pthread_mutex_lock(&lock);
    int id = me == NULL ? -1 : free_id();
    if (id >= 0) {
        watchers[id] = me;
        if (id >= atomic_load(&used)) {
            atomic_store(&used, id + 1);
        }
    }
    pthread_mutex_unlock(&lock);
    if (id < 0) {
        free(me);
        refused = watch;
        unwatched++;
        return NULL;
    }
    me->id = id;
    me->top = me->frames;
    me->frames[0] = (ftc_frame){UINTPTR_MAX, 0, 0, 0};
    me->frames[1].border = 1;
    me->past = &pasts[id];
    me->now = FTC_NOW(__atomic_load_n(&me->past->told, __ATOMIC_ACQUIRE) + 1, id);
    me->thread = pthread_self();
    ftc_name_watcher(me);
    pthread_attr_t attributes;
    void *low;
    size_t size;
    if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
        if (pthread_attr_getstack(&attributes, &low, &size) == 0) {
            me->stack_low = (uintptr_t)low;
            me->stack_high = me->stack_low + size;
        }
        pthread_attr_destroy(&attributes);
    }
    me->behind = 1;
    ftc_begin_afresh(me);
    pthread_setspecific(at_exit, me);
    ftc_watcher_here = me;
    return me;
}

/* Nobody has said how it began: it comes after all that is over. */
ftc_watcher *
ftc_new_watcher(void)
{
    ftc_watcher *me = ftc_new_announced_watcher();
    if (me != NULL && ftc_strict) {
        ftc_hear_what_is_over(me);
    }
    return me;
}

int
ftc_watchers_used(void)
{
    return atomic_load(&used);
}

/* Of the run that is under way: who is on this thread, or was the last to be; 0: nobody, or the test itself. */
static int
worker_on(pthread_t thread)
{
    int found = 0;
    for (int i = 1; i < ftc_the.workers; i++) {
        int is_live = (ftc_the.live & FTC_BIT(i)) != 0;
        if (ftc_workers[i].ident == (unsigned long)thread && (found == 0 || is_live)) {
            found = i;
        }
    }
    return found;
}

const char *
ftc_watcher_label(int id)
{
    const ftc_watcher *watcher = watchers[id];
    for (int i = 0; watcher != NULL && i < FTC_MAX_SLOTS; i++) {      /* it may have got a name since, or another one */
        const ftc_slot *slot = &ftc_slots[i];
        if (atomic_load(&slot->used) == 1 && pthread_equal(slot->thread, watcher->thread)) {
            memcpy(labels[id], slot->label, FTC_LABEL_SIZE);
        }
    }
    int worker = watcher != NULL && ftc_native_on & FTC_EXPLORES ? worker_on(watcher->thread) : 0;
    if (worker > 0) {
        snprintf(labels[id], FTC_LABEL_SIZE, "thread %d", worker);     /* as the story of the interleaving has it */
    }
    return labels[id];
}

const ftc_watcher *
ftc_watcher_of(pthread_t thread)
{
    const ftc_watcher *found = NULL;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < FTC_WATCHED && found == NULL; i++) {
        found = watchers[i] != NULL && pthread_equal(watchers[i]->thread, thread) ? watchers[i] : NULL;
    }
    pthread_mutex_unlock(&lock);
    return found;
}

static uint64_t
noted(void)
{
    uint64_t sum = noted_before;
    for (int i = 0; i < FTC_WATCHED; i++) {
        sum += watchers[i] == NULL ? 0 : __atomic_load_n(&watchers[i]->turn, __ATOMIC_RELAXED);
    }
    return sum;
}

uint64_t
ftc_noted(void)
{
    pthread_mutex_lock(&lock);
    uint64_t sum = noted();
    pthread_mutex_unlock(&lock);
    return sum;
}

void
ftc_watchers_begin(void)
{
    pthread_mutex_lock(&lock);
    watch++;
    unwatched = children = 0;
    noted_before -= noted();
    pthread_mutex_unlock(&lock);
    ftc_tick();                      /* so all notice at their next border */
}

long
ftc_children(void)
{
    return children;
}

long
ftc_unwatched(void)
{
    return unwatched;
}

/* --- borders ------------------------------------------------------------------------------------------------------- */

#define WARM 8                       /* times FTC_PROGRESS borders that are all looked at closely */
#define CLOSE 16                     /* borders for which a thread looks closely again after that */
#define PASSING 1008                 /* and for which it does not */

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
ftc_nobody_is_quick(void)
{
    pthread_mutex_lock(&lock);
    for (int i = 0; i < FTC_WATCHED; i++) {
        if (watchers[i] != NULL) {
            slow_down(watchers[i]);
        }
    }
    pthread_mutex_unlock(&lock);
}

void
ftc_begin_afresh(ftc_watcher *me)
{
    me->watch = __atomic_load_n(&watch, __ATOMIC_RELAXED);
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
        me->passing = 0;
        me->left = CLOSE;
        me->quick = me->undelayed;
    }
}

void
ftc_know_the_watch(ftc_watcher *me)
{
    if (me->watch != __atomic_load_n(&watch, __ATOMIC_RELAXED)) {
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
    for (int i = 0, count = atomic_load(&used); i < count; i++) {
        uint64_t told = __atomic_load_n(&pasts[i].told, __ATOMIC_ACQUIRE);
        me->heard[i] = told > me->heard[i] ? told : me->heard[i];
    }
}

/* The order of these reads is the reverse of that in which ftc_tell_all() writes. */
int
ftc_is_before(const ftc_watcher *me, int id, uint64_t epoch)
{
    const ftc_past *theirs = &pasts[id];
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
    uint64_t sum = __atomic_load_n(&ftc_ticks, __ATOMIC_RELAXED);
    for (int id = 0, count = atomic_load(&used); id < count; id++) {
        sum += id == me->id ? 0 : __atomic_load_n(&pasts[id].told, __ATOMIC_RELAXED);
    }
    return sum;
}

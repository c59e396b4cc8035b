/* Threads that access memory in extensions, and the order of what they do.
 *
 * Each thread counts epochs: a new one begins after each border, and after each atomic release.  A vector clock says of which
 * epoch of each thread one has heard; an access in epoch e of thread t comes before all that is done by those who have heard
 * of e of t (Lamport 1978; as epochs: Flanagan and Freund, FastTrack, PLDI 2009).
 *
 * Borders (native.h) are cheap that way.  Whoever comes to one tells everybody, and hears what everybody has told.  All that
 * a thread has heard of was told by those who did it, so it is enough that each thread tells its own epoch: one store, and
 * to hear is to read those of all threads.
 */
#include "native.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int ftc_native_begun, ftc_native_on;
_Thread_local ftc_watcher *ftc_watcher_here __attribute__((tls_model("initial-exec")));

static uint64_t told[FTC_WATCHED];                     /* the last epoch of each thread that is over */
static ftc_watcher *watchers[FTC_WATCHED];
static char labels[FTC_WATCHED][FTC_LABEL_SIZE];
static atomic_int used;
static atomic_long unwatched;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_key_t at_exit;
static _Thread_local int refused __attribute__((tls_model("initial-exec")));

static void
leave(void *watcher)
{
    ftc_watcher *me = watcher;
    ftc_tell_all(me);
    pthread_mutex_lock(&lock);
    watchers[me->id] = NULL;
    pthread_mutex_unlock(&lock);
    ftc_watcher_here = NULL;
    free(me);
}

/* After fork() there is one thread, and the lock is as the parent's threads had it. */
static void
in_child(void)
{
    pthread_mutex_init(&lock, NULL);
    for (int i = 0; i < FTC_WATCHED; i++) {
        watchers[i] = watchers[i] == ftc_watcher_here ? watchers[i] : NULL;
    }
}

int
ftc_watchers_init(void)
{
    static int done;
    if (!done && (pthread_key_create(&at_exit, leave) != 0 || pthread_atfork(NULL, NULL, in_child) != 0)) {
        return -1;
    }
    done = 1;
    return 0;
}

/* The id that has been free for longest: what its last owner did is told apart by epochs, but only as long as somebody knows. */
static int
free_id(void)
{
    static int next;
    for (int i = 0; i < FTC_WATCHED; i++) {
        int id = (next + i) % FTC_WATCHED;
        if (watchers[id] == NULL) {
            next = id + 1 == FTC_WATCHED ? 0 : id + 1;
            return id;
        }
    }
    return -1;
}

ftc_watcher *
ftc_new_watcher(void)
{
    if (refused) {
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
        refused = 1;
        unwatched++;
        return NULL;
    }
    me->id = id;
    me->epoch = __atomic_load_n(&told[id], __ATOMIC_ACQUIRE) + 1;
    const ftc_slot *slot = ftc_my_slot();
    snprintf(me->label, sizeof me->label, "%s", slot != NULL ? slot->label : getpid() == gettid() ? "the main thread" : "a thread");
    memcpy(labels[id], me->label, sizeof me->label);
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
    ftc_seed_watcher(me);
    pthread_setspecific(at_exit, me);
    ftc_watcher_here = me;
    return me;
}

int
ftc_watchers_used(void)
{
    return atomic_load(&used);
}

const char *
ftc_watcher_label(int id)
{
    return labels[id];
}

long
ftc_unwatched(void)
{
    return unwatched;
}

/* --- borders ------------------------------------------------------------------------------------------------------- */

void
ftc_tell_all(ftc_watcher *me)
{
    __atomic_store_n(&told[me->id], me->epoch, __ATOMIC_SEQ_CST);
    me->epoch++;
}

/* Who reads of two threads may read the first one before, and the second one after that one has heard of the first: so it
 * reads until nothing has changed. */
void
ftc_hear_everybody(ftc_watcher *me)
{
    me->behind = 0;
    int count = atomic_load(&used);
    for (int changed = 1, turn = 0; changed && turn < 64; turn++) {
        changed = 0;
        for (int i = 0; i < count; i++) {
            uint64_t now = __atomic_load_n(&told[i], __ATOMIC_SEQ_CST);
            if (now > me->heard[i]) {
                me->heard[i] = now;
                changed = 1;
            }
        }
    }
}

/* --- atomic variables ---------------------------------------------------------------------------------------------- */

static ftc_clock *spare;                               /* clocks that nobody has */
static int spare_lock;

static void
lock_spare(void)
{
    while (__atomic_exchange_n(&spare_lock, 1, __ATOMIC_ACQUIRE)) {
        sched_yield();
    }
}

ftc_clock *
ftc_new_clock(void)
{
    lock_spare();
    ftc_clock *clock = spare;
    spare = clock == NULL ? NULL : clock->next;
    __atomic_store_n(&spare_lock, 0, __ATOMIC_RELEASE);
    if (clock != NULL) {
        memset(clock, 0, sizeof *clock);
        return clock;
    }
    return calloc(1, sizeof *clock);
}

void
ftc_drop_clock(ftc_clock *clock)
{
    lock_spare();
    clock->next = spare;
    spare = clock;
    __atomic_store_n(&spare_lock, 0, __ATOMIC_RELEASE);
}

void
ftc_hear_clock(ftc_watcher *me, const ftc_clock *clock)
{
    for (int i = 0, count = atomic_load(&used); i < count; i++) {
        me->heard[i] = clock->epochs[i] > me->heard[i] ? clock->epochs[i] : me->heard[i];
    }
}

/* Of all that was told to everybody (ftc_tell_all), which the caller has done just before. */
void
ftc_tell_clock(ftc_watcher *me, ftc_clock *clock)
{
    for (int i = 0, count = atomic_load(&used); i < count; i++) {
        clock->epochs[i] = me->heard[i] > clock->epochs[i] ? me->heard[i] : clock->epochs[i];
    }
    clock->epochs[me->id] = me->epoch - 1;
}

/* Threads that access memory in extensions: who they are, what they are called, and how many could not be looked at.
 *
 * The order of what they do is in borders.c.
 */
#include "native.h"
#include "sched.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int ftc_native_begun, ftc_native_on;
static ftc_past nobodys = {.tick = UINT64_MAX};
const ftc_watcher ftc_nobody = {.past = &nobodys, .top = (ftc_frame *)ftc_nobody.frames, .frames = {{.frame = UINTPTR_MAX}}};
_Thread_local ftc_watcher *ftc_watcher_here __attribute__((tls_model("initial-exec"))) = (ftc_watcher *)&ftc_nobody;

static ftc_watcher *watchers[FTC_WATCHED];
static char labels[FTC_WATCHED][FTC_LABEL_SIZE];
static atomic_int used;
static atomic_long unwatched, children;
static uint64_t noted_before;        /* by those who are gone, less what was noted before this watch */
unsigned ftc_watch;
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
    ftc_watcher_here = (ftc_watcher *)&ftc_nobody;
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
    if (ftc_watcher_if_any() != NULL) {
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

uint64_t
ftc_passed_by_others(const ftc_watcher *me)
{
    uint64_t sum = 0;
    pthread_mutex_lock(&lock);
    for (int id = 0, count = ftc_watchers_used(); id < count; id++) {
        const ftc_watcher *one = watchers[id];
        if (one != NULL && one != me) {
            sum += __atomic_load_n(&one->granted, __ATOMIC_RELAXED) - (uint32_t)__atomic_load_n(&one->passing, __ATOMIC_RELAXED);
        }
    }
    pthread_mutex_unlock(&lock);
    return sum;
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
    if (refused != 0 && refused == __atomic_load_n(&ftc_watch, __ATOMIC_RELAXED)) {
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
        refused = ftc_watch;
        unwatched++;
        return NULL;
    }
    me->id = id;
    me->top = me->bottom = me->frames;
    me->frames[0] = (ftc_frame){UINTPTR_MAX, 0, 0, 0};
    me->frames[1].border = 1;
    me->past = &ftc_pasts[id];
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
    ftc_watch++;
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

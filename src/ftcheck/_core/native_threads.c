/* Threads that C code makes itself, under the explorer.
 *
 * Who makes one, with pthread_create(), thrd_create() or std::thread, and who joins it, calls what stands in for these functions
 * (begun.c).  The thread is one of the run's then, as if Python had started it: it waits for its first turn before it does anything,
 * stops at its accesses, and hands the token on at its end.  It has no thread state of the interpreter.
 *
 * Nobody waits for its end when the test is over, as for a daemon thread: it may serve for ever.  Where it then waits outside of control,
 * for a condition say, it is left there.
 */
#include "native.h"
#include "sched.h"
#include <errno.h>

ftc_c_thread
ftc_c_thread_comes(void)
{
    ftc_c_thread mine = {0};
    int before = errno;
    if (ftc_native_is_managed() && ftc_native_enter() == 0) {
        if (!ftc_the.abandoning && ftc_the.workers < FTC_MAX_WORKERS) {
            mine = (ftc_c_thread){ftc_new_worker(ftc_my.worker), ftc_the.number};
            mine.worker->background = 1;
        }
        ftc_exit();
    }
    errno = before;
    return mine;
}

void
ftc_c_thread_does_not_come(ftc_c_thread mine)
{
    if (mine.worker != NULL && ftc_my.worker != NULL && ftc_native_enter() == 0) {
        ftc_the.live &= ~FTC_BIT(mine.worker->id);
        ftc_the.enabled &= ~FTC_BIT(mine.worker->id);
        ftc_the.unjoined &= ~FTC_BIT(mine.worker->id);
        mine.worker->wait = FTC_ENDED;
        ftc_exit();
    }
}

/* Its number is known to who has made it, who may join it before it has begun. */
void
ftc_c_thread_is(ftc_c_thread mine, pthread_t thread)
{
    if (mine.worker != NULL && ftc_my.worker != NULL && ftc_native_enter() == 0) {
        mine.worker->ident = (unsigned long)thread;
        mine.worker->c_thread = 1;
        ftc_exit();
    }
}

void
ftc_c_thread_begins(ftc_c_thread mine)
{
    ftc_worker *me = mine.worker;
    if (me == NULL || mine.run != ftc_the.number || !ftc_the.active) {
        return;
    }
    ftc_sit_in_c(me);
    me->in_extension = 1;
    ftc_wait_for_turn(me);
    if (!ftc_the.abandoning) {
        ftc_execute(me);
    }
    me->in_extension = 0;
    ftc_exit();
}

void
ftc_c_thread_ends(void)
{
    ftc_worker *me = ftc_my.worker;
    if (me == NULL) {
        return;
    }
    ftc_native_settle();
    if (ftc_native_enter() == 0) {
        me->in_extension = 1;
        ftc_leave(me);
    }
    ftc_pass_on();
}

static ftc_worker *
worker_on(pthread_t thread)
{
    for (int i = ftc_the.workers; i-- > 1;) {
        if (ftc_workers[i].c_thread && ftc_workers[i].ident == (unsigned long)thread) {
            return &ftc_workers[i];
        }
    }
    return NULL;
}

/* In a run that is given up it needs the token to come to its end, as all do who are in C code. */
static void
let_end(ftc_worker *me, const ftc_worker *who)
{
    while (ftc_the.abandoning && ftc_the.live & ~ftc_the.outside & FTC_BIT(who->id)) {
        ftc_hand_over(me, who->id);
    }
}

void
ftc_c_thread_join(pthread_t thread)
{
    ftc_worker *me = ftc_my.worker;
    int before = errno;
    if (!ftc_native_is_managed()) {
        return;
    }
    ftc_native_settle();
    ftc_stay stay = ftc_stay_begins(me);               /* as in the real call */
    ftc_worker *who = stay.is_inside ? worker_on(thread) : NULL;
    if (who != NULL) {
        me->code = NULL;
        me->pending = (ftc_op){.kind = FTC_JOIN, .also = FTC_BIT(who->id)};
        if (who->wait != FTC_ENDED && !ftc_the.abandoning) {
            me->step++;
            me->wait = FTC_WAITS_WORKERS;
            me->waits_for = FTC_BIT(who->id);
            ftc_block(me, -1);
            me->wait = FTC_RUNS;
        }
        if (!ftc_the.abandoning) {
            ftc_execute(me);
        }
        let_end(me, who);
    }
    ftc_stay_ends(me, stay);
    errno = before;
}

/* Turns: a worker hands the token over, and waits until it gets it back.
 *
 * On the main thread a signal handler may have to run although it is not this thread's turn: what it raises is kept, and
 * ends the run at the next point of whoever has the token.
 */
#define Py_BUILD_CORE 1
#include "sched.h"
#include "internal/pycore_ceval.h"
#include <errno.h>
#include <unistd.h>

atomic_int ftc_interrupted;
PyObject *ftc_interruption;

void
ftc_look_for_signals(int id)
{
    if (id == 0 && ftc_interruption == NULL && PyErr_CheckSignals() < 0) {
        ftc_interruption = PyErr_GetRaisedException();
        atomic_store(&ftc_interrupted, 1);
    }
}

static int
wait_so_long(ftc_worker *me, long milliseconds)
{
    struct timespec until = ftc_in(milliseconds);
    return sem_timedwait(me->go, &until) == 0;
}

/* The main thread: 0 if a signal has come.  One that comes just before the wait does not interrupt it, so it looks now and
 * then, without being attached.  After Ctrl-C the thread that has the token is to come to a point soon: if it is blocked where
 * it cannot be reached (in recv(), say), all that is left is to end the process. */
static int
wait_as_main(ftc_worker *me, int interrupted)
{
    if (interrupted) {
        return wait_so_long(me, 1000);
    }
    while (!wait_so_long(me, 100)) {
        if (errno == EINTR || _Py_eval_breaker_bit_is_set(me->tstate, _PY_SIGNALS_PENDING_BIT)) {
            return 0;
        }
    }
    return 1;
}

/* Who is to run next is woken when this thread is detached from the interpreter, not before.  The last reference to an
 * object may be dropped by another thread than the one that made it, and the interpreter then looks at whether that one
 * is detached: if it is, the object is gone at once, with its finaliser and its weakref callbacks; if not, some time later
 * (biased reference counting).  So those who wait must be detached always, or the same schedule is not the same run. */
static _Thread_local int to_wake = -1;

void
ftc_pass_on_to(int next)
{
    to_wake = next;
}

void
ftc_pass_on(void)
{
    int next = to_wake;
    to_wake = -1;
    if (next >= 0) {
        ftc_wake(next);
    }
}

void
ftc_wait_for_turn(ftc_worker *me)
{
    if (me->in_extension) {
        ftc_pass_on();
        while (sem_wait(me->go) != 0) {
            continue;                                  /* a signal: its handler can wait */
        }
        return;
    }
    long seen = -1;
    int patience = 3;                                  /* seconds without any progress */
    for (;;) {
        int got, hurry = me->id == 0 && ftc_interruption != NULL;
        Py_BEGIN_ALLOW_THREADS
        ftc_pass_on();
        got = me->id == 0 ? wait_as_main(me, hurry) : sem_wait(me->go) == 0;
        Py_END_ALLOW_THREADS
        if (got) {
            return;
        }
        ftc_look_for_signals(me->id);
        if (hurry && seen == ftc_the.steps && --patience <= 0) {
            ftc_write(2, "\nftcheck: interrupted, but a thread is blocked outside of control; the process ends\n");
            _exit(130);
        }
        patience = seen == ftc_the.steps ? patience : 3;
        seen = ftc_the.steps;
    }
}

void
ftc_hand_over(ftc_worker *me, int to)
{
    ftc_the.switches++;
    me->stay = 0;
    to_wake = to;
    ftc_wait_for_turn(me);
}

/* Runs that are given up, and how their threads get out of them.  Part of sched.h.
 *
 * A run that cannot be ended by its own code (a deadlock, a limit, Ctrl-C) is given up: every worker that is still there
 * gets the token once more, and at each point and at each call that would block it gets an exception that unwinds it.
 *
 * C code cannot be unwound, and may wait in a loop for what another thread does.  So a run in which extensions have points, and
 * that is too long, is let out first: its threads take turns, unseen by policy and log, until they have ended by themselves; only
 * if that takes too long as well is it given up.
 */
#include "native.h"
#include "sched.h"

PyObject *ftc_abandoned;

static void
note_unfinished(void)
{
    for (int i = 0; i < ftc_the.workers; i++) {
        ftc_worker *w = &ftc_workers[i];
        w->unfinished = ftc_the.live & FTC_BIT(i) ? w->pending : (ftc_op){0};
        ftc_identify(&w->unfinished);
        w->unfinished_code = w->code;
        w->unfinished_offset = w->offset;
    }
#ifdef FTC_NATIVE
    if (ftc_native_exploring) {
        ftc_note_stuck();
    }
#endif
}

int
ftc_really_give_up(enum ftc_outcome outcome)
{
    if (!ftc_the.abandoning) {
        ftc_the.abandoning = 1;
        if (!ftc_the.letting_out || ftc_the.outcome != FTC_REDUNDANT) {
            ftc_the.outcome = outcome;
            note_unfinished();
        }
    }
    return -1;
}

#define LETTING_OUT 20               /* times as many points as the run was to have */
#define SHORT_STAY 50

/* A run in which there is C code cannot simply be given up: that cannot be unwound, and may wait in a loop for what another thread
 * has not done yet.  So it goes on to its end, by turns, and nothing of that is noted.  Returns whether it does. */
int
ftc_let_out(enum ftc_outcome outcome)
{
#ifdef FTC_NATIVE
    if (!ftc_the.letting_out && !ftc_the.abandoning && ftc_native_passed > 0) {
        ftc_the.letting_out = 1;
        ftc_the.outcome = outcome;
        note_unfinished();
        ftc_the.limit *= LETTING_OUT;
        ftc_the.stay_limit = ftc_the.stay_limit < SHORT_STAY ? ftc_the.stay_limit : SHORT_STAY;
        ftc_trace_no_more();
    }
#endif
    return ftc_the.letting_out;
}

void
ftc_give_up(enum ftc_outcome outcome)
{
    if (!ftc_let_out(outcome)) {
        ftc_really_give_up(outcome);
    }
}

int
ftc_unwind(ftc_worker *me)
{
    if (me->in_extension) {
        return -1;
    }
    if (me->id == 0 && ftc_interruption != NULL) {
        PyErr_SetRaisedException(ftc_interruption);
        ftc_interruption = NULL;
    }
    else if (!PyErr_Occurred()) {
        PyErr_SetString(ftc_abandoned, "this run is given up");
    }
    return -1;
}

/* Those who are stopped within C code may have what the others wait for. */
int
ftc_first_to_unwind(uint64_t set)
{
    for (uint64_t left = set; left != 0; left &= left - 1) {
        if (ftc_workers[ftc_lowest(left)].in_extension) {
            return ftc_lowest(left);
        }
    }
    return ftc_lowest(set);
}

void
ftc_let_unwind(ftc_worker *me, int who)
{
    ftc_the.abandoning = 1;
    ftc_hand_over(me, who);
}

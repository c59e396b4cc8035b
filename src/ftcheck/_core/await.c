/* Loops that wait: a round that changed nothing need not be gone through again until somebody has written what it read.
 *
 * A round is what a thread does from one backward jump of a loop to the next time it comes there.  It is *idle* if all of the
 * thread's local variables are the same at both, it only read, and nobody wrote what it had read.  What comes after an idle
 * round is what would have come without it, so a systematic search does not want a second one: the thread *waits*, and is not
 * to be chosen while anybody else can run, until something is done that disturbs one of those reads.  (Kokologiannakis,
 * Ren, Vafeiadis: Dynamic partial order reductions for spinloops, FMCAD 2021.)
 *
 * That a loop's round leaves the thread as it was is known in this way: only loops are looked at that keep nothing but local
 * variables (explore/loops.py), of which each must be the same object as before; one that is stored in the loop must
 * be an object that never dies, so that its address is no other's.  Whatever else a thread may change and remember counts as
 * change: every operation but a read, an attempt to take a lock in vain, and sleep(0); a call of what is not known to only
 * read; a look at a clock.
 */
#define Py_BUILD_CORE 1
#include "sched.h"
#include "internal/pycore_interpframe.h"
#include "internal/pycore_stackref.h"
#include <stddef.h>
#include <string.h>

#define READS 16                     /* of one round; a longer one counts as change */

typedef struct {
    /* written by the thread itself, between two of its points */
    const void *frame;               /* NULL: it is in no such loop */
    const PyCodeObject *code;
    int offset;
    int begun, ended;                /* since its last point: it came to another loop / once more to the end of this one */
    int idle;                        /* as far as the thread itself knows, the round that has ended was */
    int changed;                     /* the one it is in now is not */
    /* by whoever has the token */
    int reads;
    int disturbed;
    int over;                        /* these are the reads of the round that has ended */
    uintptr_t locals[FTC_LOOP_LOCALS];
    ftc_op read[READS];
} turn;

static turn turns[FTC_MAX_WORKERS];
static uint64_t waiting;

void
ftc_await_reset(void)
{
    for (int i = 0; i < FTC_MAX_WORKERS; i++) {
        memset(&turns[i], 0, offsetof(turn, locals));
    }
    waiting = 0;
}

void
ftc_changes(void)
{
    if (ftc_my.worker != NULL) {
        turns[ftc_my.worker->id].changed = 1;
    }
}

void
ftc_loop_again(const void *where, int stored)
{
    _PyInterpreterFrame *frame = (_PyInterpreterFrame *)where;
    PyCodeObject *code = _PyFrame_GetCode(frame);
    int offset = _PyInterpreterFrame_LASTI(frame);
    turn *r = &turns[ftc_my.worker->id];
    int same = r->frame == frame && r->code == code && r->offset == offset;
    for (int i = 0; i < code->co_nlocalsplus && i < FTC_LOOP_LOCALS; i++) {
        _PyStackRef ref = frame->localsplus[i];
        PyObject *local = PyStackRef_IsNull(ref) || PyStackRef_IsTaggedInt(ref) ? NULL : PyStackRef_AsPyObjectBorrow(ref);
        same &= r->locals[i] == (uintptr_t)local && (!(stored >> i & 1) || local == NULL || _Py_IsImmortal(local));
        r->locals[i] = (uintptr_t)local;
    }
    if (same) {
        r->ended = 1;
        r->idle = !r->changed;
    }
    else {
        r->frame = frame, r->code = code, r->offset = offset;
        r->begun = 1;
        r->ended = 0;
    }
    r->changed = 0;
}

void
ftc_loop_left(const void *frame)
{
    turn *r = &turns[ftc_my.worker->id];
    if (r->frame == frame) {
        r->frame = NULL;
    }
}

/* It has come to its next point. */
static void
arrive(int id)
{
    turn *r = &turns[id];
    if (r->begun) {
        r->reads = r->disturbed = r->over = 0;
    }
    if (r->ended) {
        if (r->idle && !r->disturbed && r->reads > 0 && !r->over) {
            waiting |= FTC_BIT(id);
        }
        r->over = 1;
    }
    r->begun = r->ended = 0;
}

uint64_t
ftc_await_those(const ftc_worker *me)
{
    arrive(me->id);
    return waiting;
}

static int
only_looks(const ftc_op *op)
{
    return (op->kind == FTC_READ && !op->also_writes) || (op->kind == FTC_TRY && !op->typed) || op->kind == FTC_LOOK;
}

void
ftc_await_executes(const ftc_worker *who)
{
    const ftc_op *op = &who->pending;
    turn *mine = &turns[who->id];
    arrive(who->id);
    waiting &= ~FTC_BIT(who->id);
    if (mine->over) {
        mine->reads = mine->disturbed = mine->over = 0;
    }
    if (mine->frame == NULL || mine->changed) {
        mine->reads = 0;
    }
    else if (only_looks(op) && mine->reads < READS) {
        mine->read[mine->reads++] = *op;
    }
    else if (op->kind != FTC_SLEEP) {
        mine->changed = 1;
    }
    for (int i = 0; i < ftc_the.workers; i++) {
        turn *r = &turns[i];
        for (int k = 0; i != who->id && k < r->reads && !r->disturbed; k++) {
            r->disturbed = ftc_dependent(&r->read[k], op);
        }
        waiting &= r->disturbed ? ~FTC_BIT(i) : FTC_ALL;
    }
}

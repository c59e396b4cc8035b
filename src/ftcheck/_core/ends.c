/* Whether a thread lives: the question, and the end of a thread as an operation.
 *
 * Thread.is_alive() tells the others whether a thread has begun and has not ended, so both are like a write of what they read.
 * The question is where code in scope calls is_alive(); asked from elsewhere, or by repr(), where the handle's is_done() is.
 * To see an end, or to miss it, somebody has to come between the last thing that the thread does and that.  Few programs
 * ask, and in all others a point there would only make more of the same interleavings.  So there is one
 *
 *   in all runs of a search that begin after one in which somebody has asked (search.py marks its beginning by cool());
 *   in a systematic search with reduction, which must have the state before each end in its tree before anybody has asked,
 *   because it adds to the choices of a run that is over.  Without a race with a question it makes no choice there;
 *   where an entry of a replay says that the thread is stopped: what a token does must not depend on earlier runs.
 *
 * It is none of the points that a run is said to have, and a decision only in the first of these three, or where another
 * thread is chosen.  It has a number of its own, one more than the thread's last point, and the decision who follows after
 * the end has not: so it moves no other decision of a schedule.
 */
#include "sched.h"

static int asked;

void
ftc_ends_forget(void)
{
    asked = 0;
}

int
ftc_ends_asked(void)
{
    return asked;
}

const ftc_worker *
ftc_worker_with(const PyObject *handle)
{
    const ftc_worker *found = NULL;
    for (int i = 0; handle != NULL && i < ftc_the.workers; i++) {
        found = ftc_workers[i].handle == handle ? &ftc_workers[i] : found;             /* the last one that had this address */
    }
    return found;
}

/* What a question after the thread with this handle is now. */
static ftc_op
look_at(const PyObject *handle)
{
    const ftc_worker *who = ftc_worker_with(handle);
    asked = 1;
    return (ftc_op){
        .kind = FTC_LOOK, .typed = who != NULL && who->wait == FTC_ENDED, .object = (uintptr_t)handle,
        .also = who == NULL ? 0 : FTC_BIT(who->id), .place = (uintptr_t)Py_TYPE(handle),
    };
}

int
ftc_call_looks(ftc_op *op, PyObject *callable, PyObject *self)
{
    if (PyMethod_Check(callable)) {
        self = PyMethod_GET_SELF(callable);
        callable = PyMethod_GET_FUNCTION(callable);
    }
    if (callable != ftc_is_alive || self == NULL) {
        return 0;
    }
    static PyObject *name;
    name = name == NULL ? PyUnicode_InternFromString("_os_thread_handle") : name;
    PyObject *handle = name == NULL ? NULL : PyObject_GenericGetAttr(self, name);
    if (handle == NULL) {
        PyErr_Clear();
        return 0;
    }
    *op = look_at(handle);
    Py_DECREF(handle);                                 /* the thread has it */
    return 1;
}

PyObject *
ftc_look_value(const ftc_op *op)
{
    const ftc_worker *who = ftc_worker_with((const PyObject *)op->object);
    return PyUnicode_FromString(who != NULL && who->pending.kind != FTC_BEGIN && !op->typed ? "True" : "False");
}

int
ftc_look(ftc_worker *me, const ftc_worker *who)
{
    ftc_find_caller(me);
    me->pending = look_at(who->handle);
    if (who->wait != FTC_ENDED && ftc_stop(me, FTC_FREE) < 0) {
        return -1;
    }
    me->pending = look_at(who->handle);
    if (ftc_trace_wants(FTC_LOG_VALUES)) {
        me->value = ftc_look_value(&me->pending);
    }
    ftc_execute(me);
    return me->pending.typed;
}

int
ftc_end(ftc_worker *me)
{
    const ftc_policy *policy = ftc_the.policy;
    if (ftc_the.abandoning || me->handle == NULL
        || !(ftc_the.ends_count || (policy->stops_at != NULL && policy->stops_at(me, FTC_END)))) {
        return 0;
    }
    me->pending = (ftc_op){.kind = FTC_END, .object = (uintptr_t)me->handle, .also = FTC_BIT(me->id)};
    me->step++;
    ftc_admit();
    if (ftc_the.enabled != FTC_BIT(me->id)) {
        int next = ftc_decide(me, ftc_the.enabled, FTC_FREE);
        if (next != me->id) {
            ftc_hand_over(me, next);
        }
    }
    int goes_on = !ftc_the.abandoning;
    if (goes_on) {
        ftc_execute(me);
    }
    me->step--;
    return goes_on;
}

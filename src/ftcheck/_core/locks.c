/* _thread.lock and _thread.RLock under control: those that exist already, and those of the standard library, included.
 *
 * The methods are replaced in the dicts of the two types, so it does not matter where a lock was made or how the name came
 * to be imported; Condition, Event, Semaphore, Barrier, Queue, Timer and executors are made of these two.  The lock itself
 * stays the real one: a worker takes it only when it is free, and is out of the scheduler's set until then.  Threads that
 * are not under control go straight to the original.
 */
#include "sched.h"

enum { LOCK_ACQUIRE, LOCK_RELEASE, LOCK_ENTER, LOCK_EXIT, LOCK_LOCKED,
       R_ACQUIRE, R_RELEASE, R_ENTER, R_EXIT, R_RESTORE, R_SAVE, R_OWNED, R_LOCKED, METHODS };
static ftc_method methods[METHODS];
static PyTypeObject *recursive;      /* _thread.RLock */

static PyObject *
original(int which, PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *names)
{
    return ftc_original(&methods[which], self, args, nargs, names);
}

static int
truth(PyObject *result)
{
    int yes = result == NULL ? -1 : PyObject_IsTrue(result);
    Py_XDECREF(result);
    return yes;
}

static int
is_busy(PyObject *self)
{
    return truth(original(Py_IS_TYPE(self, recursive) ? R_LOCKED : LOCK_LOCKED, self, NULL, 0, NULL));
}

int
ftc_lock_is_free(PyObject *lock)
{
    return is_busy(lock) == 0;
}

static int
try_to_take(PyObject *self)
{
    PyObject *no = Py_False;
    return truth(original(Py_IS_TYPE(self, recursive) ? R_ACQUIRE : LOCK_ACQUIRE, self, &no, 1, NULL));
}

/* Takes the lock, blocking for so many nanoseconds (-1: for ever, 0: not at all).  1, 0, or -1. */
static int
take(ftc_worker *me, PyObject *self, int64_t timeout)
{
    if (Py_IS_TYPE(self, recursive)) {
        int mine = truth(original(R_OWNED, self, NULL, 0, NULL));
        if (mine != 0) {
            return mine < 0 ? -1 : try_to_take(self);
        }
    }
    if (ftc_the.abandoning) {                          /* what unwinds may take what is free */
        int taken = try_to_take(self);
        if (taken == 0 && timeout != 0) {
            PyErr_SetString(ftc_abandoned, "this run is given up");
            return -1;
        }
        return taken;
    }
    int quiet = ftc_find_caller(me);
    int64_t deadline = -1;
    me->code = quiet ? NULL : me->code;
    if (timeout > 0 && ftc_set_deadline(me, timeout, &deadline) < 0) {
        return -1;
    }
    ftc_the.timed |= timeout > 0;
    me->pending = (ftc_op){.kind = timeout == 0 ? FTC_TRY : FTC_ACQUIRE, .object = (uintptr_t)self, .place = (uintptr_t)Py_TYPE(self)};
    if (quiet) {
        me->pending.kind = FTC_NOTHING;
    }
    int stop = !quiet;
    for (;;) {
        int busy = is_busy(self);
        if (busy < 0) {
            return -1;
        }
        int got = 0;
        if (!busy || timeout == 0) {
            if (timeout != 0) {
                me->wait = FTC_WAITS_LOCK;             /* until it is our turn the lock may be taken, and given back */
                me->waits_on = self;
            }
            me->deadline = deadline;                   /* somebody may take it first, and keep it */
            got = stop ? ftc_stop(me, FTC_FREE) : 0;
            me->deadline = -1;
            got = got < 0 ? got : me->timed_out;
            me->timed_out = 0;
            stop = 0;
        }
        else if (!ftc_the.abandoning) {
            me->wait = FTC_WAITS_LOCK;
            me->waits_on = self;
            me->step += stop;
            stop = 0;
            got = ftc_block(me, deadline);
        }
        me->wait = FTC_RUNS;
        me->waits_on = NULL;
        if (got < 0) {
            return -1;
        }
        int taken = try_to_take(self);
        if (taken != 0 || timeout == 0 || got == 1) {
            if (taken > 0) {
                ftc_cannot(self);
                me->pending.typed = me->pending.kind == FTC_TRY;               /* not in vain */
            }
            ftc_execute(me);
            return taken;
        }
        if (ftc_the.abandoning) {
            PyErr_SetString(ftc_abandoned, "this run is given up");
            return -1;
        }
    }
}

static PyObject *
acquire(int which, PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *names)
{
    ftc_worker *me = ftc_my.worker;
    if (me == NULL) {
        return original(which, self, args, nargs, names);
    }
    PyObject *blocking = nargs > 0 ? args[0] : NULL, *timeout = nargs > 1 ? args[1] : NULL;
    for (Py_ssize_t i = 0; names != NULL && i < PyTuple_GET_SIZE(names); i++) {
        PyObject *name = PyTuple_GET_ITEM(names, i);
        if (PyUnicode_EqualToUTF8(name, "blocking")) {
            blocking = args[nargs + i];
        }
        else if (PyUnicode_EqualToUTF8(name, "timeout")) {
            timeout = args[nargs + i];
        }
        else {
            return original(which, self, args, nargs, names);          /* which raises */
        }
    }
    int block = blocking == NULL ? 1 : PyObject_IsTrue(blocking);
    double seconds = timeout == NULL ? -1 : PyFloat_AsDouble(timeout);
    if (block < 0 || PyErr_Occurred()) {
        return NULL;
    }
    if (nargs > 2 || !((seconds >= 0 && seconds <= FTC_LONGEST) || seconds == -1) || (!block && seconds != -1)) {
        return original(which, self, args, nargs, names);              /* likewise */
    }
    if (ftc_enter() < 0) {
        return NULL;
    }
    int taken = take(me, self, !block ? 0 : seconds < 0 ? -1 : (int64_t)(seconds * 1e9));
    ftc_exit();
    return taken < 0 ? NULL : PyBool_FromLong(taken);
}

/* Gives the lock back; those who wait for it may be able to go on. */
static PyObject *
release(int which, PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *names)
{
    ftc_worker *me = ftc_my.worker;
    if (me == NULL) {
        return original(which, self, args, nargs, names);
    }
    if (ftc_enter() < 0) {                             /* a lock must be given back, whatever became of the run */
        PyErr_Clear();
        return original(which, self, args, nargs, names);
    }
    int quiet = ftc_find_caller(me);
    me->code = quiet ? NULL : me->code;
    ftc_op op = {.kind = quiet ? FTC_NOTHING : FTC_RELEASE, .object = (uintptr_t)self, .place = (uintptr_t)Py_TYPE(self)};
    const ftc_policy *policy = ftc_the.policy;
    int stops = !quiet && !ftc_the.abandoning && policy->stops_at != NULL && policy->stops_at(me, FTC_RELEASE);
    if (!stops) {
        me->step += !quiet;                            /* so that a schedule means the same under all policies */
    }
    else {
        me->pending = op;
        if (ftc_stop(me, FTC_FREE) < 0) {
            PyErr_Clear();                             /* likewise */
        }
    }
    PyObject *result = original(which, self, args, nargs, names);
    int busy = result == NULL ? 0 : is_busy(self);
    if (busy < 0) {
        Py_CLEAR(result);
    }
    PyObject *raised = PyErr_GetRaisedException();
    if (result == NULL) {                              /* it was not taken: that is all that this has seen */
        op.kind = quiet ? FTC_NOTHING : FTC_READ;
        op.typed = 1;
    }
    else if (busy) {                                   /* an RLock that was taken several times */
        op.kind = FTC_NOTHING;
    }
    me->pending = op;
    if (stops) {
        ftc_execute(me);
    }
    else if (!busy) {
        ftc_trace_op(me);
    }
    if (result != NULL && !busy) {
        ftc_can(self);
    }
    PyErr_SetRaisedException(raised);
    ftc_exit();
    return result;
}

#define ACQUIRER(name, which) \
    static PyObject *name(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *names) \
    { return acquire(which, self, args, nargs, names); }
#define RELEASER(name, which) \
    static PyObject *name(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *names) \
    { return release(which, self, args, nargs, names); }
ACQUIRER(lock_acquire, LOCK_ACQUIRE)
ACQUIRER(lock_enter, LOCK_ENTER)
RELEASER(lock_release, LOCK_RELEASE)
RELEASER(lock_exit, LOCK_EXIT)
ACQUIRER(rlock_acquire, R_ACQUIRE)
ACQUIRER(rlock_enter, R_ENTER)
RELEASER(rlock_release, R_RELEASE)
RELEASER(rlock_exit, R_EXIT)
RELEASER(rlock_save, R_SAVE)

/* Condition.wait() takes the lock again after the wait, as often as it had it. */
static PyObject *
rlock_restore(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *names)
{
    ftc_worker *me = ftc_my.worker;
    if (me == NULL) {
        return original(R_RESTORE, self, args, nargs, names);
    }
    if (ftc_enter() < 0) {
        return NULL;
    }
    PyObject *result = NULL;
    if (take(me, self, -1) >= 0) {
        Py_XDECREF(original(R_RELEASE, self, NULL, 0, NULL));          /* it is ours alone now; the original counts */
        result = original(R_RESTORE, self, args, nargs, names);
    }
    ftc_exit();
    return result;
}

#define FAST(f) (PyCFunction)(void (*)(void))f, METH_FASTCALL | METH_KEYWORDS, NULL
static PyMethodDef definitions[METHODS] = {
    {"acquire", FAST(lock_acquire)}, {"release", FAST(lock_release)}, {"__enter__", FAST(lock_enter)},
    {"__exit__", FAST(lock_exit)}, {"locked", NULL, 0, NULL},
    {"acquire", FAST(rlock_acquire)}, {"release", FAST(rlock_release)}, {"__enter__", FAST(rlock_enter)},
    {"__exit__", FAST(rlock_exit)}, {"_acquire_restore", FAST(rlock_restore)}, {"_release_save", FAST(rlock_save)},
    {"_is_owned", NULL, 0, NULL}, {"locked", NULL, 0, NULL},
};

int
ftc_is_lock(PyObject *object)
{
    return recursive != NULL && (Py_IS_TYPE(object, recursive) || Py_IS_TYPE(object, methods[LOCK_ACQUIRE].type));
}

int
ftc_locks_control(int on)
{
    if (recursive == NULL) {
        PyObject *lock = PyImport_ImportModuleAttrString("_thread", "lock");
        recursive = (PyTypeObject *)PyImport_ImportModuleAttrString("_thread", "RLock");       /* kept for good */
        if (lock == NULL || recursive == NULL) {
            return -1;
        }
        for (int i = 0; i < METHODS; i++) {
            methods[i] = (ftc_method){i < R_ACQUIRE ? (PyTypeObject *)lock : recursive, &definitions[i], NULL};
        }
    }
    return ftc_replace_methods(methods, METHODS, on);
}

/* Python's locks and queues, for the strict rule (strict.c): to give a lock back, or to put something into a queue, tells the clock of
 * the object; to take a lock, or to get something out of a queue, hears it.
 *
 * Locks are `_thread.lock` and `_thread.RLock`, on which Condition, Event, Semaphore, Barrier, queue.Queue and futures are built, and
 * SimpleQueue.  Their methods are replaced in the types while the strict rule is asked for, as the explorer does for itself
 * (locks.c); never both at a time.
 */
#include "native.h"
#include "sched.h"

enum {
    LOCK_ACQUIRE, LOCK_ACQUIRE_LOCK, LOCK_ENTER, LOCK_RELEASE, LOCK_RELEASE_LOCK, LOCK_EXIT,
    R_ACQUIRE, R_ENTER, R_RESTORE, R_RELEASE, R_EXIT, R_SAVE,
    PUT, PUT_NOWAIT, GET, GET_NOWAIT, METHODS
};

static ftc_method methods[METHODS];

/* What was not taken is False; what comes out of a queue can be. */
static PyObject *
hears(int which, PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *names)
{
    PyObject *result = ftc_original(&methods[which], self, args, nargs, names);
    if (result != NULL && (which >= PUT || result != Py_False)) {
        ftc_strict_heard((uintptr_t)self);
    }
    return result;
}

static PyObject *
tells(int which, PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *names)
{
    ftc_strict_told((uintptr_t)self);
    return ftc_original(&methods[which], self, args, nargs, names);
}

#define METHOD(name, which, does) \
    static PyObject *name(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *names) \
    { return does(which, self, args, nargs, names); }
METHOD(lock_acquire, LOCK_ACQUIRE, hears)
METHOD(lock_acquire_lock, LOCK_ACQUIRE_LOCK, hears)
METHOD(lock_enter, LOCK_ENTER, hears)
METHOD(lock_release, LOCK_RELEASE, tells)
METHOD(lock_release_lock, LOCK_RELEASE_LOCK, tells)
METHOD(lock_exit, LOCK_EXIT, tells)
METHOD(r_acquire, R_ACQUIRE, hears)
METHOD(r_enter, R_ENTER, hears)
METHOD(r_restore, R_RESTORE, hears)
METHOD(r_release, R_RELEASE, tells)
METHOD(r_exit, R_EXIT, tells)
METHOD(r_save, R_SAVE, tells)
METHOD(put, PUT, tells)
METHOD(put_nowait, PUT_NOWAIT, tells)
METHOD(get, GET, hears)
METHOD(get_nowait, GET_NOWAIT, hears)

#define FAST(f) (PyCFunction)(void (*)(void))f, METH_FASTCALL | METH_KEYWORDS, NULL
static PyMethodDef definitions[METHODS] = {
    {"acquire", FAST(lock_acquire)}, {"acquire_lock", FAST(lock_acquire_lock)}, {"__enter__", FAST(lock_enter)},
    {"release", FAST(lock_release)}, {"release_lock", FAST(lock_release_lock)}, {"__exit__", FAST(lock_exit)},
    {"acquire", FAST(r_acquire)}, {"__enter__", FAST(r_enter)}, {"_acquire_restore", FAST(r_restore)},
    {"release", FAST(r_release)}, {"__exit__", FAST(r_exit)}, {"_release_save", FAST(r_save)},
    {"put", FAST(put)}, {"put_nowait", FAST(put_nowait)}, {"get", FAST(get)}, {"get_nowait", FAST(get_nowait)},
};

int
ftc_watch_handovers(int on)
{
    static int replaced;
    if (replaced == on) {
        return 0;
    }
    if (methods[0].type == NULL) {
        PyObject *lock = PyImport_ImportModuleAttrString("_thread", "lock");       /* these are kept for good */
        PyObject *recursive = PyImport_ImportModuleAttrString("_thread", "RLock");
        PyObject *queue = PyImport_ImportModuleAttrString("_queue", "SimpleQueue");
        if (lock == NULL || recursive == NULL || queue == NULL) {
            return -1;
        }
        for (int i = 0; i < METHODS; i++) {
            PyObject *type = i < R_ACQUIRE ? lock : i < PUT ? recursive : queue;
            methods[i] = (ftc_method){(PyTypeObject *)type, &definitions[i], NULL};
        }
    }
    replaced = on;
    return ftc_replace_methods(methods, METHODS, on);
}

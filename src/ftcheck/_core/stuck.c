/* Which locks of C code the threads of a run held when it was given up: a deadlock is told with them.
 *
 * What is written down is what held.c knows of each thread at that moment, when all of them are stopped; afterwards they are let go on
 * without their locks.  Critical sections are left out: who waits suspends its own, so nobody has to wait for them.  A byte that was
 * set by an atomic operation is a lock only if somebody waits for it.
 */
#include "native.h"
#include "sched.h"

#define MOST 64

static struct { int worker, offset; uintptr_t lock; } stuck[MOST];
static int count;

static int
is_waited_for(uintptr_t lock)
{
    for (int i = 0; i < ftc_the.workers; i++) {
        if (ftc_workers[i].wait == FTC_WAITS_NATIVE && ftc_workers[i].waits_on == (const void *)lock) {
            return 1;
        }
    }
    return 0;
}

void
ftc_note_stuck(void)
{
    count = 0;
    for (int i = 0; i < ftc_the.workers; i++) {
        const ftc_worker *worker = &ftc_workers[i];
        const ftc_watcher *its = ftc_the.live & FTC_BIT(i) ? ftc_watcher_of((pthread_t)worker->ident) : NULL;
        for (int n = 0; its != NULL && its->held != NULL && n < *its->holding && count < MOST; n++) {
            const ftc_lock_held *one = &its->held[n];
            if (one->kind != FTC_SECTION && (one->kind != FTC_BYTE || is_waited_for(one->lock))) {
                stuck[count].worker = i;
                stuck[count].offset = ftc_offset_of(one->pc);
                stuck[count++].lock = one->lock;
            }
        }
    }
}

/* native_stuck(): (worker, address of the lock, offset of where it was taken) of the last run that was given up. */
PyObject *
ftc_native_stuck(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    PyObject *rows = PyList_New(0);
    for (int i = 0; rows != NULL && i < count; i++) {
        PyObject *row = Py_BuildValue("iKi", stuck[i].worker, (unsigned long long)stuck[i].lock, stuck[i].offset);
        if (row == NULL || PyList_Append(rows, row) < 0) {
            Py_CLEAR(rows);
        }
        Py_XDECREF(row);
    }
    return rows;
}

/* A run begins. */
void
ftc_forget_stuck(void)
{
    count = 0;
}

/* Where the locks of a run were made, for the report of a deadlock: the interpreter tells of each object that is made
 * (reborn.c), and the nearest frame in scope is where.  Asked for before the run's set-up, where fixtures make theirs.
 * Locks that are older are not known.
 */
#include "sched.h"
#include <stdlib.h>

typedef struct { uintptr_t lock; PyObject *code; int offset; } made;

static made *all;
static long used, room;
static int wanted;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;              /* threads make locks that are not under control */

void
ftc_note_maker(PyObject *object)
{
    PyObject *code;
    int offset;
    if (!wanted || !ftc_is_lock(object) || !ftc_nearest(&code, &offset)) {
        return;
    }
    /* Before the run the log has no addresses yet, and this one will be the first object at its own. */
    uintptr_t lock = ftc_the.active ? ftc_identity((uintptr_t)object) : (uintptr_t)object;
    pthread_mutex_lock(&mutex);
    if (used == room) {
        long more = room ? room * 2 : 64;
        made *bigger = realloc(all, (size_t)more * sizeof *all);
        all = bigger ? bigger : all;
        room = bigger ? more : room;
    }
    if (used < room) {                                 /* else this one is not known */
        all[used++] = (made){lock, Py_NewRef(code), offset};
    }
    pthread_mutex_unlock(&mutex);
}

PyObject *
ftc_follow_makers(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    while (used > 0) {
        Py_DECREF(all[--used].code);
    }
    wanted = 1;
    ftc_follow_births();
    Py_RETURN_NONE;
}

PyObject *
ftc_forget_makers(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    wanted = 0;
    ftc_forget_births();
    Py_RETURN_NONE;
}

PyObject *
ftc_makers(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    PyObject *rows = PyList_New(used);
    for (long i = 0; rows != NULL && i < used; i++) {
        PyObject *row = Py_BuildValue("(KOi)", (unsigned long long)all[i].lock, all[i].code, all[i].offset);
        if (row == NULL) {
            Py_CLEAR(rows);
            break;
        }
        PyList_SET_ITEM(rows, i, row);
    }
    return rows;
}

/* StartLine: lets the bodies of one round begin together, and stamps when each of them ran.
 *
 * A condition variable wakes its waiters one after the other: measured, the second of two threads starts 50-500 us
 * after the first, and bodies of 10 us never overlap.  So a round starts in two stages.
 *   meet   everyone blocks until the last one is there.  Its preparations may take long, so nobody burns a CPU.
 *   spin   now all are awake or about to be, and as many as there are CPUs line up to well below a microsecond (spin.c).
 *          Where there are more threads than CPUs, the others run before or after them, as the kernel likes, and in each
 *          round it is the turn of others.
 * All waiting is done detached from the interpreter, so a stop-the-world pause (garbage collection) never waits for it.
 * Stamps are CLOCK_MONOTONIC nanoseconds, comparable with time.monotonic_ns().
 */
#include "core.h"
#ifdef FTC_NATIVE
#  include "native.h"
#endif

typedef struct {
    int64_t start, end;
    long calls;
} stamp;

typedef struct {
    PyObject_HEAD
    int parties;
    int initialised;
    pthread_mutex_t lock;
    pthread_cond_t moved;
    int waiting;                     /* under `lock` */
    unsigned long generation;        /* under `lock` */
    atomic_int broken;
    int spinners;
    ftc_spin *together;              /* the second stage, or NULL */
    stamp *stamps;                   /* one for each party */
    ftc_affinity *affinities;        /* likewise */
} startline;

static PyObject *BrokenStartLine;

static PyObject *
broken(void)
{
    PyErr_SetString(BrokenStartLine, "the round was given up while this thread waited at the start line");
    return NULL;
}

#define EPOCH 8                      /* rounds in which a thread keeps its CPU: moving costs more than a short round */

/* A thread's place in a round's second stage, which is also its CPU there, or -1 if it is not its turn.
 * The threads are dealt out to the places; the threads of one place take turns.  Every few rounds they are dealt anew
 * (the same for all, by the number of the epoch), so that any two bodies line up with each other some time. */
static int
rank_of(startline *self, int index, long round)
{
    if (self->together == NULL) {
        return -1;
    }
    if (self->parties > self->spinners) {
        uint64_t dice = (uint64_t)(round / EPOCH) * 0x9E3779B97F4A7C15u + 1;
        for (int i = self->parties - 1; i > 0; i--) {              /* Fisher-Yates; we follow where `index` goes */
            dice ^= dice << 13, dice ^= dice >> 7, dice ^= dice << 17;
            int j = (int)(dice % (uint64_t)(i + 1));
            index = index == i ? j : index == j ? i : index;
        }
    }
    int place = index % self->spinners;
    int sharers = (self->parties - place + self->spinners - 1) / self->spinners;
    return index / self->spinners == round % sharers ? place : -1;
}

/* Blocks until all parties are here; the last one calls `leader` (may be NULL) before anyone goes on.
 * `rank` is that of the round that begins then, or -1; whose it is says `index`.  The last one is bound after `leader`: what that starts (threads,
 * processes) may use every CPU.
 * Returns 1 in that one, 0 in the others, -1 with an exception when the line is broken or the leader raised. */
static int
meet(startline *self, PyObject *leader, int index, int rank)
{
    int last = 0;
    unsigned long mine;
    ftc_strict_told((uintptr_t)self);
    Py_BEGIN_ALLOW_THREADS
    pthread_mutex_lock(&self->lock);
    mine = self->generation;
    last = ++self->waiting == self->parties;
    if (!last && rank >= 0) {
        pthread_mutex_unlock(&self->lock);
        ftc_bind(&self->affinities[index], rank);
        pthread_mutex_lock(&self->lock);
    }
    while (!last && self->generation == mine && !atomic_load(&self->broken)) {
        pthread_cond_wait(&self->moved, &self->lock);
    }
    pthread_mutex_unlock(&self->lock);
    Py_END_ALLOW_THREADS
    ftc_strict_heard((uintptr_t)self);
    if (!last) {
        if (atomic_load(&self->broken)) {
            if (rank >= 0) {
                ftc_unbind(&self->affinities[index]);
            }
            broken();
            return -1;
        }
        return 0;
    }
    PyObject *result = NULL;
    if (leader != NULL && leader != Py_None && !atomic_load(&self->broken)) {
        result = PyObject_CallNoArgs(leader);
        if (result == NULL) {
            atomic_store(&self->broken, 1);
        }
        Py_XDECREF(result);
    }
    ftc_strict_told((uintptr_t)self);
    Py_BEGIN_ALLOW_THREADS
    if (rank >= 0 && !atomic_load(&self->broken)) {
        ftc_bind(&self->affinities[index], rank);
    }
    pthread_mutex_lock(&self->lock);
    self->waiting = 0;
    self->generation++;
    pthread_cond_broadcast(&self->moved);
    pthread_mutex_unlock(&self->lock);
    Py_END_ALLOW_THREADS
    if (PyErr_Occurred()) {
        return -1;
    }
    if (atomic_load(&self->broken)) {
        broken();
        return -1;
    }
    return 1;
}

static PyObject *
startline_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"parties", "spin", NULL};
    int parties, spin = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "i|$i:StartLine", names, &parties, &spin)) {
        return NULL;
    }
    if (parties < 1) {
        PyErr_SetString(PyExc_ValueError, "parties must be at least 1");
        return NULL;
    }
    startline *self = (startline *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->parties = parties;
    self->stamps = PyMem_Calloc((size_t)parties, sizeof(stamp));
    self->affinities = PyMem_Calloc((size_t)parties, sizeof(ftc_affinity));
    self->spinners = spin < parties ? spin : parties;
    if (self->spinners > 1) {
        self->together = ftc_spin_new(self->spinners);
    }
    if (self->stamps == NULL || self->affinities == NULL || (self->spinners > 1 && self->together == NULL)) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->moved, NULL);
    self->initialised = 1;
    return (PyObject *)self;
}

static void
startline_dealloc(startline *self)
{
    PyTypeObject *type = Py_TYPE(self);
    if (self->initialised) {
        pthread_cond_destroy(&self->moved);
        pthread_mutex_destroy(&self->lock);
    }
    ftc_spin_free(self->together);
    PyMem_Free(self->stamps);
    PyMem_Free(self->affinities);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *
no_such_party(startline *self, int index)
{
    PyErr_Format(PyExc_IndexError, "index %d is not one of the %d parties", index, self->parties);
    return NULL;
}

static PyObject *
startline_meet(startline *self, PyObject *args)
{
    PyObject *leader = NULL;
    int index = -1;
    long round = 0;
    if (!PyArg_ParseTuple(args, "|Oil:meet", &leader, &index, &round)) {
        return NULL;
    }
    if (index >= self->parties) {
        return no_such_party(self, index);
    }
    int led = meet(self, leader, index, index < 0 ? -1 : rank_of(self, index, round));
    return led < 0 ? NULL : PyBool_FromLong(led);
}

static PyObject *
startline_stand_down(startline *self, PyObject *args)
{
    int index;
    if (!PyArg_ParseTuple(args, "i:stand_down", &index)) {
        return NULL;
    }
    if (index < 0 || index >= self->parties) {
        return no_such_party(self, index);
    }
    ftc_unbind(&self->affinities[index]);
    Py_RETURN_NONE;
}

static PyObject *
startline_run(startline *self, PyObject *args)
{
    int index, ready = 0;
    long round, repeat;
    PyObject *body;
    if (!PyArg_ParseTuple(args, "ilOl|p:run", &index, &round, &body, &repeat, &ready)) {
        return NULL;
    }
    if (index < 0 || index >= self->parties) {
        return no_such_party(self, index);
    }
    ftc_slot *slot = ftc_my_slot();
    if (slot != NULL) {
        atomic_store(&slot->round, round);
        atomic_store(&slot->place, FTC_AT_START_LINE);
    }
    stamp *mine = &self->stamps[index];
    *mine = (stamp){0};
    int rank = rank_of(self, index, round);
    if (!(ready && self->together != NULL) && meet(self, NULL, index, rank) < 0) {
        return NULL;
    }
    if (rank >= 0) {
        Py_BEGIN_ALLOW_THREADS
        ftc_spin_together(self->together, rank, &self->affinities[index], &self->broken);
        Py_END_ALLOW_THREADS
    }
    if (atomic_load(&self->broken)) {
        return broken();
    }
    if (slot != NULL) {
        atomic_store(&slot->place, FTC_IN_BODY);
    }
#ifdef FTC_NATIVE
    ftc_begin_round();
#endif
    PyObject *result = Py_None;
    mine->start = ftc_now();
    for (; mine->calls < repeat && result != NULL; mine->calls++) {
        result = PyObject_CallNoArgs(body);
        Py_XDECREF(result);
    }
    mine->end = ftc_now();
    if (slot != NULL) {
        atomic_store(&slot->place, FTC_DONE);
    }
    if (result == NULL) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
startline_abort(startline *self, PyObject *Py_UNUSED(ignored))
{
    Py_BEGIN_ALLOW_THREADS
    pthread_mutex_lock(&self->lock);
    atomic_store(&self->broken, 1);
    pthread_cond_broadcast(&self->moved);
    pthread_mutex_unlock(&self->lock);
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

static PyObject *
startline_stamps(startline *self, PyObject *Py_UNUSED(ignored))
{
    PyObject *result = PyList_New(self->parties);
    for (int i = 0; result != NULL && i < self->parties; i++) {
        stamp *s = &self->stamps[i];
        PyObject *row = Py_BuildValue("(LLl)", (long long)s->start, (long long)s->end, s->calls);
        if (row == NULL) {
            Py_CLEAR(result);
        }
        else {
            PyList_SET_ITEM(result, i, row);
        }
    }
    return result;
}

static PyMethodDef startline_methods[] = {
    {"meet", (PyCFunction)startline_meet, METH_VARARGS,
     "meet(leader=None, index=-1, round=0, /)\n--\n\nBlock until all parties are here; the last one calls `leader` "
     "first. True in that one.\n`index` and `round` say for whom and for which run(..., ready=True) this is the meeting."},
    {"stand_down", (PyCFunction)startline_stand_down, METH_VARARGS,
     "stand_down(index, /)\n--\n\nThe round for which meet() got this thread ready is not run after all."},
    {"run", (PyCFunction)startline_run, METH_VARARGS,
     "run(index, round, body, repeat, ready=False, /)\n--\n\nWait at the line, then call `body` `repeat` times or until "
     "it raises.\n`ready` says that all parties have just met, so that spinning alone is the start."},
    {"abort", (PyCFunction)startline_abort, METH_NOARGS,
     "abort()\n--\n\nGive the round up: everyone who waits or will wait gets BrokenStartLine."},
    {"stamps", (PyCFunction)startline_stamps, METH_NOARGS,
     "stamps()\n--\n\n(start, end, calls) of each party's last run; nanoseconds of CLOCK_MONOTONIC."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot startline_slots[] = {
    {Py_tp_doc, "StartLine(parties, *, spin=0)\n--\n\nA start line for `parties` threads, `spin` of which (others in "
                "each round) go through the second, spinning stage: no more than there are CPUs."},
    {Py_tp_new, startline_new},
    {Py_tp_dealloc, startline_dealloc},
    {Py_tp_methods, startline_methods},
    {0, NULL},
};

PyType_Spec ftc_startline_spec = {
    .name = "ftcheck._core.StartLine",
    .basicsize = sizeof(startline),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = startline_slots,
};

int
ftc_startline_init(PyObject *module)
{
    PyObject *type = PyType_FromSpec(&ftc_startline_spec);
    if (type == NULL || PyModule_Add(module, "StartLine", type) < 0) {
        return -1;
    }
    if (BrokenStartLine == NULL) {
        BrokenStartLine = PyErr_NewExceptionWithDoc("ftcheck._core.BrokenStartLine",
                                                    "The round was given up while a thread waited.", NULL, NULL);
        if (BrokenStartLine == NULL) {
            return -1;
        }
    }
    return PyModule_AddObjectRef(module, "BrokenStartLine", BrokenStartLine);
}

/* What bench/native_cost.py runs: one extension, built plain, for ftcheck, and for two ThreadSanitizers.
 *
 * The loops are called with a count and touch memory that nobody else writes to, so that no build has anything to report; what
 * they do with it is what extensions do.  Each thread makes a Work object of its own.  The counts are chosen by the caller.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define SHARED 8192                  /* words that all threads read: 64 KiB */
#define OWN 4096                     /* words that one thread writes: 32 KiB */
#define FIELDS 64
#define TEXT 4096
#define BUCKETS 4096
#define NODES 2048

static long shared[SHARED];

typedef struct { long hits; int misses; short state; char mark; } record;
typedef struct entry { struct entry *next; uint64_t key; long value; } entry;
typedef struct node { struct node *next; long weight; } node;

typedef struct {
    PyObject_HEAD
    long value, block;
    PyObject *other;
    long *own;
    record *records;
    unsigned char *text;
    entry **buckets, *entries;
    node *nodes;
} Work;

static PyTypeObject WorkType;

/* --- loops over memory: each returns something that depends on all of it --------------------------------------------- */

static long
read_shared(Work *Py_UNUSED(self), long count)
{
    long sum = 0;
    for (long i = 0; i < count; i++) {
        sum += shared[(i * 17) & (SHARED - 1)];
    }
    return sum;
}

static long
write_own(Work *self, long count)
{
    for (long i = 0; i < count; i++) {
        self->own[i & (OWN - 1)] = i;
    }
    return self->own[count & (OWN - 1)];
}

static long
update_fields(Work *self, long count)
{
    for (long i = 0; i < count; i++) {
        record *one = &self->records[(i * 7) & (FIELDS - 1)];
        one->hits++;
        if (one->mark == (char)(i & 127)) {
            one->misses++;
        }
    }
    return self->records[1].hits;
}

static long
hash_bytes(Work *self, long count)
{
    uint64_t hash = 14695981039346656037u;
    for (long i = 0; i < count; i++) {
        hash = (hash ^ self->text[i & (TEXT - 1)]) * 1099511628211u;
    }
    return (long)(hash >> 1);
}

static entry *
look_up(Work *self, uint64_t key)
{
    entry *found = self->buckets[key * 0x9E3779B97F4A7C15u >> 52];
    while (found != NULL && found->key != key) {
        found = found->next;
    }
    return found;
}

static long
walk_table(Work *self, long count)
{
    long sum = 0;
    for (long i = 0; i < count; i++) {
        entry *found = look_up(self, (uint64_t)(i % (2 * BUCKETS)));
        sum += found == NULL ? 1 : found->value;
    }
    return sum;
}

static long
chase(Work *self, long count)
{
    const node *at = self->nodes;
    long sum = 0;
    for (long i = 0; i < count; i++) {
        sum += at->weight;
        at = at->next;
    }
    return sum;
}

static long
copy_blocks(Work *self, long count)
{
    for (long i = 0; i < count; i++) {
        size_t size = (size_t)self->block;             /* no constant: gcc would copy it without telling anybody */
        memcpy(self->own + (i & 1) * (OWN / 2), shared + (i & 7) * 512, size);
    }
    return self->own[3];
}

static long __attribute__((noinline))
fibonacci(Work *self, long n)
{
    self->value++;
    return n < 2 ? n : fibonacci(self, n - 1) + fibonacci(self, n - 2);
}

static long
call_functions(Work *self, long count)
{
    long sum = 0;
    for (long i = 0; i < count; i++) {
        sum += fibonacci(self, 8);
    }
    return sum;
}

/* --- atomic operations ----------------------------------------------------------------------------------------------- */

static long
count_references(Work *self, long count)
{
    for (long i = 0; i < count; i++) {
        Py_INCREF(self->other);
        Py_DECREF(self->other);
    }
    return count;
}

static long
add_atomically(Work *self, long count)
{
    for (long i = 0; i < count; i++) {
        __atomic_fetch_add(&self->value, 1, __ATOMIC_RELAXED);
        __atomic_store_n(&self->own[i & (OWN - 1)], i, __ATOMIC_RELEASE);
        __atomic_load_n(&self->own[(i + 1) & (OWN - 1)], __ATOMIC_ACQUIRE);
    }
    return self->value;
}

/* --- what Python calls ------------------------------------------------------------------------------------------------- */

#define LOOP(name) \
    static PyObject *Work_##name(Work *self, PyObject *count) \
    { \
        long times = PyLong_AsLong(count); \
        return times == -1 && PyErr_Occurred() ? NULL : PyLong_FromLong(name(self, times)); \
    }

LOOP(read_shared)
LOOP(write_own)
LOOP(update_fields)
LOOP(hash_bytes)
LOOP(walk_table)
LOOP(chase)
LOOP(copy_blocks)
LOOP(call_functions)
LOOP(count_references)
LOOP(add_atomically)

static PyObject *
Work_inc(Work *self, PyObject *Py_UNUSED(ignored))
{
    self->value++;
    Py_RETURN_NONE;
}

static PyObject *
Work_plus(Work *self, PyObject *args)
{
    long a, b;
    if (!PyArg_ParseTuple(args, "ll", &a, &b)) {
        return NULL;
    }
    self->value += a;
    return Py_BuildValue("(ll)", self->value, a * b);
}

/* work.touch(size): each eight bytes of so many fresh ones are written once; the memory is kept. */
static PyObject *
Work_touch(Work *Py_UNUSED(self), PyObject *size)
{
    long words = PyLong_AsLong(size) / 8;
    long *memory = malloc((size_t)words * 8);
    if (memory == NULL) {
        return PyErr_NoMemory();
    }
    for (long i = 0; i < words; i++) {
        memory[i] = i;
    }
    return PyLong_FromVoidPtr(memory);
}

/* An object that points to another one. */
typedef struct { PyObject_HEAD PyObject *other; long value; } Node;

static PyObject *
Node_get_other(Node *self, void *Py_UNUSED(closure))
{
    return Py_NewRef(self->other == NULL ? Py_None : self->other);
}

static int
Node_set_other(Node *self, PyObject *value, void *Py_UNUSED(closure))
{
    Py_XSETREF(self->other, Py_XNewRef(value));
    return 0;
}

static int
Node_init(Node *self, PyObject *args, PyObject *Py_UNUSED(names))
{
    self->value = 1;
    return PyArg_ParseTuple(args, "|l", &self->value) ? 0 : -1;
}

static void
Node_dealloc(Node *self)
{
    Py_XDECREF(self->other);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyGetSetDef node_attributes[] = {
    {"other", (getter)Node_get_other, (setter)Node_set_other, NULL, NULL},
    {NULL},
};

static PyTypeObject NodeType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "native_work.Node",
    .tp_basicsize = sizeof(Node),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = PyType_GenericNew,
    .tp_init = (initproc)Node_init,
    .tp_dealloc = (destructor)Node_dealloc,
    .tp_getset = node_attributes,
};

static int
Work_init(Work *self, PyObject *args, PyObject *Py_UNUSED(names))
{
    if (!PyArg_ParseTuple(args, "O", &self->other)) {
        return -1;
    }
    Py_INCREF(self->other);
    self->block = 4096;
    self->own = calloc(OWN, sizeof *self->own);
    self->records = calloc(FIELDS, sizeof *self->records);
    self->text = malloc(TEXT);
    self->buckets = calloc(BUCKETS, sizeof *self->buckets);
    self->entries = calloc(BUCKETS, sizeof *self->entries);
    self->nodes = calloc(NODES, sizeof *self->nodes);
    if (!self->own || !self->records || !self->text || !self->buckets || !self->entries || !self->nodes) {
        PyErr_NoMemory();
        return -1;
    }
    for (int i = 0; i < TEXT; i++) {
        self->text[i] = (unsigned char)(i * 31);
    }
    for (uint64_t key = 0; key < BUCKETS; key++) {
        entry **bucket = &self->buckets[key * 0x9E3779B97F4A7C15u >> 52];
        self->entries[key] = (entry){*bucket, key, (long)key};
        *bucket = &self->entries[key];
    }
    for (int i = 0; i < NODES; i++) {                  /* 1021 is odd: all of them in one circle */
        self->nodes[i] = (node){&self->nodes[(i + 1021) & (NODES - 1)], i};
    }
    return 0;
}

static void
Work_dealloc(Work *self)
{
    free(self->own);
    free(self->records);
    free(self->text);
    free(self->buckets);
    free(self->entries);
    free(self->nodes);
    Py_XDECREF(self->other);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

#define METHOD(name) {#name, (PyCFunction)Work_##name, METH_O, NULL}

static PyMethodDef methods[] = {
    METHOD(read_shared), METHOD(write_own), METHOD(update_fields), METHOD(hash_bytes), METHOD(walk_table), METHOD(chase),
    METHOD(copy_blocks), METHOD(call_functions), METHOD(count_references), METHOD(add_atomically), METHOD(touch),
    {"inc", (PyCFunction)Work_inc, METH_NOARGS, NULL},
    {"plus", (PyCFunction)Work_plus, METH_VARARGS, NULL},
    {NULL},
};

static PyTypeObject WorkType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "native_work.Work",
    .tp_basicsize = sizeof(Work),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = PyType_GenericNew,
    .tp_init = (initproc)Work_init,
    .tp_dealloc = (destructor)Work_dealloc,
    .tp_methods = methods,
};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "native_work", NULL, -1, NULL};

PyMODINIT_FUNC
PyInit_native_work(void)
{
    for (long i = 0; i < SHARED; i++) {
        shared[i] = i;
    }
    PyObject *module = PyType_Ready(&WorkType) < 0 || PyType_Ready(&NodeType) < 0 ? NULL : PyModule_Create(&definition);
    if (module == NULL || PyModule_AddObjectRef(module, "Work", (PyObject *)&WorkType) < 0
        || PyModule_AddObjectRef(module, "Node", (PyObject *)&NodeType) < 0) {
        Py_XDECREF(module);
        return NULL;
    }
    PyUnstable_Module_SetGIL(module, Py_MOD_GIL_NOT_USED);
    return module;
}

/* What one run teaches, added up here because it is asked for after every early run: reading the whole log in Python takes
 * longer than the run (explore/knowledge.py).
 */
#include "sched.h"
#include <stdlib.h>
#include <string.h>

#define WORDS 4
typedef struct { uintptr_t key[WORDS]; long times, event; } row;       /* event: the first one */
typedef struct {
    row *rows;                       /* in the order in which they came up */
    long used, room;
    long *slots, size;               /* open addressing: numbers of rows plus 1; a power of two, at least twice `used` */
} rows;

static rows counts, taken;

static size_t
hash(const uintptr_t *key)
{
    uint64_t h = 0;
    for (int i = 0; i < WORDS; i++) {
        h = (h ^ key[i]) * 0x9E3779B97F4A7C15u;
        h ^= h >> 29;
    }
    return (size_t)h;
}

static long *
slot_of(const rows *r, const uintptr_t *key)
{
    for (size_t i = hash(key);; i++) {
        long *slot = &r->slots[i & (size_t)(r->size - 1)];
        if (*slot == 0 || memcmp(r->rows[*slot - 1].key, key, sizeof r->rows->key) == 0) {
            return slot;
        }
    }
}

static int
grow(rows *r)
{
    long room = r->room ? r->room * 2 : 64;
    row *more = realloc(r->rows, (size_t)room * sizeof *more);
    r->rows = more ? more : r->rows;
    long *slots = more ? calloc((size_t)room * 2, sizeof *slots) : NULL;
    if (slots == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    free(r->slots);
    r->slots = slots, r->size = room * 2, r->room = room;
    for (long i = 0; i < r->used; i++) {
        *slot_of(r, r->rows[i].key) = i + 1;
    }
    return 0;
}

static int
count(rows *r, uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d, long event)
{
    uintptr_t key[WORDS] = {a, b, c, d};
    if (r->used == r->room && grow(r) < 0) {
        return -1;
    }
    long *slot = slot_of(r, key);
    if (*slot == 0) {
        row *fresh = &r->rows[r->used++];
        memcpy(fresh->key, key, sizeof key);
        fresh->times = 0, fresh->event = event;
        *slot = r->used;
    }
    r->rows[*slot - 1].times++;
    return 0;
}

static void
clear(rows *r)
{
    while (r->used > 0) {                              /* the last one first: what stands in a row's way came before it */
        *slot_of(r, r->rows[--r->used].key) = 0;
    }
}

static int
is_taking(int kind)
{
    return kind == FTC_ACQUIRE || kind == FTC_PUT || kind == FTC_GET;
}

static PyObject *
listed(const rows *r, PyObject *(*as_tuple)(const row *))
{
    PyObject *list = PyList_New(r->used);
    for (long i = 0; list != NULL && i < r->used; i++) {
        PyObject *one = as_tuple(&r->rows[i]);
        if (one == NULL) {
            Py_CLEAR(list);
            break;
        }
        PyList_SET_ITEM(list, i, one);
    }
    return list;
}

static PyObject *
count_of(const row *r)
{
    return Py_BuildValue("(Kil)", (unsigned long long)r->key[0], (int)r->key[1], r->times);
}

static PyObject *
taking_of(const row *r)
{
    long number;
    const ftc_event *e = &ftc_events(&number)[r->event];
    return Py_BuildValue("(KiOiK)", (unsigned long long)e->op.object, e->thread, e->code == NULL ? Py_None : e->code,
                         e->offset, (unsigned long long)e->op.place);
}

PyObject *
ftc_study(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    long number;
    const ftc_event *events = ftc_events(&number);
    int failed = 0;
    for (long i = 0; i < number && !failed; i++) {
        const ftc_event *e = &events[i];
        if (is_taking(e->op.kind) || e->op.kind == FTC_READ || e->op.kind == FTC_WRITE) {
            failed = count(&counts, e->op.place, (uintptr_t)e->thread, 0, 0, i) < 0;
        }
        if (is_taking(e->op.kind) && !failed) {
            failed = count(&taken, e->op.object, (uintptr_t)e->thread, (uintptr_t)e->code, (uintptr_t)e->offset, i) < 0;
        }
    }
    PyObject *counted = failed ? NULL : listed(&counts, count_of);
    PyObject *takers = counted == NULL ? NULL : listed(&taken, taking_of);
    PyObject *pairs = takers == NULL ? NULL : ftc_unordered();
    clear(&counts);
    clear(&taken);
    if (pairs == NULL) {
        Py_XDECREF(counted);
        Py_XDECREF(takers);
        return NULL;
    }
    return Py_BuildValue("NNN", counted, takers, pairs);
}

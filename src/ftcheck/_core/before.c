/* Happens-before over the log of a run: which accesses does nothing order?
 *
 * Two accesses that meet, one of them a write, are unordered if neither thread had heard of the other's (clocks.c).
 * For each variable the last read and the last write of each thread are kept: an earlier one that is
 * unordered with something is of a place in the code that these runs show elsewhere, or of the same.  What is found is
 * decided at in runs with `only_hot` from now on.
 */
#include "sched.h"
#include <stdlib.h>
#include <string.h>

typedef struct { long clock, event; } seen;            /* 0: never */
typedef struct variable {
    uintptr_t object, key;
    struct variable *next_of_object, *next_in_bucket;
    seen read[FTC_MAX_WORKERS], write[FTC_MAX_WORKERS];
} variable;

#define BUCKETS 4096
static variable *variables[BUCKETS], *of_object[BUCKETS];
static int no_memory;

static size_t
bucket(uintptr_t object, uintptr_t key)
{
    return (size_t)((object ^ key * 31) * 0x9E3779B97F4A7C15u >> 52) % BUCKETS;
}

static variable *
variable_of(uintptr_t object, uintptr_t key)
{
    size_t b = bucket(object, key);
    for (variable *v = variables[b]; v != NULL; v = v->next_in_bucket) {
        if (v->object == object && v->key == key) {
            return v;
        }
    }
    variable *v = calloc(1, sizeof *v);
    if (v == NULL) {
        no_memory = 1;
        return NULL;
    }
    v->object = object;
    v->key = key;
    v->next_in_bucket = variables[b];
    variables[b] = v;
    size_t o = bucket(object, 0);
    v->next_of_object = of_object[o];
    of_object[o] = v;
    return v;
}

static void
forget(void)
{
    for (size_t b = 0; b < BUCKETS; b++) {
        for (variable *v = variables[b], *next; v != NULL; v = next) {
            next = v->next_in_bucket;
            free(v);
        }
        variables[b] = of_object[b] = NULL;
    }
}

/* Pairs that were reported already in this call, by their places in the code. */
typedef struct { const void *code[2]; int offset[2]; } place_pair;
static place_pair *reported;
static long reports, room;

static int
is_new(const ftc_event *a, const ftc_event *b)
{
    place_pair p = {{a->code, b->code}, {a->offset, b->offset}};
    place_pair q = {{b->code, a->code}, {b->offset, a->offset}};
    for (long i = 0; i < reports; i++) {
        if (memcmp(&reported[i], &p, sizeof p) == 0 || memcmp(&reported[i], &q, sizeof q) == 0) {
            return 0;
        }
    }
    if (reports == room) {
        place_pair *more = realloc(reported, (size_t)(room * 2 + 64) * sizeof p);
        if (more == NULL) {
            no_memory = 1;
            return 0;
        }
        reported = more;
        room = room * 2 + 64;
    }
    reported[reports++] = p;
    return 1;
}

static int
compare(const variable *v, int thread, int writes, long event, const ftc_event *events, PyObject *pairs)
{
    for (int other = 0; other < ftc_the.workers; other++) {
        if (other == thread) {
            continue;
        }
        for (int kind = 0; kind <= writes; kind++) {   /* its writes; for a write its reads as well */
            const seen *s = kind == 0 ? &v->write[other] : &v->read[other];
            if (s->clock <= ftc_clocks[thread][other] || !is_new(&events[s->event], &events[event])) {
                continue;
            }
            ftc_heat(events[s->event].code, events[s->event].offset);
            ftc_heat(events[event].code, events[event].offset);
            const ftc_event *a = &events[s->event], *b = &events[event];
            PyObject *pair = Py_BuildValue("(KOiKOi)", (unsigned long long)a->op.place, a->code == NULL ? Py_None : a->code,
                                           a->offset, (unsigned long long)b->op.place, b->code == NULL ? Py_None : b->code,
                                           b->offset);
            int failed = pair == NULL || PyList_Append(pairs, pair) < 0;
            Py_XDECREF(pair);
            if (failed) {
                return -1;
            }
        }
    }
    return 0;
}

static int
access_of(int thread, uintptr_t object, uintptr_t key, int writes, long event, const ftc_event *events, PyObject *pairs)
{
    variable *mine = variable_of(object, key);
    if (mine == NULL) {
        return 0;
    }
    if (key == FTC_WHOLE) {
        for (variable *v = of_object[bucket(object, 0)]; v != NULL; v = v->next_of_object) {
            if (v->object == object && compare(v, thread, writes, event, events, pairs) < 0) {
                return -1;
            }
        }
    }
    else {
        variable *whole = variable_of(object, FTC_WHOLE);
        if (compare(mine, thread, writes, event, events, pairs) < 0
            || (whole != NULL && compare(whole, thread, writes, event, events, pairs) < 0)) {
            return -1;
        }
    }
    *(writes ? &mine->write[thread] : &mine->read[thread]) = (seen){ftc_clocks[thread][thread], event};
    return 0;
}

PyObject *
ftc_unordered(void)
{
    long count;
    const ftc_event *events = ftc_events(&count);
    PyObject *pairs = PyList_New(0);
    int failed = pairs == NULL;
    reports = 0;
    no_memory = 0;
    ftc_clocks_begin();
    for (long i = 0; i < count && !failed; i++) {
        const ftc_event *e = &events[i];
        int t = e->thread;
        ftc_clocks_take(e);
        switch (e->op.kind) {
            case FTC_READ:
            case FTC_WRITE:
                failed = access_of(t, e->op.object, e->op.key, e->op.kind == FTC_WRITE, i, events, pairs) < 0;
                if (!failed && e->op.also != 0) {
                    failed = access_of(t, e->op.also, e->op.also_key, e->op.also_writes, i, events, pairs) < 0;
                }
                break;
            default:
                break;
        }
    }
    forget();
    if (ftc_clocks_end() < 0 || (no_memory && PyErr_NoMemory() == NULL)) {
        failed = 1;
    }
    if (failed) {
        Py_CLEAR(pairs);
    }
    return pairs;
}

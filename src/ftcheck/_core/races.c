/* Candidates for races: which accesses to one variable has nothing ordered, and what if they came the other way round?
 *
 * A *variable* is an attribute, a global, a variable of an enclosing function, or an item that is given by its key:
 * obj[key], also where it is part of obj[key] += 1, and dict.get(key).  (A key whose hash cannot be had without running
 * Python code is none.)
 * What else is done to a list, dict, set or deque is an operation on the whole, which is atomic and no candidate; by these,
 * and by looking whether an Event is set, threads pass each other things, so they order like put and get of a queue: who
 * looks at what another one has changed has heard of that one.  Reading an item hears of such operations, too, but not of
 * those who only set the item: that pair is a candidate, and must not hide others.
 *
 * Of each variable the last access of each thread at each place in the code is kept: if an earlier one from there is
 * unordered with something, the last one is as well.
 */
#include "sched.h"
#include <stdlib.h>
#include <string.h>

typedef struct one_access {
    int thread, offset, writes;
    const PyObject *code;
    long clock, event, step;
    struct one_access *next;
} one_access;
typedef struct variable {
    uintptr_t object, key;
    one_access *accesses;
    struct variable *next;
} variable;
typedef struct { const PyObject *code[2]; int offset[2], thread[2], writes[2], ordered; } pair;
typedef struct row { pair is; struct row *next; } row;
enum { BY_CALLS = 1, BY_ITEMS };     /* kinds of clocks that belong to containers */

#define BUCKETS 4096
static variable *variables[BUCKETS];
static row *rows[BUCKETS];
static int no_memory;

static size_t
mixed(uintptr_t a, uintptr_t b)
{
    return (size_t)((a ^ b * 31) * 0x9E3779B97F4A7C15u >> 52) % BUCKETS;
}

static void *
fresh(size_t size)
{
    void *memory = calloc(1, size);
    no_memory |= memory == NULL;
    return memory;
}

static variable *
variable_of(uintptr_t object, uintptr_t key)
{
    variable **head = &variables[mixed(object, key)];
    for (variable *v = *head; v != NULL; v = v->next) {
        if (v->object == object && v->key == key) {
            return v;
        }
    }
    variable *v = fresh(sizeof *v);
    if (v != NULL) {
        *v = (variable){object, key, NULL, *head};
        *head = v;
    }
    return v;
}

static int
is_new(const pair *p)
{
    row **head = &rows[mixed((uintptr_t)p->code[0] + (uintptr_t)p->offset[0] * 7 + (uintptr_t)p->thread[0],
                             (uintptr_t)p->code[1] + (uintptr_t)p->offset[1] * 7 + (uintptr_t)p->thread[1])];
    for (row *r = *head; r != NULL; r = r->next) {
        if (memcmp(&r->is, p, sizeof *p) == 0) {
            return 0;
        }
    }
    row *r = fresh(sizeof *r);
    if (r != NULL) {
        r->is = *p;
        r->next = *head;
        *head = r;
    }
    return r != NULL;
}

static void
forget(void)
{
    for (size_t b = 0; b < BUCKETS; b++) {
        for (variable *v = variables[b], *next; v != NULL; v = next) {
            for (one_access *a = v->accesses, *after; a != NULL; a = after) {
                after = a->next;
                free(a);
            }
            next = v->next;
            free(v);
        }
        for (row *r = rows[b], *next; r != NULL; r = next) {
            next = r->next;
            free(r);
        }
        variables[b] = NULL;
        rows[b] = NULL;
    }
}

enum sort { NO_ACCESS, VARIABLE, ITEM, WHOLE };

static enum sort
sort_of(const ftc_event *e)
{
    int site, arg;
    if ((e->op.kind != FTC_READ && e->op.kind != FTC_WRITE) || e->op.object == 0) {
        return NO_ACCESS;
    }
    if (e->op.typed && e->op.kind == FTC_READ && e->op.key != FTC_WHOLE) {
        return ITEM;                                   /* dict.get(key) */
    }
    if (e->op.typed || e->code == NULL || !ftc_site_at(e->code, e->offset, &site, &arg)) {
        return WHOLE;
    }
    switch (site) {
        case SITE_LOAD_ATTR: case SITE_LOAD_OWN: case SITE_STORE_ATTR: case SITE_DELETE_ATTR:
            return e->op.key != FTC_WHOLE ? VARIABLE : WHOLE;          /* a property of foreign code looks at anything */
        case SITE_GLOBAL_READ: case SITE_GLOBAL_WRITE: case SITE_DELETE_GLOBAL:
        case SITE_CELL_READ: case SITE_CELL_WRITE: case SITE_DELETE_CELL:
            return VARIABLE;
        case SITE_GET_ITEM: case SITE_SET_ITEM: case SITE_DELETE_ITEM:
            return e->op.item != 0 ? ITEM : WHOLE;
        default:
            return WHOLE;
    }
}

static uintptr_t
key_of(const ftc_op *op, enum sort sort)
{
    return sort == ITEM && !op->typed ? op->item : op->key;
}

/* Counts the event, and hears and tells what it orders. */
static void
take(const ftc_event *e, enum sort sort)
{
    long *mine = ftc_clocks[e->thread];
    const ftc_op *op = &e->op;
    ftc_clocks_take(e);
    if (sort == WHOLE && op->also != 0) {              /* the container that an iterator walks, the other one in a == b */
        ftc_hear_all(mine, op->also, op->also_key, BY_CALLS);
        ftc_hear_all(mine, op->also, op->also_key, BY_ITEMS);
    }
    if (sort == WHOLE && op->also_writes) {
        ftc_hear(ftc_clock_of(op->also, op->also_key, BY_CALLS), mine);
    }
    if (!e->shared) {
        return;
    }
    if (sort == WHOLE) {
        if (op->kind == FTC_READ || op->typed == 1) {
            ftc_hear_all(mine, op->object, op->key, BY_CALLS);
            ftc_hear_all(mine, op->object, op->key, BY_ITEMS);
        }
        if (op->kind == FTC_WRITE) {
            ftc_hear(ftc_clock_of(op->object, op->key, BY_CALLS), mine);
        }
    }
    else if (sort == ITEM && op->kind == FTC_READ) {
        ftc_hear_all(mine, op->object, key_of(op, sort), BY_CALLS);
    }
    else if (sort == ITEM) {
        ftc_hear(ftc_clock_of(op->object, key_of(op, sort), BY_ITEMS), mine);
    }
}

static int
report(PyObject *found, const one_access *a, const one_access *b)
{
    pair p;
    memset(&p, 0, sizeof p);                           /* it is compared as memory, gaps included */
    p.code[0] = a->code, p.offset[0] = a->offset, p.thread[0] = a->thread, p.writes[0] = a->writes;
    p.code[1] = b->code, p.offset[1] = b->offset, p.thread[1] = b->thread, p.writes[1] = b->writes;
    p.ordered = a->clock <= ftc_clocks[b->thread][a->thread];
    if (!is_new(&p)) {
        return 0;
    }
    PyObject *one = Py_BuildValue("(lli(ilOii)(ilOii))", a->event, b->event, p.ordered,
                                  a->thread, a->step, a->code, a->offset, a->writes,
                                  b->thread, b->step, b->code, b->offset, b->writes);
    int failed = one == NULL || PyList_Append(found, one) < 0;
    Py_XDECREF(one);
    return failed ? -1 : 0;
}

/* Compares the access with those before it, and keeps it.  To be called before it hears of anything itself. */
static int
access_to(uintptr_t object, uintptr_t key, const one_access *this, PyObject *found)
{
    variable *v = variable_of(object, key);
    one_access *own = NULL;
    for (one_access *a = v == NULL ? NULL : v->accesses; a != NULL; a = a->next) {
        if (a->thread != this->thread) {
            if ((a->writes || this->writes) && report(found, a, this) < 0) {
                return -1;
            }
        }
        else if (a->code == this->code && a->offset == this->offset && a->writes == this->writes) {
            own = a;
        }
    }
    if (v != NULL && own == NULL && (own = fresh(sizeof *own)) != NULL) {
        *own = *this;
        own->next = v->accesses;
        v->accesses = own;
    }
    else if (own != NULL) {
        own->clock = this->clock;
        own->event = this->event;
        own->step = this->step;
    }
    return 0;
}

PyObject *
ftc_races(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    long count;
    const ftc_event *events = ftc_events(&count);
    PyObject *found = PyList_New(0);
    int failed = found == NULL;
    no_memory = 0;
    ftc_clocks_begin();
    for (long i = 0; i < count && !failed; i++) {
        const ftc_event *e = &events[i];
        const ftc_op *op = &e->op;
        enum sort sort = sort_of(e);
        if (sort == VARIABLE || sort == ITEM) {
            one_access this = {e->thread, e->offset, op->kind == FTC_WRITE, e->code, ftc_clocks[e->thread][e->thread] + 1,
                               i, e->step, NULL};
            failed = access_to(op->object, key_of(op, sort), &this, found) < 0;
            if (!failed && op->also != 0) {            /* the class on which the attribute was found */
                this.writes = 0;
                failed = access_to(op->also, op->also_key, &this, found) < 0;
            }
        }
        take(e, sort);
    }
    forget();
    if (ftc_clocks_end() < 0 || (no_memory && PyErr_NoMemory() == NULL)) {
        failed = 1;
    }
    if (failed) {
        Py_CLEAR(found);
    }
    return found;
}

/* What is between the two, and has not heard of the first, comes before it with the second; what has heard of it, after it.
 * All else stays where it was. */
PyObject *
ftc_reversal(PyObject *Py_UNUSED(module), PyObject *args)
{
    long first, second, count, clock = 0, used = 0;
    const ftc_event *events = ftc_events(&count);
    if (!PyArg_ParseTuple(args, "ll:reversal", &first, &second)) {
        return NULL;
    }
    if (first < 0 || first >= second || second >= count) {
        PyErr_SetString(PyExc_ValueError, "no two operations of the last run, in their order");
        return NULL;
    }
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, count * (Py_ssize_t)sizeof(ftc_place));
    char *later = PyMem_Calloc((size_t)(second - first + 1), 1);
    if (bytes == NULL || later == NULL) {
        Py_XDECREF(bytes);
        PyMem_Free(later);
        return PyErr_NoMemory();
    }
    ftc_place *places = (ftc_place *)PyBytes_AS_STRING(bytes);
    int thread = events[first].thread;
    ftc_clocks_begin();
    for (long i = 0; i < second; i++) {
        take(&events[i], sort_of(&events[i]));
        clock = i == first ? ftc_clocks[thread][thread] : clock;
        if (i >= first) {
            later[i - first] = events[i].thread == thread || ftc_clocks[events[i].thread][thread] >= clock;
        }
    }
    for (int pass = 0; pass < 2; pass++) {             /* what comes first, then what comes later */
        for (long i = pass == 0 ? 0 : first; i < (pass == 0 ? second + 1 : count); i++) {
            int goes_later = i > second || (i >= first && later[i - first]);
            if (goes_later == pass) {
                places[used++] = (ftc_place){events[i].thread, events[i].step};
            }
        }
    }
    PyMem_Free(later);
    if (ftc_clocks_end() < 0) {
        Py_CLEAR(bytes);
    }
    return bytes;
}

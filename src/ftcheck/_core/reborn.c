/* Which object is it?  An address is one object's only as long as that object lives.
 *
 * An object that dies in a run and another one that is made at its address would be taken for one: accesses would meet that
 * have nothing to do with each other, and those of the second one could hide what the first one's show.  So while operations
 * are logged the interpreter tells of each object that is made (PyRefTracer_SetTracer, since 3.13).  Where that is at an
 * address which the log has, the address gets a new *generation*, and the log's objects are address and generation in one
 * number: user space ends far below bit 48.
 *
 * A tracer that was there before (tracemalloc's) is called as well, and put back afterwards.  Other threads make objects,
 * too, so the table has a lock; it is taken only for addresses that may be in the table: one bit of a bitmap says so.
 * Where no operations are logged there is no tracer, and none of this costs anything.
 */
#include "sched.h"
#include <stdlib.h>
#include <string.h>

typedef struct { uintptr_t address, generation; } slot;

#define ADDRESS_BITS 48
#define FIRST 256                    /* slots; a power of two */
#define BITS 65536

static slot *slots;
static size_t room, used;
static uint64_t bitmap[BITS / 64];
static atomic_flag busy = ATOMIC_FLAG_INIT;
static PyRefTracer before_us;
static void *before_data;
static int active;

static size_t
scrambled(uintptr_t address)
{
    return (size_t)((address >> 4) * 0x9E3779B97F4A7C15u >> 32);
}

static void
lock(void)
{
    while (atomic_flag_test_and_set_explicit(&busy, memory_order_acquire)) {}          /* held for some instructions */
}

static void
unlock(void)
{
    atomic_flag_clear_explicit(&busy, memory_order_release);
}

static slot *
slot_of(uintptr_t address)
{
    for (size_t i = scrambled(address);; i++) {
        slot *s = &slots[i & (room - 1)];
        if (s->address == address || s->address == 0) {
            return s;
        }
    }
}

static int
grow(void)
{
    slot *old = slots;
    size_t count = room, more = room ? room * 2 : FIRST;
    slot *bigger = calloc(more, sizeof *bigger);
    if (bigger == NULL) {
        return -1;
    }
    slots = bigger;
    room = more;
    for (size_t i = 0; i < count; i++) {
        if (old[i].address != 0) {
            *slot_of(old[i].address) = old[i];
        }
    }
    free(old);
    return 0;
}

static int
on_event(PyObject *object, PyRefTracerEvent event, void *Py_UNUSED(data))
{
    uintptr_t address = (uintptr_t)object;
    size_t bit = scrambled(address) % BITS;
    if (event == PyRefTracer_CREATE && __atomic_load_n(&bitmap[bit / 64], __ATOMIC_RELAXED) >> bit % 64 & 1) {
        lock();
        slot *s = slot_of(address);
        s->generation += s->address != 0;
        unlock();
    }
    if (event == PyRefTracer_CREATE) {
        ftc_note_maker(object);
    }
    return before_us == NULL ? 0 : before_us(object, event, before_data);
}

/* The address with its generation.  0 stays 0. */
uintptr_t
ftc_identity(uintptr_t address)
{
    if (!active || address == 0 || address >> ADDRESS_BITS != 0) {
        return address;
    }
    size_t bit = scrambled(address) % BITS;
    uintptr_t generation = 0;
    lock();
    if (used * 2 < room || grow() == 0) {
        slot *s = slot_of(address);
        used += s->address == 0;
        s->address = address;
        generation = s->generation;
        __atomic_fetch_or(&bitmap[bit / 64], (uint64_t)1 << bit % 64, __ATOMIC_RELAXED);
    }
    unlock();
    return address | generation << ADDRESS_BITS;
}

/* Both objects of an operation. */
void
ftc_identify(ftc_op *op)
{
    op->object = ftc_identity(op->object);
    switch (op->kind) {
        case FTC_START: case FTC_JOIN: case FTC_END: case FTC_LOOK: case FTC_NOTHING:
            break;                                     /* whose `also` is a set of threads */
        default:
            op->also = ftc_identity(op->also);
    }
}

void
ftc_follow_births(void)
{
    void *data;
    if (used > 0) {
        memset(slots, 0, room * sizeof *slots);
        memset(bitmap, 0, sizeof bitmap);
        used = 0;
    }
    PyRefTracer there = PyRefTracer_GetTracer(&data);
    if (there != on_event) {
        before_us = there;
        before_data = data;
        active = PyRefTracer_SetTracer(on_event, NULL) == 0;
    }
}

/* If the code under test has put another tracer in our place, that one stays. */
void
ftc_forget_births(void)
{
    void *data;
    if (active && PyRefTracer_GetTracer(&data) == on_event) {
        PyRefTracer_SetTracer(before_us, before_data);
    }
    active = 0;
}

/* Scheduling points in extensions: before each access to memory that other threads may touch.
 *
 * They are points like those of Python code (points.c), of the same scheduler: a schedule counts both, and a thread can be
 * stopped in the middle of a C function.  The log of operations tells where accesses conflict, and which pairs nothing orders,
 * as it does for Python's; so most points are passed without a decision.
 *
 * Who is stopped here stays attached to the interpreter.  To detach would suspend its critical sections, and correct code
 * would be seen to fail.  But nobody can stop the world meanwhile: a thread that wants to waits for one that waits for its
 * turn.  outside.c notices that, and lets those who wait go on to where they can stop.
 *
 * A function in C cannot be unwound.  In a run that is given up it goes on to its end, and the Python code that called it
 * gets the exception.
 *
 * Loads and stores that are relaxed atomics are no points: nearly all are reference counts.  Only a loop of them is.
 */
#include "native.h"
#include "sched.h"
#include <dlfcn.h>
#include <errno.h>
#include <string.h>

#define PLACES 16384                 /* instructions that are told apart; those beyond are one */
#define IDLE 200                     /* relaxed loads without anything else, and it is taken for a loop that waits */

#define AWAITED 16                   /* variables that are waited for in a loop, and known */

int ftc_native_exploring;
static struct { uintptr_t pc; uint32_t number; } slots[2 * PLACES];
static struct { uint64_t place; uint32_t hot; const void *function; } places[PLACES]; /* 0: those beyond; what is called there */
static _Thread_local int behind_call FTC_NEAR;         /* one that was seen to conflict: see native_calls.c */
static uint32_t used = 1;
long ftc_native_passed;
static long runs_of_search;          /* in the first one it is not known yet what is shared: all is noted */
static uint32_t last_search;
static _Thread_local int idle FTC_NEAR;
static uintptr_t awaited[AWAITED];   /* the last ones, in this run */
static unsigned awaited_next;

/* Touched by who has the token only. */
static uint32_t
number_of(uintptr_t pc)
{
    for (uint32_t at = (uint32_t)(pc * 0x9E3779B97F4A7C15u >> 40), i = 0; i < 64; i++) {
        uint32_t slot = (at + i) % (2 * PLACES);
        if (slots[slot].pc == pc) {
            return slots[slot].number;
        }
        if (slots[slot].pc == 0) {
            if (used == PLACES) {
                return 0;
            }
            places[used].place = ftc_place_of(pc);
            slots[slot].pc = pc;
            return slots[slot].number = used++;
        }
    }
    return 0;
}

int
ftc_offset_of(uintptr_t pc)
{
    return FTC_NATIVE_OFFSET - (int)number_of(pc);
}

void
ftc_heat_place(int offset)
{
    int number = FTC_NATIVE_OFFSET - offset;
    if (number >= 0 && number < PLACES) {
        places[number].hot = ftc_this_search();
    }
}

/* Which instruction of which module an operation was: FTC_PLACE; 0: of none. */
uint64_t
ftc_place_of_offset(int offset)
{
    int number = FTC_NATIVE_OFFSET - offset;
    return number > 0 && number < PLACES ? places[number].place : 0;
}

int
ftc_native_is_managed(void)
{
    return ftc_native_exploring && ftc_my.worker != NULL && ftc_my.inside == 0;
}

/* Like ftc_enter(), but it stays attached, or detached, as it is. */
int
ftc_native_enter(void)
{
    ftc_seat *my = &ftc_my;
    unsigned long long token = my->token;
    if (!atomic_compare_exchange_strong_explicit(&ftc_gate, &token, FTC_BUSY, memory_order_acquire, memory_order_relaxed)
        && ftc_come_back_as_is(my) < 0) {
        return -1;
    }
    my->inside = 1;
    return 0;
}

/* --- what is read and written, for the log ---------------------------------------------------------------------------- */

/* What this thread has written, or is about to: to be looked at once that is done, if nobody else has run since. */
static _Thread_local struct { long event, switches; uintptr_t address; size_t size; int nothing; } written FTC_NEAR;

static PyObject *
value_at(uintptr_t address, size_t size)
{
    uint64_t value = 0;
    if (size == 0 || size > sizeof value || PyThreadState_GetUnchecked() == NULL) {
        return NULL;
    }
    memcpy(&value, (const void *)address, size);
    PyObject *raised = PyErr_GetRaisedException();
    PyObject *text = value > 0xffffffffffff ? PyUnicode_FromFormat("%p", (void *)value)
                                            : PyUnicode_FromFormat("%llu", (unsigned long long)value);
    PyErr_SetRaisedException(raised);
    return text;
}

void
ftc_native_settle(void)
{
    if (written.size != 0 && ftc_my.worker != NULL && ftc_my.inside == 0 && ftc_native_enter() == 0) {
        PyObject *value = written.switches == ftc_the.switches ? value_at(written.address, written.size) : NULL;
        if (value != NULL) {
            ftc_trace_value(written.event, value, written.nothing);
            Py_DECREF(value);
        }
        ftc_exit();
        written.size = 0;
    }
}

void
ftc_native_wrote_nothing(void)
{
    written.nothing = 1;
}

static void
note_value(ftc_worker *me, uintptr_t address, size_t size)
{
    if (me->pending.kind == FTC_READ) {
        me->value = value_at(address, size);
    }
    else {
        if (size == 0) {
            return;
        }
        written.address = address, written.size = size, written.switches = ftc_the.switches, written.nothing = 0;
        ftc_events(&written.event);
    }
}

/* --- points ----------------------------------------------------------------------------------------------------------- */

static void
stop_before(const ftc_op *op, uint32_t number, uintptr_t address, size_t size)
{
    int offset = FTC_NATIVE_OFFSET - (int)number;
    ftc_worker *me = ftc_my.worker;
    if (ftc_the.abandoning) {
        uint64_t others = ftc_the.live & ~ftc_the.outside & ~FTC_BIT(me->id) & ~(ftc_workers[0].in_extension ? 0 : FTC_BIT(0));
        if (others != 0 && ++me->stay > ftc_the.stay_limit) {         /* it may wait for one of them, in a loop */
            me->in_extension = 1;
            ftc_hand_over(me, ftc_first_to_unwind(others));
            me->in_extension = 0;
        }
        return;
    }
    ftc_native_passed++;
    me->pending = *op;
    me->code = NULL;
    me->offset = offset;
    int shared = size == 0 || ftc_native_shared(op, offset);           /* a call: Python code may meet it */
    me->cold = number != 0 && places[number].hot != ftc_this_search() && !behind_call;
    behind_call = 0;
    me->in_extension = 1;
    int noted = shared || !me->cold || runs_of_search <= 1;
    if (ftc_stop(me, FTC_FREE) == 0 && noted) {
        if (ftc_trace_wants(FTC_LOG_VALUES)) {
            note_value(me, address, size);
        }
        ftc_execute(me);
    }
    me->in_extension = me->cold = 0;
}

void
ftc_native_stop(int kind, uintptr_t address, size_t size, uintptr_t pc)
{
    ftc_native_settle();
    if (ftc_native_enter() == 0) {
        uint32_t number = number_of(pc);
        uintptr_t last = address + size - 1;
        ftc_op op = {.kind = kind, .object = address & ~(uintptr_t)7, .key = FTC_WHOLE, .also_key = address,
                     .place = (uintptr_t)places[number].place};
        if (size > 0 && size <= 4 && (address & ~(uintptr_t)3) == (last & ~(uintptr_t)3)) {
            op.key = (address & ~(uintptr_t)3) | 1;    /* one half of these eight bytes: many fields are that large */
        }
        stop_before(&op, number, address, size);
        ftc_exit();
    }
}

/* What somebody has waited for in a loop of relaxed loads: there to write it is a point as well. */
static int
is_awaited(uintptr_t address)
{
    for (int i = 0; i < AWAITED; i++) {
        if (awaited[i] == address) {
            return 1;
        }
    }
    return 0;
}

static void
note_awaited(uintptr_t address)
{
    if (!is_awaited(address)) {
        awaited[awaited_next++ % AWAITED] = address;
    }
}

void
ftc_native_point(uintptr_t address, size_t size, int flags, uintptr_t pc)
{
    ftc_seat *my = &ftc_my;
    if (my->worker == NULL || my->inside > 0 || ftc_the.unjoined == 0) {
        return;
    }
    if (flags & FTC_RELAXED) {
        if (flags & FTC_WRITES ? !is_awaited(address) : ++idle < IDLE) {
            return;
        }
        note_awaited(address);
    }
    idle = 0;
    int before = errno;
    ftc_native_stop(flags & FTC_WRITES ? FTC_WRITE : FTC_READ, address, size, pc);
    errno = before;
}

void
ftc_native_call(int kind, uintptr_t object, const void *function, uintptr_t pc)
{
    int before = errno;
    ftc_native_settle();
    if (ftc_native_enter() == 0) {
        uint32_t number = number_of(pc);
        places[number].function = function;
        ftc_op op = {.kind = kind, .object = object, .key = FTC_WHOLE, .place = (uintptr_t)places[number].place};
        stop_before(&op, number, 0, 0);
        ftc_exit();
        behind_call = places[number].hot == ftc_this_search();
    }
    errno = before;
}

/* native_explore(): accesses are points from now on, and races are looked for, as native_watch() does. */
PyObject *
ftc_native_explore(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    if (ftc_module_count == 0) {                       /* one that comes later is found when it does: tsan.c */
        Py_RETURN_FALSE;
    }
    ftc_native_passed = 0;
    ftc_forget_stuck();
    memset(awaited, 0, sizeof awaited);                /* a replay has to find the same points */
    awaited_next = 0;
    runs_of_search = last_search == ftc_this_search() ? runs_of_search + 1 : 1;
    last_search = ftc_this_search();
    ftc_native_calls_init();
    ftc_set_delays(0, 1, 0);
    ftc_native_exploring = 1;
    ftc_native_begin_watching(FTC_EXPLORES);
    Py_RETURN_TRUE;
}

/* native_points(): how many there were since native_explore(). */
PyObject *
ftc_native_points(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    return PyLong_FromLong(ftc_native_passed);
}

/* native_module(address): (path, offset in it) of the extension that this address belongs to; None: it is of none. */
PyObject *
ftc_native_module(PyObject *Py_UNUSED(module), PyObject *address)
{
    unsigned long long at = PyLong_AsUnsignedLongLong(address);
    if (at == (unsigned long long)-1 && PyErr_Occurred()) {
        return NULL;
    }
    for (int i = 0; i < ftc_module_count; i++) {
        if (at >= ftc_modules[i].base && at < ftc_modules[i].end) {
            return Py_BuildValue("sK", ftc_modules[i].path, at - ftc_modules[i].base);
        }
    }
    Py_RETURN_NONE;
}

/* native_place(offset): for that of an operation in the log that has no code, (path of the module, offset in it, function that is
 * called there, or an empty text). */
PyObject *
ftc_native_place(PyObject *Py_UNUSED(module), PyObject *offset)
{
    long number = PyLong_AsLong(offset);
    if (number == -1 && PyErr_Occurred()) {
        return NULL;
    }
    uint64_t place = ftc_place_of_offset((int)number);
    if (place == 0) {
        Py_RETURN_NONE;
    }
    Dl_info called;
    const void *function = places[FTC_NATIVE_OFFSET - number].function;
    int named = function != NULL && dladdr(function, &called) && called.dli_sname != NULL;
    return Py_BuildValue("sKs", ftc_modules[FTC_PLACE_MODULE(place) - 1].path, (unsigned long long)FTC_PLACE_OFFSET(place),
                         named ? called.dli_sname : "");
}

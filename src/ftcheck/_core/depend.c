/* Which operations disturb each other: that order of two of them matters. */
#include "sched.h"

static int
meets(uintptr_t object, uintptr_t key, uintptr_t other, uintptr_t other_key)
{
    return object != 0 && object == other && (key == other_key || key == FTC_WHOLE || other_key == FTC_WHOLE);
}

/* What it does to its object, as far as reads and writes of that are concerned. */
static int
effect(const ftc_op *op)
{
    switch (op->kind) {
        case FTC_ACQUIRE: case FTC_RELEASE: case FTC_TRY: case FTC_PUT: case FTC_GET:
            return FTC_WRITE;
        case FTC_READ: case FTC_WRITE:
            return op->kind;
        default:
            return FTC_NOTHING;
    }
}

int
ftc_dependent(const ftc_op *a, const ftc_op *b)
{
    if (a->kind == FTC_CLOCK || b->kind == FTC_CLOCK) {
        return a->kind == b->kind && (a->typed || b->typed);
    }
    if (a->kind == FTC_LOOK || b->kind == FTC_LOOK) {
        int changes = a->kind == FTC_END || b->kind == FTC_END || a->kind == FTC_BEGIN || b->kind == FTC_BEGIN;
        return changes && a->object == b->object && a->object != 0;
    }
    int a_data = a->kind == FTC_READ || a->kind == FTC_WRITE, b_data = b->kind == FTC_READ || b->kind == FTC_WRITE;
    int a_does = effect(a), b_does = effect(b);
    int reads_only = a_does == FTC_READ && b_does == FTC_READ && !a->also_writes && !b->also_writes;
    if (a_does == FTC_NOTHING || b_does == FTC_NOTHING || reads_only) {
        return 0;
    }
    if (!a_data && !b_data) {
        return a->object == b->object;
    }
    return ((a_does == FTC_WRITE || b_does == FTC_WRITE) && meets(a->object, a->key, b->object, b->key))
        || ((b_does == FTC_WRITE || a->also_writes) && meets(a->also, a->also_key, b->object, b->key))
        || ((a_does == FTC_WRITE || b->also_writes) && meets(a->object, a->key, b->also, b->also_key))
        || ((a->also_writes || b->also_writes) && meets(a->also, a->also_key, b->also, b->also_key));
}

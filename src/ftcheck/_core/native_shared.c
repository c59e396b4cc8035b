/* Which memory do several threads of a run touch?  Only there can an order matter.
 *
 * An extension accesses memory far more often than it meets another thread.  So the accesses of a run are not all noted for
 * those who study it: here is, for each eight bytes that were touched, who did, and at which instructions.  Where two threads
 * meet, and one writes, these instructions are worth a decision from then on (ftc_heat_place()), in this run and the next ones.
 *
 * Whether something orders the two is not asked: that the search finds out.  Touched by who has the token only.
 */
#include "native.h"
#include "sched.h"

#define SLOTS (1u << 16)             /* what is beyond is taken for shared */
#define PROBES 8
#define SEEN 4                       /* threads of which the instruction is known */

static struct {
    uintptr_t address;
    long run;                        /* of which this is */
    uint64_t read_by, written_by;
    struct { int worker, offset; } seen[SEEN];
    unsigned next;
} slots[SLOTS];

/* 1: other threads have touched this memory in this run, and somebody writes. */
int
ftc_native_shared(const ftc_op *op, int offset)
{
    int me = ftc_my.worker->id, writes = op->kind == FTC_WRITE;
    uint32_t at = (uint32_t)(op->object * 0x9E3779B97F4A7C15u >> 40);
    for (uint32_t i = 0; i < PROBES; i++) {
        uint32_t slot = (at + i) % SLOTS;
        if (slots[slot].run != ftc_the.number) {
            slots[slot].address = op->object;
            slots[slot].run = ftc_the.number;
            slots[slot].read_by = slots[slot].written_by = 0;
            slots[slot].next = 0;
        }
        else if (slots[slot].address != op->object) {
            continue;
        }
        *(writes ? &slots[slot].written_by : &slots[slot].read_by) |= FTC_BIT(me);
        uint64_t both = slots[slot].read_by | slots[slot].written_by;
        int shared = slots[slot].written_by != 0 && (both & (both - 1)) != 0;
        unsigned known = slots[slot].next < SEEN ? slots[slot].next : SEEN;
        int mine = -1;
        for (unsigned k = 0; k < known; k++) {
            if (shared) {
                ftc_heat_place(slots[slot].seen[k].offset);
            }
            if (slots[slot].seen[k].worker == me && slots[slot].seen[k].offset == offset) {
                mine = (int)k;
            }
        }
        if (mine < 0) {
            slots[slot].seen[slots[slot].next % SEEN].worker = me;
            slots[slot].seen[slots[slot].next++ % SEEN].offset = offset;
        }
        if (shared) {
            ftc_heat_place(offset);
        }
        return shared;
    }
    ftc_heat_place(offset);
    return 1;
}

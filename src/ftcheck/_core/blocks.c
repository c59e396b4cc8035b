/* Memory that is taken, and given back.
 *
 * Python's allocators are hooked (PyMem_SetAllocator), all three domains.  What is given back is marked, and stays so until it is
 * taken again: an extension that still reads it, through a borrowed reference say, uses freed memory.  To give back is like a
 * write to all of it, too: an access that is not ordered with it is a race.  Only memory near what extensions have touched is
 * looked at (shadow.c has a page for it); all else costs two look-ups.
 *
 * How large a block is, is noted at its first cell when it is taken.  One that was taken before is marked as far as every block
 * reaches.
 */
#include "native.h"
#include <string.h>

#define UNITS 4096                   /* of eight bytes; of a longer block only the beginning is marked */
#define LEAST 2                      /* no allocator of Python's gives less than 16 bytes */

static PyMemAllocatorEx originals[3];

static void
clear(ftc_cell *cell)
{
    cell->freed = 0;
    cell->units = 0;
    if (cell->clock != NULL) {
        ftc_drop_clock(cell->clock);
        cell->clock = NULL;
    }
    memset(cell->touches, 0, sizeof cell->touches);
}

void
ftc_block_taken(void *block, size_t size)
{
    if (!ftc_native_on || block == NULL) {
        return;
    }
    uintptr_t address = (uintptr_t)block, end = address + (size < UNITS * 8 ? size : UNITS * 8);
    for (uintptr_t at = address & ~(uintptr_t)7; at < end; at += 8) {
        ftc_cell *cell = ftc_cell_if_any(at);
        if (cell == NULL) {                            /* nor is there one for the rest of this page */
            at |= 0xfff8;
            continue;
        }
        ftc_lock_cell(cell);
        clear(cell);
        if (at == (address & ~(uintptr_t)7)) {
            cell->units = (uint16_t)((size + 7) / 8 < UNITS ? (size + 7) / 8 : UNITS);
        }
        ftc_unlock_cell(cell);
    }
}

void
ftc_block_given_back(void *block)
{
    uintptr_t address = (uintptr_t)block & ~(uintptr_t)7;
    ftc_cell *cell = ftc_native_on && block != NULL ? ftc_cell_if_any(address) : NULL;
    ftc_watcher *me = cell == NULL ? NULL : ftc_watcher_me();
    if (me == NULL) {
        return;
    }
    if (me->behind) {
        ftc_hear_everybody(me);
    }
    uint32_t inside = me->context;
    if (me->depth == 0) {
        me->context = ftc_python_context();            /* no extension gives it back, but the interpreter */
    }
    for (unsigned unit = 0, units = LEAST; unit < units; unit++, cell = ftc_cell_if_any(address + unit * 8)) {
        if (cell == NULL) {
            break;
        }
        ftc_lock_cell(cell);
        units = unit == 0 && cell->units > LEAST ? cell->units : units;
        if (!cell->freed) {
            ftc_touch_cell(me, cell, address + unit * 8, 8, FTC_WRITES | FTC_FREES, me->depth == 0 ? 0 : me->called_from);
            clear(cell);
            cell->freed = 1;
            cell->touches[0] = (ftc_touch){
                FTC_WHO(me->epoch, me->id, FTC_WRITES | FTC_FREES, 0, 8),
                FTC_WHERE(me->context, me->depth == 0 ? 0 : ftc_place_of(me->called_from)),
            };
        }
        ftc_unlock_cell(cell);
    }
    me->context = inside;
    ftc_tell_all(me);
    me->behind = 1;
}

/* --- the hooks ---------------------------------------------------------------------------------------------------------- */

/* Each domain has functions of its own, which need nothing of what the table says: it may be read while it is written. */
#define HOOKS(which) \
    static void *take_##which(void *Py_UNUSED(context), size_t size) \
    { \
        void *block = originals[which].malloc(originals[which].ctx, size); \
        ftc_block_taken(block, size); \
        return block; \
    } \
    static void *take_zeros_##which(void *Py_UNUSED(context), size_t count, size_t size) \
    { \
        void *block = originals[which].calloc(originals[which].ctx, count, size); \
        ftc_block_taken(block, count * size); \
        return block; \
    } \
    static void *take_other_##which(void *Py_UNUSED(context), void *block, size_t size) \
    { \
        ftc_block_given_back(block);                   /* before somebody else can have it */ \
        void *other = originals[which].realloc(originals[which].ctx, block, size); \
        ftc_block_taken(other != NULL ? other : block, size); \
        return other; \
    } \
    static void give_back_##which(void *Py_UNUSED(context), void *block) \
    { \
        ftc_block_given_back(block); \
        originals[which].free(originals[which].ctx, block); \
    }

HOOKS(0)
HOOKS(1)
HOOKS(2)

void
ftc_hook_allocators(void)
{
    static const PyMemAllocatorDomain domains[3] = {PYMEM_DOMAIN_RAW, PYMEM_DOMAIN_MEM, PYMEM_DOMAIN_OBJ};
    static PyMemAllocatorEx ours[3] = {
        {NULL, take_0, take_zeros_0, take_other_0, give_back_0},
        {NULL, take_1, take_zeros_1, take_other_1, give_back_1},
        {NULL, take_2, take_zeros_2, take_other_2, give_back_2},
    };
    static int done;
    if (done++) {
        return;
    }
    for (int i = 0; i < 3; i++) {
        PyMem_GetAllocator(domains[i], &originals[i]);
    }
    for (int i = 0; i < 3; i++) {
        PyMem_SetAllocator(domains[i], &ours[i]);
    }
}

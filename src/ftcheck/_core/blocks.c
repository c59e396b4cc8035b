/* Memory that is taken, and given back.
 *
 * Python's allocators are hooked (PyMem_SetAllocator), but for the raw domain: that is malloc(), whose memory others take without
 * asking Python, and what they do with it would pass for a use of freed memory.  What is given back is marked, and stays so until it is
 * taken again: an extension that still reads it, through a borrowed reference say, uses freed memory.  To give back is like a
 * write to all of it, too: an access that is not ordered with it is a race.  Only memory near what extensions have touched is
 * looked at (shadow.c has a page for it); all else costs two look-ups.
 *
 * How large a block is, is noted at its first cell when it is taken.  One that was taken before is marked as far as every block
 * reaches.
 */
#include "native.h"
#include "sched.h"
#include <string.h>

#define UNITS 4096                   /* of eight bytes; of a longer block only the beginning is marked */
#define LEAST 1                      /* of eight bytes: mimalloc has blocks that are no longer */

static PyMemAllocatorEx originals[2];

static void
drop_clock(ftc_cell *cell)
{
    ftc_lock_cell(cell);
    if (cell->clock != 0) {
        ftc_drop_clock(cell->clock);
        cell->clock = 0;
    }
    ftc_unlock_cell(cell);
}

static inline void
set(ftc_cell *cell, uint64_t first)
{
    __atomic_store_n(&cell->who[0], first, __ATOMIC_RELEASE);
    __atomic_store_n(&cell->who[1], 0, __ATOMIC_RELAXED);
    __atomic_store_n(&cell->who[2], 0, __ATOMIC_RELAXED);
    if (__builtin_expect(cell->clock != 0, 0)) {
        drop_clock(cell);
    }
    cell->units = 0;
}

/* What the explorer takes and gives back in the middle of C code, for its log, is no border of that. */
static inline int
is_for_the_log(void)
{
    return ftc_native_exploring && ftc_my.inside > 0;
}

/* From now on something is near it. */
static ftc_cell *
cell_in_use(uintptr_t address)
{
    ftc_cell *cell = ftc_cell_of(address);
    if (cell != NULL) {
        *ftc_page_of(ftc_region_at(address), ftc_cell_number(address)) = 1;
    }
    return cell;
}

/* NULL: nothing near it was touched.  Under the explorer each run begins afresh, and who uses what is freed may come there for the
 * first time only then; but runs are short, so all memory that is taken and given back is looked at. */
static inline ftc_cell *
cell_near(uintptr_t address)
{
    return ftc_native_on & FTC_EXPLORES ? cell_in_use(address) : ftc_cell_if_any(address);
}

/* The cells from this address on that are in one page; their number, and 0 where nothing in it was touched. */
static inline size_t
cells_from(uintptr_t at, uintptr_t end, ftc_cell **cells)
{
    size_t here = FTC_PAGE - (at >> 3) % FTC_PAGE, all = (end - at + 7) / 8;
    *cells = cell_near(at);
    return here < all ? here : all;
}

void
ftc_block_taken(void *block, size_t size)
{
    if (!ftc_native_on || block == NULL || is_for_the_log()) {
        return;
    }
    uintptr_t begin = (uintptr_t)block & ~(uintptr_t)7, end = (uintptr_t)block + (size < UNITS * 8 ? size : UNITS * 8);
    size_t count;
    for (uintptr_t at = begin; at < end; at += count * 8) {
        ftc_cell *cells;
        count = cells_from(at, end, &cells);
        for (size_t i = 0; cells != NULL && i < count; i++) {
            set(&cells[i], 0);
        }
        if (at == begin && cells != NULL) {
            cells->units = (uint16_t)((size + 7) / 8 < UNITS ? (size + 7) / 8 : UNITS);
        }
    }
}

/* The extension has asked for it, and will use it: so it is looked at although nothing near it was touched yet. */
void
ftc_block_asked_for(void *block, size_t size)
{
    if (ftc_native_on && block != NULL && cell_in_use((uintptr_t)block) != NULL) {
        ftc_block_taken(block, size);
    }
}

/* Nobody else has done something with it: else it is looked at closely whether that came before. */
static inline int
is_mine(const ftc_cell *cell, uint64_t now)
{
    uint64_t first = cell->who[0], second = cell->who[1], third = cell->who[2];
    /* FTC_TAKEN_BY is another's: it has FTC_FREES */
    return (first == 0 || !((first ^ now) & FTC_OWN)) && ((second | third) == 0
        || ((second == 0 || !((second ^ now) & FTC_OWN)) && (third == 0 || !((third ^ now) & FTC_OWN))));
}

/* Another thread is at it: what that notes now is not to be mixed with what is noted here. */
static void
take_first(ftc_cell *cell, uint64_t now)
{
    for (int turn = 0; turn < 1000; turn++) {
        uint64_t seen = __atomic_load_n(&cell->who[0], __ATOMIC_RELAXED);
        if (!FTC_IS_TAKEN(seen) && ftc_take_place(&cell->who[0], seen, now)) {
            return;
        }
        if (turn > 100) {
            sched_yield();
        }
    }
}

void
ftc_block_given_back(void *block)
{
    uintptr_t address = (uintptr_t)block & ~(uintptr_t)7;
    ftc_cell *cell = ftc_native_on && block != NULL && !is_for_the_log() ? cell_near(address) : NULL;
    ftc_watcher *me = cell == NULL ? NULL : ftc_watcher_me();
    if (me == NULL) {
        return;
    }
    if (me->behind) {
        ftc_hear_everybody(me);
    }
    /* Where no extension gives it back, but the interpreter, there is a line of Python code to name and no more. */
    uint32_t where = me->top == me->frames ? FTC_WHERE(me->id, ftc_python_context(me)) : ftc_where(me, me->called_from);
    uint64_t gone = me->now | FTC_HOW(FTC_WRITES | FTC_FREES, 0xff);
    uintptr_t end = address + 8u * (cell->units > LEAST ? cell->units : LEAST);
    size_t count;
    for (uintptr_t at = address; at < end; at += count * 8) {
        ftc_cell *cells;
        count = cells_from(at, end, &cells);
        ftc_cell *region = ftc_region_at(at);
        uint32_t *wheres = cells == NULL ? NULL : ftc_wheres_of(region, ftc_cell_number(at));
        for (size_t i = 0; cells != NULL && i < count; i++) {
            if (__builtin_expect(!is_mine(&cells[i], me->now), 0)) {
                if (cells[i].who[0] != 0 && !FTC_IS_TAKEN(cells[i].who[0]) && FTC_FLAGS(cells[i].who[0]) & FTC_FREES) {
                    continue;                          /* that is said already */
                }
                ftc_touch_cell(me, region, at + i * 8, (ftc_touch){gone, where});
                take_first(&cells[i], me->now);
            }
            __atomic_store_n(&wheres[i * FTC_TOUCHES], where, __ATOMIC_RELEASE);
            set(&cells[i], gone);
        }
    }
    ftc_tell_at_border(me);
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

void
ftc_hook_allocators(void)
{
    static const PyMemAllocatorDomain domains[2] = {PYMEM_DOMAIN_MEM, PYMEM_DOMAIN_OBJ};
    static PyMemAllocatorEx ours[2] = {
        {NULL, take_0, take_zeros_0, take_other_0, give_back_0},
        {NULL, take_1, take_zeros_1, take_other_1, give_back_1},
    };
    static int done;
    if (done++) {
        return;
    }
    for (int i = 0; i < 2; i++) {
        PyMem_GetAllocator(domains[i], &originals[i]);
    }
    for (int i = 0; i < 2; i++) {
        PyMem_SetAllocator(domains[i], &ours[i]);
    }
}

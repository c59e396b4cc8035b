/* Shadow memory: for each eight bytes that an extension touches, the last accesses to them.
 *
 * Four MiB of addresses are a region.  The first access in one maps 22 MiB for it, which cost memory where they are used: 44
 * bytes for each eight.  Where a region's cells are is looked up in a table with a place for each region that there can be, so
 * that an access needs one look-up and no hashing; of the table, too, only the pages that are used cost memory.
 *
 * The words that an access has to compare are apart from what is needed only where something is noted: 32 bytes a cell.
 *
 * Words are looked at without a lock.  Who writes one takes its place first, by one atomic operation, so that it stays together
 * with where it came from (native.h, ftc_take_place); where nobody else has been, that would cost more than all else, and is
 * done without.  Of two threads that come to a cell within nanoseconds one may not see the other.  Then a race is noticed at
 * another access, or not.
 */
#include "native.h"
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define BYTES (FTC_CELLS * (sizeof(ftc_cell) + FTC_TOUCHES * sizeof(uint32_t)) + FTC_CELLS / FTC_PAGE)
#define FEW 64                       /* pages that are zeroed; more are given back to the system */

_Static_assert(sizeof(ftc_cell) == 32, "two cells are a cache line");

static ftc_cell *nowhere[1];
ftc_cell **ftc_regions = nowhere;    /* which nobody looks at before ftc_shadow_init() */
static ftc_cell **made;
static size_t count, room;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void *
mapped(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

int
ftc_shadow_init(void)
{
    ftc_cell **table = mapped(FTC_REGIONS * sizeof *table);
    if (table == NULL) {
        return -1;
    }
    ftc_regions = table;
    return 0;
}

ftc_cell *
ftc_make_region(uintptr_t address)
{
    pthread_mutex_lock(&lock);
    ftc_cell *region = ftc_region_at(address);
    if (region == NULL && count == room) {
        ftc_cell **more = realloc(made, (room * 2 + 16) * sizeof *more);
        made = more != NULL ? more : made;
        room = more != NULL ? room * 2 + 16 : room;
    }
    if (region == NULL && count < room && (region = mapped(BYTES)) != NULL) {
        made[count++] = region;
        __atomic_store_n(&ftc_regions[address >> FTC_REGION & (FTC_REGIONS - 1)], region, __ATOMIC_RELEASE);
    }
    pthread_mutex_unlock(&lock);
    return region;
}

void
ftc_lock_cell(ftc_cell *cell)
{
    for (int turn = 0; __atomic_exchange_n(&cell->lock, 1, __ATOMIC_ACQUIRE); turn++) {
        if (turn > 100) {
            sched_yield();                             /* whoever has it was taken off its CPU */
        }
    }
}

static size_t
pages_of(ftc_cell *region)
{
    size_t pages = 0;
    for (uint32_t page = 0; page < FTC_CELLS / FTC_PAGE; page++) {
        pages += *ftc_page_of(region, page * FTC_PAGE);
    }
    return pages;
}

void
ftc_new_generation(void)
{
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < count; i++) {
        size_t pages = pages_of(made[i]);
        if (pages > FEW && madvise(made[i], BYTES, MADV_DONTNEED) == 0) {
            continue;
        }
        for (uint32_t cell = 0; pages > 0 && cell < FTC_CELLS; cell += FTC_PAGE) {
            if (*ftc_page_of(made[i], cell)) {
                memset(&made[i][cell], 0, FTC_PAGE * sizeof(ftc_cell));
                *ftc_page_of(made[i], cell) = 0;
            }
        }
    }
    pthread_mutex_unlock(&lock);
    ftc_drop_all_clocks();
}

/* Of the pages in which there is something. */
size_t
ftc_shadow_bytes(void)
{
    size_t pages = 0;
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < count; i++) {
        pages += pages_of(made[i]);
    }
    pthread_mutex_unlock(&lock);
    return pages * FTC_PAGE * (sizeof(ftc_cell) + FTC_TOUCHES * sizeof(uint32_t));
}

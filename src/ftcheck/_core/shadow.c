/* Shadow memory: for each eight bytes that an extension touches, the last accesses to them.
 *
 * A page of 64 KiB that is touched for the first time gets 8,192 cells of 64 bytes, which cost memory where they are used.  The
 * pages are found in a hash table that only grows, and each thread remembers those that it used last.
 *
 * A cell says nothing any more when another generation has begun: what happens while nobody watches is not in it.
 */
#include "native.h"
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE 16                      /* bits of an address within a page */
#define CELLS (1u << (PAGE - 3))
#define BUCKETS (1u << 16)
#define NEAR 64                      /* pages that a thread remembers */

typedef struct page {
    uintptr_t number;
    struct page *next;
    ftc_cell *cells;
} page;

_Static_assert(sizeof(ftc_cell) == 64, "a cell is a cache line");

static _Atomic(page *) buckets[BUCKETS];
static atomic_uint generation = 1;
static atomic_size_t pages;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local struct { uintptr_t number; ftc_cell *cells; } near[NEAR] __attribute__((tls_model("initial-exec")));

static uint32_t
bucket_of(uintptr_t number)
{
    return (uint32_t)(number * 0x9E3779B97F4A7C15u >> 48);
}

static ftc_cell *
find(uintptr_t number)
{
    for (page *p = atomic_load_explicit(&buckets[bucket_of(number)], memory_order_acquire); p != NULL; p = p->next) {
        if (p->number == number) {
            return p->cells;
        }
    }
    return NULL;
}

static ftc_cell *
make(uintptr_t number)
{
    pthread_mutex_lock(&lock);
    ftc_cell *cells = find(number);
    page *p = cells == NULL ? malloc(sizeof *p) : NULL;
    if (p != NULL) {
        cells = mmap(NULL, CELLS * sizeof *cells, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (cells == MAP_FAILED) {
            cells = NULL;
            free(p);
        }
        else {
            *p = (page){number, atomic_load(&buckets[bucket_of(number)]), cells};
            atomic_store_explicit(&buckets[bucket_of(number)], p, memory_order_release);
            pages++;
        }
    }
    pthread_mutex_unlock(&lock);
    return cells;
}

static ftc_cell *
cells_of(uintptr_t address, int may_make)
{
    uintptr_t number = address >> PAGE;
    unsigned at = (unsigned)(number & (NEAR - 1));
    if (near[at].number == number && near[at].cells != NULL) {
        return near[at].cells;
    }
    ftc_cell *cells = find(number);
    if (cells == NULL && may_make) {
        cells = make(number);
    }
    if (cells != NULL) {
        near[at].number = number;
        near[at].cells = cells;
    }
    return cells;
}

ftc_cell *
ftc_cell_of(uintptr_t address)
{
    ftc_cell *cells = cells_of(address, 1);
    return cells == NULL ? NULL : &cells[address >> 3 & (CELLS - 1)];
}

ftc_cell *
ftc_cell_if_any(uintptr_t address)
{
    ftc_cell *cells = cells_of(address, 0);
    return cells == NULL ? NULL : &cells[address >> 3 & (CELLS - 1)];
}

void
ftc_lock_cell(ftc_cell *cell)
{
    for (int turn = 0; __atomic_exchange_n(&cell->lock, 1, __ATOMIC_ACQUIRE); turn++) {
        if (turn > 100) {
            sched_yield();                             /* whoever has it was taken off its CPU */
        }
    }
    uint32_t now = atomic_load_explicit(&generation, memory_order_relaxed);
    if (cell->generation != now) {
        cell->generation = now;
        cell->freed = 0;
        cell->units = 0;
        if (cell->clock != NULL) {
            ftc_drop_clock(cell->clock);
            cell->clock = NULL;
        }
        memset(cell->touches, 0, sizeof cell->touches);
    }
}

void
ftc_new_generation(void)
{
    generation++;
}

size_t
ftc_shadow_bytes(void)
{
    return pages * CELLS * sizeof(ftc_cell);
}

/* Imported functions whose address an extension takes, and through whose entry it never calls.
 *
 * To take a function's address is to read its entry in the global offset table, and so is to call it without a table of
 * procedures (-fno-plt, which ftcheck-cc turns off; Rust; some linkers, for what is called and taken).  A function that is only
 * taken has to keep its address, which the interpreter, or the extension, may compare: calls through pointers are seen as such
 * (indirect.c).  One that is called is replaced.  Which it is, is said by the instructions: they are looked through.
 */
#include "native.h"
#include <stdlib.h>
#include <string.h>

static uintptr_t *
find_entry(const ftc_taken *known, uintptr_t entry)
{
    for (size_t low = 0, high = known->count; low < high;) {
        size_t middle = (low + high) / 2;
        if (known->entries[middle] == entry) {
            return &known->entries[middle];
        }
        if (known->entries[middle] < entry) {
            low = middle + 1;
        }
        else {
            high = middle;
        }
    }
    return NULL;
}

static void
is_called(ftc_taken *known, uintptr_t entry)
{
    const uintptr_t *found = find_entry(known, entry);
    if (found != NULL) {
        known->called[found - known->entries] = 1;
    }
}

#if defined(__x86_64__)
/* `call *entry(%rip)` or `jmp *entry(%rip)` */
static void
find_called(const ftc_imports *all, ftc_taken *known)
{
    for (uintptr_t at = all->low; at + 6 <= all->high; at++) {
        const unsigned char *code = (const unsigned char *)at;
        int32_t distance;
        if (code[0] == 0xff && (code[1] == 0x15 || code[1] == 0x25)) {
            memcpy(&distance, code + 2, sizeof distance);
            is_called(known, at + 6 + (uintptr_t)(intptr_t)distance);
        }
    }
}
#else
#define SOON 64                      /* bytes: a register that an entry was read into, and that is called, is still that */

/* `adrp page, entry`, `ldr register, [page, entry]` and `blr register` or `br register`, the last two near each other */
static void
find_called(const ftc_imports *all, ftc_taken *known)
{
    struct { uintptr_t page, entry, read; } registers[32] = {0};
    for (uintptr_t at = (all->low + 3) & ~(uintptr_t)3; at + 4 <= all->high; at += 4) {
        uint32_t code = *(const uint32_t *)at;
        unsigned first = code & 31, second = code >> 5 & 31;
        if ((code & 0x9f000000) == 0x90000000) {
            int64_t pages = (int64_t)((uint64_t)((code >> 5 & 0x7ffff) << 2 | (code >> 29 & 3)) << 43) >> 31;
            registers[first].page = (at & ~(uintptr_t)0xfff) + (uintptr_t)pages;
            registers[first].entry = 0;
        }
        else if ((code & 0xffc00000) == 0xf9400000) {
            registers[first].entry = registers[second].page + (code >> 10 & 0xfff) * 8;
            registers[first].read = at;
        }
        else if ((code & 0xffdffc1f) == 0xd61f0000 && at - registers[second].read <= SOON) {
            is_called(known, registers[second].entry);
        }
    }
}
#endif

static int
by_address(const void *a, const void *b)
{
    uintptr_t one = *(const uintptr_t *)a, other = *(const uintptr_t *)b;
    return (one > other) - (one < other);
}

ftc_taken
ftc_what_is_only_taken(const ftc_imports *all)
{
    ftc_taken known = {calloc(all->sizes[1] + 1, sizeof *known.entries), calloc(all->sizes[1] + 1, 1), 0};
    if (known.entries == NULL || known.called == NULL) {
        return known;
    }
    for (size_t i = 0; i < all->sizes[1]; i++) {
        if (ftc_is_import(&all->tables[1][i])) {
            known.entries[known.count++] = all->base + all->tables[1][i].r_offset;
        }
    }
    qsort(known.entries, known.count, sizeof *known.entries, by_address);
    find_called(all, &known);
    return known;
}

int
ftc_is_only_taken(const ftc_taken *known, uintptr_t entry)
{
    const uintptr_t *found = find_entry(known, entry);
    return found != NULL && !known->called[found - known->entries];
}

void
ftc_forget_taken(ftc_taken *known)
{
    free(known->entries);
    free(known->called);
}

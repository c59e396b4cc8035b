/* Memory that an extension takes from malloc(), and from operator new, which comes with who needs it.
 *
 * It was somebody else's, whose giving back is ordered with that by what cannot be seen: by the strict rule (strict.c), who takes it
 * begins anew.  What is given back is in heap.c.
 */
#include "native.h"
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>

static void *
taken(void *block)
{
    if (ftc_strict) {
        int before = errno;
        ftc_block_taken(block, block == NULL ? 0 : malloc_usable_size(block));
        errno = before;
    }
    return block;
}

static void *
take(size_t size)
{
    ftc_call_out(FTC_CALLER);
    return taken(malloc(size));
}

#define NEW(name) \
    static void *(*real##name)(size_t size); \
    static void *new##name(size_t size) \
    { \
        ftc_call_out(FTC_CALLER); \
        return taken(real##name(size)); \
    }
NEW(_Znwm)
NEW(_Znam)

static void *
take_zeros(size_t count, size_t size)
{
    ftc_call_out(FTC_CALLER);
    return taken(calloc(count, size));
}

static void *
take_raw(size_t size)
{
    ftc_call_out(FTC_CALLER);
    void *block = PyMem_RawMalloc(size);
    if (ftc_strict) {
        ftc_block_taken(block, size);
    }
    return block;
}

static void *
take_raw_zeros(size_t count, size_t size)
{
    ftc_call_out(FTC_CALLER);
    void *block = PyMem_RawCalloc(count, size);
    if (ftc_strict) {
        ftc_block_taken(block, count * size);
    }
    return block;
}

typedef void (*function)(void);

static const ftc_wrapper wrappers[] = {
    {"_Znwm", (function)new_Znwm, (void **)&real_Znwm}, {"_Znam", (function)new_Znam, (void **)&real_Znam},
    {"malloc", (function)take}, {"calloc", (function)take_zeros},
    {"PyMem_RawMalloc", (function)take_raw}, {"PyMem_RawCalloc", (function)take_raw_zeros},
};

void *
ftc_taking_wrapper_for(const char *name, void *real)
{
    return ftc_wrapper_in(wrappers, sizeof wrappers / sizeof *wrappers, name, real);
}

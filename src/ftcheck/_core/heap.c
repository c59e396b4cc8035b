/* Memory of malloc(), and of the operating system, that an extension gives back itself.
 *
 * Python's allocators are hooked (blocks.c), and their memory is theirs alone: so what is used after it was given back is known
 * for certain.  The memory of malloc() anybody can have again, unseen, in a library that nobody has compiled for this.  So giving it
 * back is a write to all of it, by who calls free(), realloc() or `delete`: what is used in another thread at the same time is a
 * race, and what is used later is not seen.  It is never mistaken, whoever has the memory next: his malloc() is a border.
 *
 * When the interpreter's allocator gives pages back to the system, they can become anybody's as well: what was said of them is
 * forgotten then.
 */
#include "native.h"
#include <dlfcn.h>
#include <malloc.h>
#include <string.h>
#include <sys/mman.h>

#define CHUNK 32768

static void
is_gone(void *block, uintptr_t pc)
{
    if (block != NULL && ftc_native_on) {
        ftc_watcher *me = ftc_watcher_me();
        if (me != NULL) {
            me->frees = 1;
            ftc_range((uintptr_t)block, malloc_usable_size(block), FTC_WRITES, pc);
            me->frees = 0;
        }
    }
    ftc_call_out(pc);
}

static void
give_back(void *block)
{
    is_gone(block, FTC_CALLER);
    free(block);
}

static void *
take_other(void *block, size_t size)
{
    is_gone(block, FTC_CALLER);
    volatile uintptr_t before = (uintptr_t)block;
    void *other = realloc(block, size);
    if (ftc_strict && other != NULL && (uintptr_t)other != before) {
        ftc_block_taken(other, malloc_usable_size(other));             /* as in sync.c */
    }
    return other;
}

#define TAKE(wrapper, real, parameters, arguments, size) \
    static void *wrapper parameters \
    { \
        ftc_call_out(FTC_CALLER); \
        void *block = real arguments; \
        ftc_block_asked_for(block, size); \
        return block; \
    }
TAKE(take_memory, PyMem_Malloc, (size_t size), (size), size)
TAKE(take_zeros, PyMem_Calloc, (size_t count, size_t each), (count, each), count * each)
TAKE(take_object, PyObject_Malloc, (size_t size), (size), size)
TAKE(take_objects, PyObject_Calloc, (size_t count, size_t each), (count, each), count * each)

static const struct { const char *name; void (*wrapper)(void); } takers[] = {
    {"PyMem_Malloc", (void (*)(void))take_memory}, {"PyMem_Calloc", (void (*)(void))take_zeros},
    {"PyObject_Malloc", (void (*)(void))take_object}, {"PyObject_Calloc", (void (*)(void))take_objects},
};

/* Of the C++ library, which comes with who needs it; where a program has its own, that is not known to take from malloc(). */
#define DELETES \
    DELETE(_ZdlPv, (void *block), (block)) DELETE(_ZdaPv, (void *block), (block)) \
    DELETE(_ZdlPvm, (void *block, size_t size), (block, size)) DELETE(_ZdaPvm, (void *block, size_t size), (block, size))

#define DELETE(name, parameters, arguments) \
    static void (*real##name) parameters; \
    static void delete##name parameters \
    { \
        is_gone(block, FTC_CALLER); \
        real##name arguments; \
    }
DELETES
#undef DELETE

static int
is_of_the_library(void *function)
{
    Dl_info where;
    const char *file = dladdr(function, &where) ? strrchr(where.dli_fname, '/') : NULL;
    return file != NULL && (strncmp(file, "/libstdc++.so", 13) == 0 || strncmp(file, "/libc++abi.so", 13) == 0);
}

void *
ftc_heap_wrapper_for(const char *name, void *real)
{
    if (strcmp(name, "free") == 0) {
        return (void *)give_back;
    }
    if (strcmp(name, "realloc") == 0) {
        return (void *)take_other;
    }
    for (size_t i = 0; i < sizeof takers / sizeof *takers; i++) {
        if (strcmp(name, takers[i].name) == 0) {
            return (void *)takers[i].wrapper;
        }
    }
#define DELETE(own, parameters, arguments) \
    if (strcmp(name, #own) == 0 \
        && (real == (void *)delete##own || real == (void *)real##own || (real##own == NULL && is_of_the_library(real)))) { \
        if (real != (void *)delete##own) { \
            real##own = (void (*) parameters)real; \
        } \
        return (void *)delete##own; \
    }
DELETES
#undef DELETE
    return NULL;
}

/* --- the system -------------------------------------------------------------------------------------------------------- */

static int
unmap(void *memory, size_t size)
{
    for (uintptr_t at = (uintptr_t)memory; ftc_native_on && at < (uintptr_t)memory + size; at += CHUNK) {
        ftc_block_taken((void *)at, CHUNK);
    }
    return munmap(memory, size);
}

/* Of the program, or the library, that the interpreter is in. */
void
ftc_hook_unmapping(const ftc_imports *interpreter)
{
    void **entry = ftc_import_entry(interpreter, "munmap");
    if (entry != NULL) {
        __atomic_store_n(entry, (void *)unmap, __ATOMIC_RELEASE);
    }
}

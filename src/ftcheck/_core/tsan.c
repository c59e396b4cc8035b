/* The callbacks of -fsanitize=thread for plain accesses and C++ objects.
 *
 * Their names and what they are given are LLVM's (compiler-rt/lib/tsan/rtl/tsan_interface.h); GCC calls the same.  Where nobody
 * watches, each returns at once.
 */
#include "native.h"
#include <string.h>

#define LONGEST 65536                /* bytes of one memcpy() that are looked at */

void
__tsan_init(void)
{
    if (ftc_native_begun) {
        ftc_find_modules();
    }
}

void
ftc_range(uintptr_t address, size_t size, int flags, uintptr_t pc)
{
    if (__atomic_load_n(&ftc_native_on, __ATOMIC_RELAXED) != FTC_RESTS) {
        ftc_access_slowly(address, size < LONGEST ? size : LONGEST, flags, pc);
    }
}

/* --- accesses ------------------------------------------------------------------------------------------------------ */

#define CALLBACK(name, size, flags) \
    FTC_PUBLIC void __tsan_##name##size(void *address); \
    void __tsan_##name##size(void *address) { ftc_access((uintptr_t)address, size, flags, FTC_CALLER); }

#define CALLBACK_16(name, flags) \
    FTC_PUBLIC void __tsan_##name##16(void *address); \
    void __tsan_##name##16(void *address) \
    { \
        ftc_access((uintptr_t)address, 8, flags, FTC_CALLER); \
        ftc_access((uintptr_t)address + 8, 8, flags, FTC_CALLER); \
    }

#define ALL_SIZES(name, flags) \
    CALLBACK(name, 1, flags) CALLBACK(name, 2, flags) CALLBACK(name, 4, flags) CALLBACK(name, 8, flags) CALLBACK_16(name, flags)

ALL_SIZES(read, FTC_READS)
ALL_SIZES(write, FTC_WRITES)
ALL_SIZES(read_write, FTC_WRITES)
ALL_SIZES(volatile_read, FTC_READS)
ALL_SIZES(volatile_write, FTC_WRITES)
ALL_SIZES(unaligned_read, FTC_READS)
ALL_SIZES(unaligned_write, FTC_WRITES)
ALL_SIZES(unaligned_read_write, FTC_WRITES)
ALL_SIZES(unaligned_volatile_read, FTC_READS)
ALL_SIZES(unaligned_volatile_write, FTC_WRITES)

FTC_PUBLIC void __tsan_read_range(void *address, unsigned long size);
FTC_PUBLIC void __tsan_write_range(void *address, unsigned long size);
FTC_PUBLIC void __tsan_vptr_update(void **vptr, void *value);
FTC_PUBLIC void __tsan_vptr_read(void **vptr);
FTC_PUBLIC void *__tsan_memcpy(void *to, const void *from, size_t size);
FTC_PUBLIC void *__tsan_memmove(void *to, const void *from, size_t size);
FTC_PUBLIC void *__tsan_memset(void *to, int byte, size_t size);
FTC_PUBLIC void __tsan_ignore_thread_begin(void);
FTC_PUBLIC void __tsan_ignore_thread_end(void);

void
__tsan_read_range(void *address, unsigned long size)
{
    ftc_range((uintptr_t)address, size, FTC_READS, FTC_CALLER);
}

void
__tsan_write_range(void *address, unsigned long size)
{
    ftc_range((uintptr_t)address, size, FTC_WRITES, FTC_CALLER);
}

/* A constructor or destructor sets the virtual table; to the same one again, that is no change. */
void
__tsan_vptr_update(void **vptr, void *value)
{
    if (*vptr != value) {
        ftc_access((uintptr_t)vptr, sizeof *vptr, FTC_WRITES, FTC_CALLER);
    }
}

void
__tsan_vptr_read(void **vptr)
{
    ftc_access((uintptr_t)vptr, sizeof *vptr, FTC_READS, FTC_CALLER);
}

void *
__tsan_memcpy(void *to, const void *from, size_t size)
{
    ftc_range((uintptr_t)from, size, FTC_READS, FTC_CALLER);
    ftc_range((uintptr_t)to, size, FTC_WRITES, FTC_CALLER);
    return memcpy(to, from, size);
}

void *
__tsan_memmove(void *to, const void *from, size_t size)
{
    ftc_range((uintptr_t)from, size, FTC_READS, FTC_CALLER);
    ftc_range((uintptr_t)to, size, FTC_WRITES, FTC_CALLER);
    return memmove(to, from, size);
}

void *
__tsan_memset(void *to, int byte, size_t size)
{
    ftc_range((uintptr_t)to, size, FTC_WRITES, FTC_CALLER);
    return memset(to, byte, size);
}

void
__tsan_ignore_thread_begin(void)
{
    ftc_watcher *me = ftc_watching();
    if (me != NULL) {
        me->muted++;
    }
}

void
__tsan_ignore_thread_end(void)
{
    ftc_watcher *me = ftc_watching();
    if (me != NULL && me->muted > 0) {
        me->muted--;
    }
}

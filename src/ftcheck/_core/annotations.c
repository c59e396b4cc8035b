/* What code says to ThreadSanitizer by itself, where it is compiled for that (__SANITIZE_THREAD__): its interface
 * (sanitizer/tsan_interface.h), the older annotations (Annotate...), and atomic operations on sixteen bytes.
 *
 * What it says to order is a border (native.h).  What it says to be harmless is not believed.
 */
#include "native.h"

#define BORDER(name, ...) \
    FTC_PUBLIC void name(__VA_ARGS__); \
    void name(__VA_ARGS__) \
    { \
        ftc_call_out(FTC_CALLER); \
    }
/* Besides, the clock of an address hears of this thread, or the other way round. */
#define SAYS(name, does, address, ...) \
    FTC_PUBLIC void name(__VA_ARGS__); \
    void name(__VA_ARGS__) \
    { \
        does((uintptr_t)address); \
        ftc_call_out(FTC_CALLER); \
    }
#define NOTHING(name, ...) \
    FTC_PUBLIC void name(__VA_ARGS__); \
    void name(__VA_ARGS__) \
    { \
    }

SAYS(__tsan_acquire, ftc_strict_heard, address, void *address)
SAYS(__tsan_release, ftc_strict_told, address, void *address)
BORDER(__tsan_mutex_pre_lock, void *address, unsigned flags)
SAYS(__tsan_mutex_post_lock, ftc_strict_heard, address, void *address, unsigned flags, int recursion)
BORDER(__tsan_mutex_post_unlock, void *address, unsigned flags)
BORDER(__tsan_mutex_pre_signal, void *address, unsigned flags)
BORDER(__tsan_mutex_post_signal, void *address, unsigned flags)
BORDER(__tsan_mutex_pre_divert, void *address, unsigned flags)
BORDER(__tsan_mutex_post_divert, void *address, unsigned flags)
NOTHING(__tsan_mutex_create, void *address, unsigned flags)
NOTHING(__tsan_mutex_destroy, void *address, unsigned flags)
SAYS(AnnotateHappensBefore, ftc_strict_told, address, const char *file, int line, const volatile void *address)
SAYS(AnnotateHappensAfter, ftc_strict_heard, address, const char *file, int line, const volatile void *address)
SAYS(AnnotateRWLockAcquired, ftc_strict_heard, lock, const char *file, int line, const volatile void *lock, long is_write)
SAYS(AnnotateRWLockReleased, ftc_strict_told, lock, const char *file, int line, const volatile void *lock, long is_write)
NOTHING(AnnotateRWLockCreate, const char *file, int line, const volatile void *lock)
NOTHING(AnnotateRWLockDestroy, const char *file, int line, const volatile void *lock)
NOTHING(AnnotateBenignRace, const char *file, int line, const volatile void *address, const char *why)
NOTHING(AnnotateBenignRaceSized, const char *file, int line, const volatile void *address, size_t size, const char *why)
NOTHING(AnnotateNewMemory, const char *file, int line, const volatile void *address, size_t size)
NOTHING(AnnotateIgnoreReadsBegin, const char *file, int line)
NOTHING(AnnotateIgnoreReadsEnd, const char *file, int line)
NOTHING(AnnotateIgnoreWritesBegin, const char *file, int line)
NOTHING(AnnotateIgnoreWritesEnd, const char *file, int line)
NOTHING(AnnotateIgnoreSyncBegin, const char *file, int line)
NOTHING(AnnotateIgnoreSyncEnd, const char *file, int line)
NOTHING(AnnotateThreadName, const char *file, int line, const char *name)

FTC_PUBLIC int __tsan_mutex_pre_unlock(void *address, unsigned flags);

int
__tsan_mutex_pre_unlock(void *address, unsigned Py_UNUSED(flags))
{
    ftc_strict_told((uintptr_t)address);
    ftc_call_out(FTC_CALLER);
    return 1;
}

/* --- sixteen bytes ----------------------------------------------------------------------------------------------------- */

#include "wide.h"

/* They order in all they can; the variable itself is two accesses of eight bytes. */
#define WIDE(flags) \
    ftc_strict_heard((uintptr_t)variable); \
    ftc_strict_told((uintptr_t)variable); \
    ftc_call_out(FTC_CALLER); \
    ftc_range((uintptr_t)variable, 8, (flags) | FTC_ATOMIC, FTC_CALLER); \
    ftc_range((uintptr_t)variable + 8, 8, (flags) | FTC_ATOMIC, FTC_CALLER); \
    ftc_call_out(FTC_CALLER);
FTC_WIDE_ATOMICS(FTC_PUBLIC, WIDE(FTC_READS), WIDE(FTC_WRITES))

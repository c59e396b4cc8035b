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
#define NOTHING(name, ...) \
    FTC_PUBLIC void name(__VA_ARGS__); \
    void name(__VA_ARGS__) \
    { \
    }

BORDER(__tsan_acquire, void *address)
BORDER(__tsan_release, void *address)
BORDER(__tsan_mutex_pre_lock, void *address, unsigned flags)
BORDER(__tsan_mutex_post_lock, void *address, unsigned flags, int recursion)
BORDER(__tsan_mutex_post_unlock, void *address, unsigned flags)
BORDER(__tsan_mutex_pre_signal, void *address, unsigned flags)
BORDER(__tsan_mutex_post_signal, void *address, unsigned flags)
BORDER(__tsan_mutex_pre_divert, void *address, unsigned flags)
BORDER(__tsan_mutex_post_divert, void *address, unsigned flags)
NOTHING(__tsan_mutex_create, void *address, unsigned flags)
NOTHING(__tsan_mutex_destroy, void *address, unsigned flags)
BORDER(AnnotateHappensBefore, const char *file, int line, const volatile void *address)
BORDER(AnnotateHappensAfter, const char *file, int line, const volatile void *address)
BORDER(AnnotateRWLockAcquired, const char *file, int line, const volatile void *lock, long is_write)
BORDER(AnnotateRWLockReleased, const char *file, int line, const volatile void *lock, long is_write)
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
__tsan_mutex_pre_unlock(void *Py_UNUSED(address), unsigned Py_UNUSED(flags))
{
    ftc_call_out(FTC_CALLER);
    return 1;
}

/* --- sixteen bytes ----------------------------------------------------------------------------------------------------- */

#include "wide.h"

/* They order in all they can; the variable itself is two accesses of eight bytes. */
#define WIDE(flags) \
    ftc_call_out(FTC_CALLER); \
    ftc_range((uintptr_t)variable, 8, (flags) | FTC_ATOMIC, FTC_CALLER); \
    ftc_range((uintptr_t)variable + 8, 8, (flags) | FTC_ATOMIC, FTC_CALLER); \
    ftc_call_out(FTC_CALLER);
FTC_WIDE_ATOMICS(FTC_PUBLIC, WIDE(FTC_READS), WIDE(FTC_WRITES))

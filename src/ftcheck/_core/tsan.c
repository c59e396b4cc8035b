/* The callbacks of -fsanitize=thread for plain accesses, functions and C++ objects.
 *
 * Their names and what they are given are LLVM's (compiler-rt/lib/tsan/rtl/tsan_interface.h); GCC calls the same.  Where nobody
 * watches, each returns at once.
 *
 * The stack of calls is followed by the addresses of their frames (ftcheck-cc has them kept, and no call replaced by a jump): one
 * that was left by longjmp(), or by an exception that a compiler did not see, stands below the frame of who comes or goes next,
 * and is taken off then.  What left it was itself a call of something imported, and so a border.
 */
#include "native.h"
#include <string.h>

#pragma GCC diagnostic ignored "-Wframe-address"
#define FRAME_OF_CALLER ((uintptr_t)__builtin_frame_address(1))        /* which ftcheck-cc has compiled to have one */
#define LONGEST 65536                /* bytes of one memcpy() that are looked at */

void
__tsan_init(void)
{
    if (ftc_native_begun) {
        ftc_find_modules();
    }
}

static inline ftc_watcher *
watching(void)
{
    return __builtin_expect(ftc_native_on, 0) ? ftc_watcher_me() : NULL;
}

static inline int
is_own_stack(const ftc_watcher *me, uintptr_t address)
{
    return address - me->stack_low < me->stack_high - me->stack_low;
}

static inline void
access_to(uintptr_t address, size_t size, int flags, uintptr_t pc)
{
    ftc_watcher *me = watching();
    if (me == NULL || is_own_stack(me, address) || me->muted) {
        return;
    }
    ftc_before_access(me, address, size, flags, pc);
    if (me->behind) {
        ftc_hear_everybody(me);
    }
    ftc_access_memory(me, address, size, flags, pc);
}

void
ftc_range(uintptr_t address, size_t size, int flags, uintptr_t pc)
{
    access_to(address, size < LONGEST ? size : LONGEST, flags, pc);
}

/* --- functions ----------------------------------------------------------------------------------------------------- */

static void
border(ftc_watcher *me)
{
    ftc_tell_all(me);
    me->behind = 1;
}

/* Those whose frames lie below this address are over. */
static void
leave_those_below(ftc_watcher *me, uintptr_t frame)
{
    if (me->depth > FTC_DEEP && me->frames[FTC_DEEP - 1].frame < frame) {
        me->depth = FTC_DEEP;
    }
    while (me->depth > 0 && me->depth <= FTC_DEEP && me->frames[me->depth - 1].frame < frame) {
        me->depth--;
        me->context = me->frames[me->depth].context;
        if (me->frames[me->depth].border) {
            border(me);
        }
    }
}

void
__tsan_func_entry(void *pc)
{
    ftc_watcher *me = watching();
    if (me == NULL) {
        return;
    }
    uintptr_t frame = FRAME_OF_CALLER;
    leave_those_below(me, frame + 1);
    int from_outside = ftc_module_of((uintptr_t)pc) < 0;
    if (me->depth < FTC_DEEP) {
        me->frames[me->depth] = (ftc_frame){frame, me->context, from_outside};
    }
    me->depth++;
    if (from_outside) {
        me->behind = 1;
        me->context = ftc_python_context();
    }
    else if (me->depth <= FTC_DEEP) {
        me->context = ftc_context_of(me->context, (uintptr_t)ftc_place_of((uintptr_t)pc), 0);
    }
}

/* Who returns is mostly who came last.  Where it is not, because it came before anybody watched, or stands deeper than is noted,
 * or on another stack, nobody knows where it returns to: that is a border, then. */
void
__tsan_func_exit(void)
{
    ftc_watcher *me = watching();
    if (me == NULL) {
        return;
    }
    uintptr_t frame = FRAME_OF_CALLER;
    leave_those_below(me, frame);
    if (me->depth == 0 || me->depth > FTC_DEEP || me->frames[me->depth - 1].frame != frame) {
        me->depth -= me->depth > FTC_DEEP;
        border(me);
        return;
    }
    if (ftc_native_exploring) {
        ftc_native_settle();
    }
    const ftc_frame *left = &me->frames[--me->depth];
    me->context = left->context;
    if (left->border) {
        border(me);
    }
}

void
ftc_call_out(uintptr_t pc)
{
    ftc_watcher *me = watching();
    if (me != NULL) {
        border(me);
        me->called_from = pc;
    }
}

/* --- accesses ------------------------------------------------------------------------------------------------------ */

#define CALLBACK(name, size, flags) \
    FTC_PUBLIC void __tsan_##name##size(void *address); \
    void __tsan_##name##size(void *address) { access_to((uintptr_t)address, size, flags, FTC_CALLER); }

#define ALL_SIZES(name, flags) \
    CALLBACK(name, 1, flags) CALLBACK(name, 2, flags) CALLBACK(name, 4, flags) CALLBACK(name, 8, flags) CALLBACK(name, 16, flags)

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
        access_to((uintptr_t)vptr, sizeof *vptr, FTC_WRITES, FTC_CALLER);
    }
}

void
__tsan_vptr_read(void **vptr)
{
    access_to((uintptr_t)vptr, sizeof *vptr, FTC_READS, FTC_CALLER);
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
    ftc_watcher *me = watching();
    if (me != NULL) {
        me->muted++;
    }
}

void
__tsan_ignore_thread_end(void)
{
    ftc_watcher *me = watching();
    if (me != NULL && me->muted > 0) {
        me->muted--;
    }
}

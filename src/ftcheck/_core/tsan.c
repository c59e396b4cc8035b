/* The callbacks of -fsanitize=thread for plain accesses, functions and C++ objects.
 *
 * Their names and what they are given are LLVM's (compiler-rt/lib/tsan/rtl/tsan_interface.h); GCC calls the same.  Where nobody
 * watches, each returns at once.
 *
 * The stack of calls is followed by the addresses of their frames (ftcheck-cc has them kept, and no call replaced by a jump): one
 * that was left by longjmp(), or by an exception that a compiler did not see, stands below the frame of who comes or goes next,
 * and is taken off then.  What left it was itself a call of something imported, and so a border.
 *
 * The address is that of what the frame pointer leads to.  On x86-64 that is the upper end of a frame, on aarch64 the lower one,
 * or near it.  So there one that was left may stand above that of who comes next, if that has the larger frame; but not above
 * that of who has called it, which its own leads to.
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

void
ftc_range(uintptr_t address, size_t size, int flags, uintptr_t pc)
{
    if (__atomic_load_n(&ftc_native_on, __ATOMIC_RELAXED) != FTC_RESTS) {
        ftc_access_slowly(address, size < LONGEST ? size : LONGEST, flags, pc);
    }
}

/* --- functions ----------------------------------------------------------------------------------------------------- */

/* Whether a function that returns to this address was called by code that is not compiled like it. */
static __attribute__((noinline)) int
look_for_border(ftc_watcher *me, uintptr_t pc, unsigned at)
{
    int modules = __atomic_load_n(&ftc_module_changes, __ATOMIC_ACQUIRE);
    if (me->modules != modules) {
        memset(me->callers, 0, sizeof me->callers);
        me->modules = modules;
    }
    me->callers[at].pc = pc;
    me->callers[at].border = ftc_module_of(pc) < 0;
    return me->callers[at].border;
}

static inline unsigned
caller_at(uintptr_t pc)
{
    return (unsigned)(pc ^ pc >> 7) % FTC_CALLERS;
}

static inline int
is_known(const ftc_watcher *me, uintptr_t pc, unsigned at)
{
    return me->callers[at].pc == pc && me->modules == ftc_module_changes;
}

static inline int
is_border(ftc_watcher *me, uintptr_t pc)
{
    unsigned at = caller_at(pc);
    return __builtin_expect(is_known(me, pc, at), 1) ? me->callers[at].border : look_for_border(me, pc, at);
}

static inline void
border(ftc_watcher *me)
{
    if (__builtin_expect(ftc_strict, 0)) {
        ftc_strict_sections(1);
    }
    ftc_tell_at_border(me);
}

/* Those whose frames lie below this address are over. */
static inline void
leave_those_below(ftc_watcher *me, uintptr_t frame)
{
    if (me->top->frame < frame) {
        me->deeper = 0;
    }
    while (me->top->frame < frame) {
        me->top--;
        if (me->top[1].border) {
            border(me);
        }
    }
}

#if defined(__aarch64__)
#define CALLED_BY(frame) (*(const uintptr_t *)(frame))
/* Of those that it is called within, where the last one is; what has no frame pointer leads to none of them. */
static uintptr_t
lowest_above(const ftc_watcher *me, uintptr_t frame)
{
    uintptr_t caller = CALLED_BY(frame);
    const ftc_frame *at = me->top;
    while (at->frame < caller) {
        at--;
    }
    return caller > frame && at->frame == caller ? caller : frame + 1;
}

static inline int
is_called_by(const ftc_frame *top, uintptr_t frame)
{
    return top->frame > frame && top->frame == CALLED_BY(frame);
}
#else
static inline uintptr_t
lowest_above(const ftc_watcher *Py_UNUSED(me), uintptr_t frame)
{
    return frame + 1;
}

static inline int
is_called_by(const ftc_frame *top, uintptr_t frame)
{
    return top->frame > frame;
}
#endif

static __attribute__((noinline)) void
enter(ftc_watcher *me, uintptr_t pc, uintptr_t frame)
{
    leave_those_below(me, lowest_above(me, frame));
    int from_outside = me->top == me->frames || is_border(me, pc);
    if (me->top < me->frames + FTC_DEEP) {
        *++me->top = (ftc_frame){frame, pc, FTC_UNKNOWN, from_outside};
    }
    else {
        me->deeper++;
    }
    me->behind |= from_outside;
}

static __attribute__((noinline)) void
enter_newly(uintptr_t pc, uintptr_t frame)
{
    ftc_watcher *me = watching();
    if (me != NULL) {
        enter(me, pc, frame);
    }
}

/* Who is watched once has its calls noted ever after: so here is one thing less to ask.  The first call comes from elsewhere: of
 * that frames[1] says what there is to say already, but for these two. */
void
__tsan_func_entry(void *pc)
{
    ftc_watcher *me = ftc_watcher_here;
    uintptr_t frame = FRAME_OF_CALLER;
    if (__builtin_expect(me == NULL, 0)) {
        enter_newly((uintptr_t)pc, frame);
        return;
    }
    ftc_frame *top = me->top;
    if (__builtin_expect(top == me->frames, 1)) {
        top[1].frame = frame;
        top[1].context = FTC_UNKNOWN;
        me->top = top + 1;
        return;
    }
    unsigned at = caller_at((uintptr_t)pc);
    if (top < me->frames + FTC_DEEP && is_called_by(top, frame) && is_known(me, (uintptr_t)pc, at)) {
        int from_outside = me->callers[at].border;
        top[1] = (ftc_frame){frame, (uintptr_t)pc, FTC_UNKNOWN, from_outside};
        me->top = top + 1;
        me->behind |= from_outside;
        return;
    }
    enter(me, (uintptr_t)pc, frame);
}

/* Who returns is mostly who came last.  Where it is not, because it came before anybody watched, or stands deeper than is noted,
 * or on another stack, nobody knows where it returns to: that is a border, then. */
static __attribute__((noinline)) void
leave(uintptr_t frame)
{
    ftc_watcher *me = watching();
    if (me == NULL) {
        return;
    }
    leave_those_below(me, frame);
    if (me->top->frame != frame) {
        me->deeper -= me->deeper > 0;
        border(me);
        return;
    }
    if (ftc_native_exploring) {
        ftc_native_settle();
    }
    me->deeper = 0;
    me->top--;
    if (me->top[1].border) {
        border(me);
    }
}

static __attribute__((noinline)) void
leave_to_outside(ftc_watcher *me)
{
    border(me);
}

void
__tsan_func_exit(void)
{
    ftc_watcher *me = ftc_watcher_here;
    uintptr_t frame = FRAME_OF_CALLER;
    if (__builtin_expect(me == NULL, 0)) {
        leave(frame);
        return;
    }
    ftc_frame *top = me->top;
    if (__builtin_expect(top->frame == frame, 1)) {
        if (__builtin_expect(me->passing > 0, 1)) {
            me->passing -= top->border;
            me->behind |= top->border;
            me->top = top - 1;
            return;
        }
        if (!(ftc_native_on & (FTC_EXPLORES | FTC_STRICTLY))) {
            me->top = top - 1;
            if (top->border) {
                leave_to_outside(me);
            }
            return;
        }
    }
    leave(frame);
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

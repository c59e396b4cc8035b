/* Which functions of extensions a thread is in, from the callbacks at the beginning and the end of each.
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

/* The callbacks give those below the frame of the function that calls them, which ftcheck-cc has compiled to have one. */
void ftc_call_begins(uintptr_t pc, uintptr_t frame) __attribute__((visibility("hidden"), used));
void ftc_call_ends(uintptr_t frame) __attribute__((visibility("hidden"), used));
#if defined(__x86_64__)
/* What there is to do at most of them, as ftc_call_begins() has it for a call from elsewhere, and ftc_call_ends() for a thread that
 * looks at things in passing: here without a jump, and with the frame where it is. */
_Static_assert(offsetof(ftc_watcher, behind) == 24 && offsetof(ftc_watcher, passing) == 28 && offsetof(ftc_watcher, top) == 48
               && offsetof(ftc_watcher, bottom) == 56, "as the code below has it");
_Static_assert(sizeof(ftc_frame) == 24 && offsetof(ftc_frame, frame) == 0 && offsetof(ftc_frame, context) == 16
               && offsetof(ftc_frame, border) == 20 && FTC_UNKNOWN == 0xffffffff, "as the code below has it");
#if defined(__CET__) && __CET__ & 1
#define LANDING "    endbr64\n"
#else
#define LANDING ""
#endif
#define CALLBACK(name, quickly, frame, function) \
    ".globl " #name "\n" \
    ".type " #name ", @function\n" \
    ".p2align 5\n" \
    #name ":\n" \
    "    .cfi_startproc\n" \
    LANDING \
    "    movq ftc_watcher_here@gottpoff(%rip), %rax\n" \
    "    movq %fs:(%rax), %rax\n" \
    "    movq 48(%rax), %rdx\n" \
    quickly \
    "1:  movq %rbp, %" #frame "\n" \
    "    jmp " #function "\n" \
    "    .cfi_endproc\n" \
    ".size " #name ", .-" #name "\n"
#define BEGINS \
    "    cmpq 56(%rax), %rdx\n" \
    "    jne 1f\n" \
    "    movq %rbp, 24(%rdx)\n" \
    "    movl $-1, 40(%rdx)\n" \
    "    addq $24, %rdx\n" \
    "    movq %rdx, 48(%rax)\n" \
    "    ret\n"
#define ENDS \
    "    cmpq %rbp, (%rdx)\n" \
    "    jne 1f\n" \
    "    movl 28(%rax), %ecx\n" \
    "    testl %ecx, %ecx\n" \
    "    jle 1f\n" \
    "    movl 20(%rdx), %esi\n" \
    "    subq $24, %rdx\n" \
    "    subl %esi, %ecx\n" \
    "    orl %esi, 24(%rax)\n" \
    "    movl %ecx, 28(%rax)\n" \
    "    movq %rdx, 48(%rax)\n" \
    "    ret\n"
__asm__(".text\n" CALLBACK(__tsan_func_entry, BEGINS, rsi, ftc_call_begins) CALLBACK(__tsan_func_exit, ENDS, rdi, ftc_call_ends));
#else
#pragma GCC diagnostic ignored "-Wframe-address"
void
__tsan_func_entry(void *pc)
{
    ftc_call_begins((uintptr_t)pc, (uintptr_t)__builtin_frame_address(1));
}

void
__tsan_func_exit(void)
{
    ftc_call_ends((uintptr_t)__builtin_frame_address(1));
}
#endif

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
    ftc_watcher *me = ftc_watching();
    if (me != NULL) {
        enter(me, pc, frame);
    }
}

/* Who is watched once has its calls noted ever after: so here is one thing less to ask.  The first call comes from elsewhere: of
 * that frames[1] says what there is to say already, but for these two. */
void
ftc_call_begins(uintptr_t pc, uintptr_t frame)
{
    ftc_watcher *me = ftc_watcher_if_any();
    if (__builtin_expect(me == NULL, 0)) {
        enter_newly(pc, frame);
        return;
    }
    ftc_frame *top = me->top;
    if (__builtin_expect(top == me->frames, 1)) {
        top[1].frame = frame;
        top[1].context = FTC_UNKNOWN;
        me->top = top + 1;
        return;
    }
    unsigned at = caller_at(pc);
    if (top < me->frames + FTC_DEEP && is_called_by(top, frame) && is_known(me, pc, at)) {
        int from_outside = me->callers[at].border;
        top[1] = (ftc_frame){frame, pc, FTC_UNKNOWN, from_outside};
        me->top = top + 1;
        me->behind |= from_outside;
        return;
    }
    enter(me, pc, frame);
}

/* Who returns is mostly who came last.  Where it is not, because it came before anybody watched, or stands deeper than is noted,
 * or on another stack, nobody knows where it returns to: that is a border, then. */
static __attribute__((noinline)) void
leave(uintptr_t frame)
{
    ftc_watcher *me = ftc_watching();
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
ftc_call_ends(uintptr_t frame)
{
    ftc_watcher *me = ftc_watcher_if_any();
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
    ftc_watcher *me = ftc_watching();
    if (me != NULL) {
        border(me);
        me->called_from = pc;
    }
}

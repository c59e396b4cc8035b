/* Calls through pointers.
 *
 * tp_alloc of a type, the table in a capsule, a virtual function: what an extension calls through a pointer may be its own code,
 * which is no border (native.h), or not, which is one.  So ftcheck-cc has compilers say where such a call goes:
 *
 *   x86-64         calls through a register go by way of __x86_indirect_thunk_REGISTER (gcc: -mindirect-branch=thunk-extern;
 *                  clang: -mretpoline-external-thunk; made against speculation), which is for others to supply.  Here they look
 *                  where the register leads.
 *   clang, aarch64 __sanitizer_cov_trace_pc_indir(where) is called before each of them (-fsanitize-coverage=indirect-calls).
 *   gcc, aarch64   has nothing of the kind: such a call is no border there.
 *
 * A jump through a register (a switch) goes the same way, and all registers are in use then: it leads to the extension's own code,
 * so that is found out without touching any but those that are put back.
 */
#include "native.h"

FTC_PUBLIC void __sanitizer_cov_trace_pc(void);
FTC_PUBLIC void __sanitizer_cov_trace_pc_indir(uintptr_t where);

void
__sanitizer_cov_trace_pc(void)
{
}

void
__sanitizer_cov_trace_pc_indir(uintptr_t where)
{
    if (__builtin_expect(ftc_native_on, 0) && ftc_module_of(where) < 0) {
        ftc_call_out(FTC_CALLER);
    }
}

#if defined(__x86_64__)

int ftc_is_inside(uintptr_t where) __attribute__((target("general-regs-only"), visibility("hidden"), noinline));

int
ftc_is_inside(uintptr_t where)
{
    int count = __atomic_load_n(&ftc_module_count, __ATOMIC_ACQUIRE);
    for (int i = 0; i < count; i++) {
        if (where >= ftc_modules[i].low && where < ftc_modules[i].high) {
            return 1;
        }
    }
    return 0;
}

/* On the stack: where it leads, and where that returns to.  `ret` is how to jump there with all registers as they were. */
__asm__(
    ".text\n"
    ".type ftc_indirect, @function\n"
    "ftc_indirect:\n"
    "    .cfi_startproc\n"
    "    .cfi_def_cfa_offset 16\n"
    "    pushq %rbp\n"
    "    .cfi_def_cfa_offset 24\n"
    "    .cfi_offset 6, -24\n"
    "    movq %rsp, %rbp\n"
    "    .cfi_def_cfa_register 6\n"
    "    subq $88, %rsp\n"
    "    movq %rdi, (%rsp)\n"
    "    movq %rsi, 8(%rsp)\n"
    "    movq %rdx, 16(%rsp)\n"
    "    movq %rcx, 24(%rsp)\n"
    "    movq %r8, 32(%rsp)\n"
    "    movq %r9, 40(%rsp)\n"
    "    movq %rax, 48(%rsp)\n"
    "    movq %r10, 56(%rsp)\n"
    "    movq %r11, 64(%rsp)\n"
    "    movq 8(%rbp), %rdi\n"
    "    call ftc_is_inside\n"
    "    testl %eax, %eax\n"
    "    movq (%rsp), %rdi\n"
    "    movq 8(%rsp), %rsi\n"
    "    movq 16(%rsp), %rdx\n"
    "    movq 24(%rsp), %rcx\n"
    "    movq 32(%rsp), %r8\n"
    "    movq 40(%rsp), %r9\n"
    "    movq 48(%rsp), %rax\n"
    "    movq 56(%rsp), %r10\n"
    "    movq 64(%rsp), %r11\n"
    "    leave\n"
    "    .cfi_def_cfa 7, 16\n"
    "    .cfi_restore 6\n"
    "    je 1f\n"
    "    ret\n"
    "1:  popq %r11\n"
    "    .cfi_def_cfa_offset 8\n"
    "    jmp *ftc_thunk_rest(%rip)\n"
    "    .cfi_endproc\n"
    ".size ftc_indirect, .-ftc_indirect\n");

#define THUNK(name) \
    __asm__( \
        ".text\n" \
        ".globl __x86_indirect_thunk_" #name "\n" \
        ".type __x86_indirect_thunk_" #name ", @function\n" \
        "__x86_indirect_thunk_" #name ":\n" \
        "    .cfi_startproc\n" \
        "    cmpl $0, ftc_native_on(%rip)\n" \
        "    jne 1f\n" \
        "    jmp *%" #name "\n" \
        "1:  pushq %" #name "\n" \
        "    .cfi_def_cfa_offset 16\n" \
        "    jmp ftc_indirect\n" \
        "    .cfi_endproc\n" \
        ".size __x86_indirect_thunk_" #name ", .-__x86_indirect_thunk_" #name "\n")

THUNK(rax);
THUNK(rbx);
THUNK(rcx);
THUNK(rdx);
THUNK(rsi);
THUNK(rdi);
THUNK(rbp);
THUNK(r8);
THUNK(r9);
THUNK(r10);
THUNK(r11);
THUNK(r12);
THUNK(r13);
THUNK(r14);
THUNK(r15);

#endif

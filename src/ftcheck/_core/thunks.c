/* What stands in for a function of which nothing is known: a border (native.h), then the function itself.
 *
 * A thunk is made for each function.  It puts the function's address into a register that no call uses, and jumps to code that
 * is the same for all: that keeps what the call has in registers, calls ftc_called() with the address that the function will
 * return to, and jumps to the function.  So the arguments, however many, are where they were, and so is the frame: setjmp(),
 * vfork() and what unwinds the stack find it as if they had been called directly.
 *
 * Arguments may be vectors as wide as this processor has (__m256, __m512): there is code for each width.  They need not be kept
 * for a border as most are (QUICKLY), which uses no vectors; and for none where nobody watches.
 *
 * On aarch64, functions whose arguments may be wider than 16 bytes say so, and have no thunk (imports.c).  A processor that checks
 * where calls lead (BTI) does so in this file's code if all of _core was compiled for that, and not in thunks.
 */
#include "native.h"
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE 65536                   /* a page of the system, or some */
#define SIZE 32

#if defined(__x86_64__)
/* ftc_call_out(), where it has nothing to do but to note the border (ftc_told_quickly): with two registers, and no call.  Else it
 * goes on at 3, with all as it was. */
_Static_assert(offsetof(ftc_watcher, now) == 0 && offsetof(ftc_watcher, past) == 8 && offsetof(ftc_watcher, called_from) == 16
               && offsetof(ftc_watcher, behind) == 24 && offsetof(ftc_watcher, passing) == 28 && offsetof(ftc_watcher, left) == 32
               && offsetof(ftc_watcher, quick) == 36 && offsetof(ftc_watcher, undelayed) == 40, "as the code below has it");
_Static_assert(offsetof(ftc_past, told) == 0 && offsetof(ftc_past, tick) == 8, "as the code below has it");
_Static_assert(FTC_EPOCH(FTC_STEP) == 1 && FTC_STEP == 1 << 22 && (FTC_EXPLORES | FTC_STRICTLY) == 12, "as the code below has it");
#define QUICKLY \
    "    testl $12, ftc_native_on(%rip)\n" \
    "    jne 3f\n" \
    "    movq ftc_watcher_here@gottpoff(%rip), %r10\n" \
    "    movq %fs:(%r10), %r10\n" \
    "    cmpl $0, 28(%r10)\n" \
    "    jle 4f\n" \
    "    subl $1, 28(%r10)\n" \
    "    movl $1, 24(%r10)\n" \
    "    pushq (%rsp)\n" \
    "    .cfi_def_cfa_offset 16\n" \
    "    popq 16(%r10)\n" \
    "    .cfi_def_cfa_offset 8\n" \
    "    jmp *%r11\n" \
    "4:  pushq %rcx\n" \
    "    .cfi_def_cfa_offset 16\n" \
    "    pushq %rax\n" \
    "    .cfi_def_cfa_offset 24\n" \
    "    movq 8(%r10), %rcx\n" \
    "    movq ftc_ticks(%rip), %rax\n" \
    "    cmpq %rax, 8(%rcx)\n" \
    "    jne 2f\n" \
    "    subl $1, 32(%r10)\n" \
    "    jle 2f\n" \
    "    movq (%r10), %rax\n" \
    "    shrq $22, %rax\n" \
    "    movq %rax, (%rcx)\n" \
    "    addq $(1 << 22), (%r10)\n" \
    "    movl 40(%r10), %eax\n" \
    "    movl %eax, 36(%r10)\n" \
    "    movq 16(%rsp), %rax\n" \
    "    movq %rax, 16(%r10)\n" \
    "    movl $1, 24(%r10)\n" \
    "    popq %rax\n" \
    "    .cfi_def_cfa_offset 16\n" \
    "    popq %rcx\n" \
    "    .cfi_def_cfa_offset 8\n" \
    "    jmp *%r11\n" \
    "    .cfi_def_cfa_offset 24\n" \
    "2:  popq %rax\n" \
    "    .cfi_def_cfa_offset 16\n" \
    "    popq %rcx\n" \
    "    .cfi_def_cfa_offset 8\n"

#define KEEP(move, vector, wide) \
    "    " move " %" vector "0, 80+0*" wide "(%rsp)\n" \
    "    " move " %" vector "1, 80+1*" wide "(%rsp)\n" \
    "    " move " %" vector "2, 80+2*" wide "(%rsp)\n" \
    "    " move " %" vector "3, 80+3*" wide "(%rsp)\n" \
    "    " move " %" vector "4, 80+4*" wide "(%rsp)\n" \
    "    " move " %" vector "5, 80+5*" wide "(%rsp)\n" \
    "    " move " %" vector "6, 80+6*" wide "(%rsp)\n" \
    "    " move " %" vector "7, 80+7*" wide "(%rsp)\n"
#define TAKE(move, vector, wide) \
    "    " move " 80+0*" wide "(%rsp), %" vector "0\n" \
    "    " move " 80+1*" wide "(%rsp), %" vector "1\n" \
    "    " move " 80+2*" wide "(%rsp), %" vector "2\n" \
    "    " move " 80+3*" wide "(%rsp), %" vector "3\n" \
    "    " move " 80+4*" wide "(%rsp), %" vector "4\n" \
    "    " move " 80+5*" wide "(%rsp), %" vector "5\n" \
    "    " move " 80+6*" wide "(%rsp), %" vector "6\n" \
    "    " move " 80+7*" wide "(%rsp), %" vector "7\n"

#define REST(name, move, vector, wide) \
    extern void name(void) __attribute__((visibility("hidden"))); \
    __asm__( \
        ".text\n" \
        ".hidden " #name "\n" \
        ".globl " #name "\n" \
        ".type " #name ", @function\n" \
        #name ":\n" \
        "    .cfi_startproc\n" \
        "    cmpl $0, ftc_native_on(%rip)\n" \
        "    jne 1f\n" \
        "    jmp *%r11\n" \
        "1:\n" QUICKLY \
        "3:  pushq %rbp\n" \
        "    .cfi_def_cfa_offset 16\n" \
        "    .cfi_offset 6, -16\n" \
        "    movq %rsp, %rbp\n" \
        "    .cfi_def_cfa_register 6\n" \
        "    subq $(80+8*" wide "), %rsp\n" \
        "    movq %rdi, (%rsp)\n" \
        "    movq %rsi, 8(%rsp)\n" \
        "    movq %rdx, 16(%rsp)\n" \
        "    movq %rcx, 24(%rsp)\n" \
        "    movq %r8, 32(%rsp)\n" \
        "    movq %r9, 40(%rsp)\n" \
        "    movq %rax, 48(%rsp)\n" \
        "    movq %r11, 56(%rsp)\n" \
        KEEP(move, vector, wide) \
        "    movq 8(%rbp), %rdi\n" \
        "    movq 56(%rsp), %rsi\n" \
        "    movq (%rsp), %rdx\n" \
        "    call ftc_called@PLT\n" \
        TAKE(move, vector, wide) \
        "    movq (%rsp), %rdi\n" \
        "    movq 8(%rsp), %rsi\n" \
        "    movq 16(%rsp), %rdx\n" \
        "    movq 24(%rsp), %rcx\n" \
        "    movq 32(%rsp), %r8\n" \
        "    movq 40(%rsp), %r9\n" \
        "    movq 48(%rsp), %rax\n" \
        "    movq 56(%rsp), %r11\n" \
        "    leave\n" \
        "    .cfi_def_cfa 7, 8\n" \
        "    jmp *%r11\n" \
        "    .cfi_endproc\n" \
        ".size " #name ", .-" #name "\n");

REST(ftc_thunk_rest_16, "movups", "xmm", "16")
REST(ftc_thunk_rest_32, "vmovups", "ymm", "32")
REST(ftc_thunk_rest_64, "vmovups", "zmm", "64")

/* indirect.c jumps there, too. */
void (*ftc_thunk_rest)(void) __attribute__((visibility("hidden"))) = ftc_thunk_rest_16;

static void
choose(void)
{
    __builtin_cpu_init();
    ftc_thunk_rest = __builtin_cpu_supports("avx512f") ? ftc_thunk_rest_64
        : __builtin_cpu_supports("avx")                ? ftc_thunk_rest_32
                                                       : ftc_thunk_rest_16;
}

static void
write_thunk(unsigned char *at, void *function)
{
    static const unsigned char code[] = {
        0xf3, 0x0f, 0x1e, 0xfa,                        /* endbr64 */
        0x49, 0xbb, 0, 0, 0, 0, 0, 0, 0, 0,            /* movabs function, %r11 */
        0x49, 0xba, 0, 0, 0, 0, 0, 0, 0, 0,            /* movabs the rest, %r10 */
        0x41, 0xff, 0xe2,                              /* jmp *%r10 */
    };
    void (*rest)(void) = ftc_thunk_rest;
    memcpy(at, code, sizeof code);
    memcpy(at + 6, &function, sizeof function);
    memcpy(at + 16, &rest, sizeof rest);
}
#elif defined(__aarch64__)
extern void ftc_thunk_rest(void) __attribute__((visibility("hidden")));
__asm__(
    ".text\n"
    ".hidden ftc_thunk_rest\n"
    ".type ftc_thunk_rest, %function\n"
    "ftc_thunk_rest:\n"
    "    .cfi_startproc\n"
    "    hint #34\n"                  /* bti c */
    "    adrp x16, ftc_native_on\n"
    "    ldr w16, [x16, #:lo12:ftc_native_on]\n"
    "    cbnz w16, 1f\n"
    "    br x17\n"
    "1:  stp x29, x30, [sp, #-224]!\n"
    "    .cfi_def_cfa_offset 224\n"
    "    .cfi_offset 29, -224\n"
    "    .cfi_offset 30, -216\n"
    "    mov x29, sp\n"
    "    stp x0, x1, [sp, #16]\n"
    "    stp x2, x3, [sp, #32]\n"
    "    stp x4, x5, [sp, #48]\n"
    "    stp x6, x7, [sp, #64]\n"
    "    stp x8, x17, [sp, #80]\n"
    "    stp q0, q1, [sp, #96]\n"
    "    stp q2, q3, [sp, #128]\n"
    "    stp q4, q5, [sp, #160]\n"
    "    stp q6, q7, [sp, #192]\n"
    "    ldr x2, [sp, #16]\n"
    "    mov x1, x17\n"
    "    mov x0, x30\n"
    "    bl ftc_called\n"
    "    ldp x0, x1, [sp, #16]\n"
    "    ldp x2, x3, [sp, #32]\n"
    "    ldp x4, x5, [sp, #48]\n"
    "    ldp x6, x7, [sp, #64]\n"
    "    ldp x8, x17, [sp, #80]\n"
    "    ldp q0, q1, [sp, #96]\n"
    "    ldp q2, q3, [sp, #128]\n"
    "    ldp q4, q5, [sp, #160]\n"
    "    ldp q6, q7, [sp, #192]\n"
    "    ldp x29, x30, [sp], #224\n"
    "    .cfi_restore 29\n"
    "    .cfi_restore 30\n"
    "    .cfi_def_cfa_offset 0\n"
    "    br x17\n"
    "    .cfi_endproc\n"
    ".size ftc_thunk_rest, .-ftc_thunk_rest\n");

static void
write_thunk(unsigned char *at, void *function)
{
    static const uint32_t code[] = {
        0x58000091,                                    /* ldr x17, 16 bytes on */
        0x580000b0,                                    /* ldr x16, 20 bytes on */
        0xd61f0200,                                    /* br x16 */
        0xd503201f,                                    /* nop */
    };
    void (*rest)(void) = ftc_thunk_rest;
    memcpy(at, code, sizeof code);
    memcpy(at + 16, &function, sizeof function);
    memcpy(at + 24, &rest, sizeof rest);
}

static void
choose(void)
{
}
#endif

/* Called by modules.c under its lock.  Thunks of one module are written to pages of their own, which are made executable when
 * all of them are there: no page is ever both, and none that is in use is written to. */
static struct { void *function, *thunk; } *made;       /* by the hash of the function */
static size_t room, count;
static unsigned char **pages;
static size_t page_count;
static unsigned char *open_page;
static int used;                     /* thunks in it */

static size_t
slot_of(const void *function)
{
    size_t at = (uintptr_t)function * 0x9E3779B97F4A7C15u >> 20;
    while (made[at & (room - 1)].function != NULL && made[at & (room - 1)].function != function) {
        at++;
    }
    return at & (room - 1);
}

static int
more_room(void)
{
    size_t before = room;
    void *old = made, *fresh = calloc(before == 0 ? 1024 : before * 2, sizeof *made);
    if (fresh == NULL) {
        return 0;
    }
    made = fresh;
    room = before == 0 ? 1024 : before * 2;
    for (size_t i = 0; i < before; i++) {
        void *const *one = (void *const *)old + 2 * i;
        if (one[0] != NULL) {
            size_t at = slot_of(one[0]);
            made[at].function = one[0];
            made[at].thunk = one[1];
        }
    }
    free(old);
    return 1;
}

static int
new_page(void)
{
    unsigned char **more = realloc(pages, (page_count + 1) * sizeof *pages);
    if (more == NULL) {
        return 0;
    }
    pages = more;
    void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) {
        return 0;
    }
    pages[page_count++] = open_page = page;
    used = 0;
    return 1;
}

int
ftc_is_thunk(const void *address)
{
    for (size_t i = 0; i < page_count; i++) {
        if ((uintptr_t)address - (uintptr_t)pages[i] < PAGE) {
            return 1;
        }
    }
    return 0;
}

void *
ftc_thunk_for(void *function)
{
    if (made == NULL) {
        choose();
    }
    if (count * 2 >= room && !more_room()) {
        return NULL;
    }
    size_t at = slot_of(function);
    if (made[at].function != NULL) {
        return made[at].thunk;
    }
    if (open_page != NULL && used == PAGE / SIZE) {
        ftc_close_thunks();
    }
    if (open_page == NULL && !new_page()) {
        return NULL;
    }
    unsigned char *thunk = open_page + SIZE * used++;
    write_thunk(thunk, function);
    made[at].function = function;
    made[at].thunk = thunk;
    count++;
    return thunk;
}

void
ftc_close_thunks(void)
{
    if (open_page != NULL) {
        __builtin___clear_cache((char *)open_page, (char *)open_page + PAGE);
        if (mprotect(open_page, PAGE, PROT_READ | PROT_EXEC) != 0) {
            Py_FatalError("ftcheck: this system does not let a program make code, which watching an extension needs");
        }
        open_page = NULL;
    }
}

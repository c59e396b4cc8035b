/* What stands in for a function of which nothing is known: a border (native.h), then the function itself.
 *
 * A thunk is made for each function.  It puts the function's address into a register that no call uses, and jumps to code that
 * is the same for all: that keeps what the call has in registers, calls ftc_called() with the address that the function will
 * return to, and jumps to the function.  So the arguments, however many, are where they were.
 */
#include "native.h"
#include <string.h>
#include <sys/mman.h>

#define PAGE 65536                   /* a page of the system, or some */
#define SIZE 32
#define FTC_THUNKS 8192              /* functions that have one; calls of others are no borders */

extern void ftc_thunk_rest(void) __attribute__((visibility("hidden")));

#if defined(__x86_64__)
__asm__(
    ".text\n"
    ".hidden ftc_thunk_rest\n"
    ".type ftc_thunk_rest, @function\n"
    "ftc_thunk_rest:\n"
    "    pushq %rbp\n"
    "    movq %rsp, %rbp\n"
    "    subq $192, %rsp\n"
    "    movq %rdi, (%rsp)\n"
    "    movq %rsi, 8(%rsp)\n"
    "    movq %rdx, 16(%rsp)\n"
    "    movq %rcx, 24(%rsp)\n"
    "    movq %r8, 32(%rsp)\n"
    "    movq %r9, 40(%rsp)\n"
    "    movq %rax, 48(%rsp)\n"
    "    movq %r11, 56(%rsp)\n"
    "    movups %xmm0, 64(%rsp)\n"
    "    movups %xmm1, 80(%rsp)\n"
    "    movups %xmm2, 96(%rsp)\n"
    "    movups %xmm3, 112(%rsp)\n"
    "    movups %xmm4, 128(%rsp)\n"
    "    movups %xmm5, 144(%rsp)\n"
    "    movups %xmm6, 160(%rsp)\n"
    "    movups %xmm7, 176(%rsp)\n"
    "    movq 8(%rbp), %rdi\n"
    "    movq %r11, %rsi\n"
    "    movq (%rsp), %rdx\n"
    "    call ftc_called@PLT\n"
    "    movq (%rsp), %rdi\n"
    "    movq 8(%rsp), %rsi\n"
    "    movq 16(%rsp), %rdx\n"
    "    movq 24(%rsp), %rcx\n"
    "    movq 32(%rsp), %r8\n"
    "    movq 40(%rsp), %r9\n"
    "    movq 48(%rsp), %rax\n"
    "    movq 56(%rsp), %r11\n"
    "    movups 64(%rsp), %xmm0\n"
    "    movups 80(%rsp), %xmm1\n"
    "    movups 96(%rsp), %xmm2\n"
    "    movups 112(%rsp), %xmm3\n"
    "    movups 128(%rsp), %xmm4\n"
    "    movups 144(%rsp), %xmm5\n"
    "    movups 160(%rsp), %xmm6\n"
    "    movups 176(%rsp), %xmm7\n"
    "    leave\n"
    "    jmp *%r11\n"
    ".size ftc_thunk_rest, .-ftc_thunk_rest\n");

static void
write_thunk(unsigned char *at, void *function)
{
    static const unsigned char code[] = {
        0xf3, 0x0f, 0x1e, 0xfa,                        /* endbr64 */
        0x49, 0xbb, 0, 0, 0, 0, 0, 0, 0, 0,            /* movabs function, %r11 */
        0x49, 0xba, 0, 0, 0, 0, 0, 0, 0, 0,            /* movabs ftc_thunk_rest, %r10 */
        0x41, 0xff, 0xe2,                              /* jmp *%r10 */
    };
    void (*rest)(void) = ftc_thunk_rest;
    memcpy(at, code, sizeof code);
    memcpy(at + 6, &function, sizeof function);
    memcpy(at + 16, &rest, sizeof rest);
}
#elif defined(__aarch64__)
__asm__(
    ".text\n"
    ".hidden ftc_thunk_rest\n"
    ".type ftc_thunk_rest, %function\n"
    "ftc_thunk_rest:\n"
    "    stp x29, x30, [sp, #-224]!\n"
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
    "    br x17\n"
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
#endif

/* Called by modules.c under its lock.  Thunks of one module are written to pages of their own, which are made executable when
 * all of them are there: no page is ever both, and none that is in use is written to. */
static struct { void *function, *thunk; } made[FTC_THUNKS];
static int count;
static unsigned char *open_page;
static int used;                     /* thunks in it */

void *
ftc_thunk_for(void *function)
{
    for (int i = 0; i < count; i++) {
        if (made[i].function == function) {
            return made[i].thunk;
        }
    }
    if (count == FTC_THUNKS) {
        return NULL;
    }
    if (open_page != NULL && used == PAGE / SIZE) {
        ftc_close_thunks();
    }
    if (open_page == NULL) {
        void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (page == MAP_FAILED) {
            return NULL;
        }
        open_page = page;
        used = 0;
    }
    unsigned char *at = open_page + SIZE * used++;
    write_thunk(at, function);
    made[count].function = function;
    made[count++].thunk = at;
    return at;
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

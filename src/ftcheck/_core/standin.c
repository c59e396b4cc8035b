/* Stands in for ftcheck._core where that is not there: a library of its own, which ftcheck-cc links extensions with.
 *
 * So an extension that it has compiled can be imported like any other.  Plain accesses do nothing here; atomic operations are
 * what they are.  Where _core watches, its functions are found before these, or take their places (modules.c).
 */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "wide.h"

/* In a Python that is no test run, say once that nobody watches, and what to do. */
void
__tsan_init(void)
{
    static int said;
    int (*running)(void) = (int (*)(void))dlsym(RTLD_DEFAULT, "Py_IsInitialized");
    if (said++ || getenv("PYTEST_VERSION") != NULL || running == NULL || !running()) {
        return;
    }
    static const char text[] =
        "ftcheck: an extension module was built with ftcheck-cc, and nobody watches its memory accesses here.\n"
        "ftcheck: to find its data races, run its tests: python -m pytest --ftcheck\n";
    if (write(2, text, sizeof text - 1) < 0) {
        return;                                        /* there is nobody to tell */
    }
}

void __tsan_func_entry(void *pc) { (void)pc; }
void __tsan_func_exit(void) {}
void __tsan_ignore_thread_begin(void) {}
void __tsan_ignore_thread_end(void) {}
void __tsan_read_range(void *address, unsigned long size) { (void)address, (void)size; }
void __tsan_write_range(void *address, unsigned long size) { (void)address, (void)size; }
void __tsan_vptr_update(void **vptr, void *value) { (void)vptr, (void)value; }
void __tsan_vptr_read(void **vptr) { (void)vptr; }
void *__tsan_memcpy(void *to, const void *from, size_t size) { return memcpy(to, from, size); }
void *__tsan_memmove(void *to, const void *from, size_t size) { return memmove(to, from, size); }
void *__tsan_memset(void *to, int byte, size_t size) { return memset(to, byte, size); }

#define PLAIN(name, size) void __tsan_##name##size(void *address) { (void)address; }
#define ALL_SIZES(name) PLAIN(name, 1) PLAIN(name, 2) PLAIN(name, 4) PLAIN(name, 8) PLAIN(name, 16)

ALL_SIZES(read)
ALL_SIZES(write)
ALL_SIZES(read_write)
ALL_SIZES(volatile_read)
ALL_SIZES(volatile_write)
ALL_SIZES(unaligned_read)
ALL_SIZES(unaligned_write)
ALL_SIZES(unaligned_read_write)
ALL_SIZES(unaligned_volatile_read)
ALL_SIZES(unaligned_volatile_write)

#define ORDER __ATOMIC_SEQ_CST

#define OPERATION(bits, type, name, how) \
    type __tsan_atomic##bits##_##name(volatile type *variable, type value, int order) \
    { (void)order; return how(variable, value, ORDER); }

#define SIZE(bits, type) \
    type __tsan_atomic##bits##_load(const volatile type *variable, int order) \
    { (void)order; return __atomic_load_n(variable, ORDER); } \
    void __tsan_atomic##bits##_store(volatile type *variable, type value, int order) \
    { (void)order; __atomic_store_n(variable, value, ORDER); } \
    OPERATION(bits, type, exchange, __atomic_exchange_n) \
    OPERATION(bits, type, fetch_add, __atomic_fetch_add) \
    OPERATION(bits, type, fetch_sub, __atomic_fetch_sub) \
    OPERATION(bits, type, fetch_and, __atomic_fetch_and) \
    OPERATION(bits, type, fetch_or, __atomic_fetch_or) \
    OPERATION(bits, type, fetch_xor, __atomic_fetch_xor) \
    OPERATION(bits, type, fetch_nand, __atomic_fetch_nand) \
    int __tsan_atomic##bits##_compare_exchange_strong(volatile type *variable, type *expected, type value, int order, int other) \
    { (void)order, (void)other; return __atomic_compare_exchange_n(variable, expected, value, 0, ORDER, ORDER); } \
    int __tsan_atomic##bits##_compare_exchange_weak(volatile type *variable, type *expected, type value, int order, int other) \
    { (void)order, (void)other; return __atomic_compare_exchange_n(variable, expected, value, 0, ORDER, ORDER); } \
    type __tsan_atomic##bits##_compare_exchange_val(volatile type *variable, type expected, type value, int order, int other) \
    { (void)order, (void)other; __atomic_compare_exchange_n(variable, &expected, value, 0, ORDER, ORDER); return expected; }

SIZE(8, uint8_t)
SIZE(16, uint16_t)
SIZE(32, uint32_t)
SIZE(64, uint64_t)

void __tsan_atomic_thread_fence(int order) { (void)order; __atomic_thread_fence(ORDER); }
void __tsan_atomic_signal_fence(int order) { (void)order; __atomic_signal_fence(ORDER); }

/* Calls through pointers: indirect.c says what these are. */
void __sanitizer_cov_trace_pc(void) {}
void __sanitizer_cov_trace_pc_indir(uintptr_t where) { (void)where; }

#if defined(__x86_64__)
#define THUNK(name) \
    __asm__( \
        ".text\n" \
        ".globl __x86_indirect_thunk_" #name "\n" \
        ".type __x86_indirect_thunk_" #name ", @function\n" \
        "__x86_indirect_thunk_" #name ":\n" \
        "    jmp *%" #name "\n" \
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

/* What code says by itself (annotations.c). */
void __tsan_acquire(void) {}
void __tsan_release(void) {}
void __tsan_mutex_pre_lock(void) {}
void __tsan_mutex_post_lock(void) {}
void __tsan_mutex_post_unlock(void) {}
void __tsan_mutex_pre_signal(void) {}
void __tsan_mutex_post_signal(void) {}
void __tsan_mutex_pre_divert(void) {}
void __tsan_mutex_post_divert(void) {}
void __tsan_mutex_create(void) {}
void __tsan_mutex_destroy(void) {}
void AnnotateHappensBefore(void) {}
void AnnotateHappensAfter(void) {}
void AnnotateRWLockAcquired(void) {}
void AnnotateRWLockReleased(void) {}
void AnnotateRWLockCreate(void) {}
void AnnotateRWLockDestroy(void) {}
void AnnotateBenignRace(void) {}
void AnnotateBenignRaceSized(void) {}
void AnnotateNewMemory(void) {}
void AnnotateIgnoreReadsBegin(void) {}
void AnnotateIgnoreReadsEnd(void) {}
void AnnotateIgnoreWritesBegin(void) {}
void AnnotateIgnoreWritesEnd(void) {}
void AnnotateIgnoreSyncBegin(void) {}
void AnnotateIgnoreSyncEnd(void) {}
void AnnotateThreadName(void) {}
int __tsan_mutex_pre_unlock(void) { return 1; }

FTC_WIDE_ATOMICS(extern, , )

/* What test_detector.py has threads do: single steps, each from an instruction of its own.
 *
 * It is compiled without instrumentation and calls the callbacks itself, as code would that a compiler has instrumented; so it
 * is taken for an extension (it imports __tsan_init), and what it imports is replaced.  It is called by ctypes: no function of
 * the interpreter is called from here, so there is no border but those that are asked for.
 */
#include <stdint.h>
#include <unistd.h>

#define CALLBACK(name) extern void __tsan_##name(void *)
CALLBACK(read1); CALLBACK(read2); CALLBACK(read4); CALLBACK(read8); CALLBACK(read16);
CALLBACK(write1); CALLBACK(write2); CALLBACK(write4); CALLBACK(write8); CALLBACK(write16);
CALLBACK(unaligned_read2); CALLBACK(unaligned_read4); CALLBACK(unaligned_read8);
CALLBACK(unaligned_write2); CALLBACK(unaligned_write4); CALLBACK(unaligned_write8);
CALLBACK(func_entry);
extern void __tsan_init(void);
extern void __tsan_func_exit(void);
extern void __tsan_read_range(void *, unsigned long);
extern void __tsan_write_range(void *, unsigned long);
extern uint64_t __tsan_atomic64_load(const volatile uint64_t *, int);
extern void __tsan_atomic64_store(volatile uint64_t *, uint64_t, int);
extern uint64_t __tsan_atomic64_fetch_add(volatile uint64_t *, uint64_t, int);
extern int __tsan_atomic64_compare_exchange_strong(volatile uint64_t *, uint64_t *, uint64_t, int, int);
extern void __tsan_atomic_thread_fence(int);

static void __attribute__((constructor))
begin(void)
{
    __tsan_init();
}

uint64_t player_memory[4096] __attribute__((aligned(4096)));           /* pages that hold nothing else */

enum { READ, WRITE, READ_UNALIGNED, WRITE_UNALIGNED, READ_RANGE, WRITE_RANGE, LOAD, STORE, ADD, EXCHANGE, FAIL, ENTER, LEAVE, CALL_OUT };

#define SIZED(name, address, size) \
    switch (size) { \
        case 1: __tsan_##name##1(address); break; \
        case 2: __tsan_##name##2(address); break; \
        case 4: __tsan_##name##4(address); break; \
        case 8: __tsan_##name##8(address); break; \
        default: __tsan_##name##16(address); \
    }

#define UNALIGNED(name, address, size) \
    switch (size) { \
        case 2: __tsan_unaligned_##name##2(address); break; \
        case 4: __tsan_unaligned_##name##4(address); break; \
        default: __tsan_unaligned_##name##8(address); \
    }

/* One more comes after each call, so that none is the last one of its function: its return address would not be in it. */
static inline __attribute__((always_inline)) void
play(int what, unsigned char *at, int size, int order)
{
    volatile uint64_t *variable = (volatile uint64_t *)at;
    uint64_t expected = what == FAIL;                  /* all that is ever there is 0 */
    switch (what) {
        case READ: SIZED(read, at, size) break;
        case WRITE: SIZED(write, at, size) break;
        case READ_UNALIGNED: UNALIGNED(read, at, size) break;
        case WRITE_UNALIGNED: UNALIGNED(write, at, size) break;
        case READ_RANGE: __tsan_read_range(at, (unsigned long)size); break;
        case WRITE_RANGE: __tsan_write_range(at, (unsigned long)size); break;
        case LOAD: __tsan_atomic64_load(variable, order); break;
        case STORE: __tsan_atomic64_store(variable, 0, order); break;
        case ADD: __tsan_atomic64_fetch_add(variable, 0, order); break;
        case EXCHANGE: case FAIL: __tsan_atomic64_compare_exchange_strong(variable, &expected, 0, order, __ATOMIC_RELAXED); break;
        case ENTER: __tsan_func_entry((void *)getppid); break;     /* called from libc: so from outside */
        case LEAVE: __tsan_func_exit(); break;
        case CALL_OUT: getppid(); break;
    }
    __asm__ volatile("");
}

#define SITE(n) __attribute__((noinline, used)) void player_##n(int what, unsigned char *at, int size, int order) { play(what, at, size, order); }
#define SITES(n) SITE(n##0) SITE(n##1) SITE(n##2) SITE(n##3) SITE(n##4) SITE(n##5) SITE(n##6) SITE(n##7) SITE(n##8) SITE(n##9)
SITES(1) SITES(2) SITES(3) SITES(4)

/* So many borders, and nothing between them. */
__attribute__((noinline, used)) void
player_borders(int times)
{
    for (int i = 0; i < times; i++) {
        getppid();
    }
    __asm__ volatile("");
}

/* Many threads at one cell, as fast as they can: each access is in an epoch of its own, so each is noted; and all race. */
__attribute__((noinline, used)) void
player_hammer(int times, unsigned char *at, int writes, volatile uint64_t *own)
{
    for (int i = 0; i < times; i++) {
        if (writes) {
            __tsan_write8(at);
        }
        else {
            __tsan_read8(at);
        }
        __tsan_atomic64_store(own, 0, __ATOMIC_RELEASE);
    }
    __asm__ volatile("");
}

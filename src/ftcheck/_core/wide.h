/* Atomic operations on sixteen bytes, as -fsanitize=thread calls them: for _core, and for what stands in for it.
 *
 * Each is a loop of compare-and-exchange; a load is one that changes nothing. */
#ifndef FTCHECK_WIDE_H
#define FTCHECK_WIDE_H

typedef unsigned __int128 ftc_wide;

#if defined(__x86_64__)
__attribute__((target("cx16"))) static ftc_wide
exchange_if_wide(volatile ftc_wide *variable, ftc_wide expected, ftc_wide value)
{
    return __sync_val_compare_and_swap(variable, expected, value);
}
#else
static ftc_wide
exchange_if_wide(volatile ftc_wide *variable, ftc_wide expected, ftc_wide value)
{
    unsigned long low, high, next_low, next_high, failed;              /* between the two, the compiler may access no memory */
    __asm__ volatile("1:  ldaxp %0, %1, %5\n"
                     "    cmp   %0, %6\n"
                     "    ccmp  %1, %7, #0, eq\n"
                     "    csel  %2, %8, %0, eq\n"
                     "    csel  %3, %9, %1, eq\n"
                     "    stlxp %w4, %2, %3, %5\n"
                     "    cbnz  %w4, 1b\n"
                     : "=&r"(low), "=&r"(high), "=&r"(next_low), "=&r"(next_high), "=&r"(failed), "+Q"(*variable)
                     : "r"((unsigned long)expected), "r"((unsigned long)(expected >> 64)), "r"((unsigned long)value),
                       "r"((unsigned long)(value >> 64))
                     : "cc", "memory");
    return (ftc_wide)high << 64 | low;
}
#endif

#define FTC_WIDE_CHANGE(public, name, how, writes) \
    public ftc_wide __tsan_atomic128_##name(volatile ftc_wide *variable, ftc_wide value, int order); \
    ftc_wide __tsan_atomic128_##name(volatile ftc_wide *variable, ftc_wide value, int order) \
    { \
        (void)order; \
        writes \
        for (ftc_wide before = exchange_if_wide(variable, 0, 0);;) { \
            ftc_wide now = exchange_if_wide(variable, before, how); \
            if (now == before) { \
                return before; \
            } \
            before = now; \
        } \
    }

#define FTC_WIDE_EXCHANGE(public, name, writes) \
    public int __tsan_atomic128_##name(volatile ftc_wide *variable, ftc_wide *expected, ftc_wide value, int order, int otherwise); \
    int __tsan_atomic128_##name(volatile ftc_wide *variable, ftc_wide *expected, ftc_wide value, int order, int otherwise) \
    { \
        (void)order, (void)otherwise; \
        writes \
        ftc_wide wanted = *expected; \
        *expected = exchange_if_wide(variable, wanted, value); \
        return *expected == wanted; \
    }

#define FTC_WIDE_ATOMICS(public, reads, writes) \
    public ftc_wide __tsan_atomic128_load(const volatile ftc_wide *variable, int order); \
    ftc_wide __tsan_atomic128_load(const volatile ftc_wide *variable, int order) \
    { \
        (void)order; \
        reads \
        return exchange_if_wide((volatile ftc_wide *)variable, 0, 0); \
    } \
    FTC_WIDE_CHANGE(public, exchange, value, writes) \
    public void __tsan_atomic128_store(volatile ftc_wide *variable, ftc_wide value, int order); \
    void __tsan_atomic128_store(volatile ftc_wide *variable, ftc_wide value, int order) \
    { \
        __tsan_atomic128_exchange(variable, value, order); \
    } \
    FTC_WIDE_CHANGE(public, fetch_add, before + value, writes) \
    FTC_WIDE_CHANGE(public, fetch_sub, before - value, writes) \
    FTC_WIDE_CHANGE(public, fetch_and, before & value, writes) \
    FTC_WIDE_CHANGE(public, fetch_or, before | value, writes) \
    FTC_WIDE_CHANGE(public, fetch_xor, before ^ value, writes) \
    FTC_WIDE_CHANGE(public, fetch_nand, ~(before & value), writes) \
    FTC_WIDE_EXCHANGE(public, compare_exchange_strong, writes) \
    FTC_WIDE_EXCHANGE(public, compare_exchange_weak, writes) \
    public ftc_wide __tsan_atomic128_compare_exchange_val(volatile ftc_wide *, ftc_wide, ftc_wide, int, int); \
    ftc_wide __tsan_atomic128_compare_exchange_val(volatile ftc_wide *variable, ftc_wide expected, ftc_wide value, int order, int other) \
    { \
        (void)order, (void)other; \
        writes \
        return exchange_if_wide(variable, expected, value); \
    }

#endif

/* The callbacks for atomic operations.
 *
 * The operation takes place under the lock of the variable's cell, and so does what it says of the order: value and clock move
 * together.  To release is to tell the variable's clock, to acquire is to hear it (C11, 5.1.2.4); a relaxed operation does
 * neither, and takes no lock.  A load takes it where there is something to hear.  Each operation is done as the strongest there
 * is, which none of them can notice.
 *
 * Who waits for the variable within the interpreter (a PyMutex is taken in the header, but waited for in PyMutex_Lock) goes on
 * as soon as it changes, and takes no lock of ours.  So what may release is told to everybody before that.
 *
 * Two atomic accesses never race; an atomic one races with a plain one.
 */
#include "native.h"

typedef struct {
    ftc_watcher *me;
    ftc_cell *cell;                  /* which is locked; NULL: nobody watches, or there is nothing to be said of the order */
} moment;

static inline int
acquires(int order)
{
    return order == __ATOMIC_ACQUIRE || order == __ATOMIC_CONSUME || order == __ATOMIC_ACQ_REL || order == __ATOMIC_SEQ_CST;
}

static inline int
releases(int order)
{
    return order == __ATOMIC_RELEASE || order == __ATOMIC_ACQ_REL || order == __ATOMIC_SEQ_CST;
}

/* What is stored after a fence that releases is released by it (C11, 7.17.4). */
static inline int
after_fence(int order)
{
    const ftc_watcher *me = ftc_watcher_if_any();
    if (__builtin_expect(me == NULL || !me->fenced, 1)) {
        return order;
    }
    return order == __ATOMIC_RELAXED ? __ATOMIC_RELEASE
        : order == __ATOMIC_ACQUIRE || order == __ATOMIC_CONSUME ? __ATOMIC_ACQ_REL
                                                                 : order;
}

static inline int
relaxed(int order)
{
    return order == __ATOMIC_RELAXED ? FTC_RELAXED : 0;
}

/* A signal may come while the lock of a cell is held.  What its handler does then takes none. */
static inline void
hold(ftc_watcher *me, ftc_cell *cell)
{
    me->holds = 1;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    ftc_lock_cell(cell);
}

static inline void
let_go(ftc_watcher *me, ftc_cell *cell)
{
    ftc_unlock_cell(cell);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    me->holds = 0;
}

static __attribute__((noinline)) moment
begin_slowly(uintptr_t address, int size, int flags, int may_release, uintptr_t pc)
{
    ftc_watcher *me = ftc_arrive(address, (size_t)size, flags, pc);
    if (me == NULL || me->holds) {
        return (moment){NULL, NULL};
    }
    ftc_access_memory(me, address, (size_t)size, flags | FTC_ATOMIC, pc);
    ftc_cell *cell = ftc_cell_of(address);
    if (cell != NULL) {
        hold(me, cell);
    }
    if (may_release) {
        ftc_tell_all(me);
    }
    return (moment){me, cell};
}

static inline moment
begin(const volatile void *variable, int size, int flags, int order, uintptr_t pc)
{
    if (order == __ATOMIC_RELAXED) {
        ftc_access((uintptr_t)variable, (unsigned)size, flags | FTC_ATOMIC, pc);
        return (moment){NULL, NULL};
    }
    if (__atomic_load_n(&ftc_native_on, __ATOMIC_RELAXED) == FTC_RESTS) {
        return (moment){NULL, NULL};
    }
    return begin_slowly((uintptr_t)variable, size, flags, releases(order), pc);
}

static void
hear(ftc_watcher *me, const ftc_cell *cell)
{
    if (__builtin_expect(ftc_unwatched() != 0, 0)) {
        me->behind = 1;
    }
    if (cell->clock != 0) {
        ftc_hear_clock(me, cell->clock);
    }
}

static void
tell(ftc_watcher *me, ftc_cell *cell)
{
    cell->clock = cell->clock == 0 ? ftc_new_clock() : cell->clock;
    if (cell->clock != 0) {
        ftc_tell_clock(me, cell->clock);
    }
}

/* `order`: of the operation as it came out. */
static inline void
end(moment it, int order, int may_acquire, int may_release)
{
    if (it.cell == NULL) {
        return;
    }
    if (may_acquire && acquires(order)) {
        hear(it.me, it.cell);
    }
    if (may_release && releases(order)) {
        tell(it.me, it.cell);
    }
    let_go(it.me, it.cell);
}

/* A value was read.  Whoever has released it holds the lock until the clock is there. */
static inline void
acquired(const volatile void *variable, int order)
{
    ftc_watcher *me = ftc_watcher_if_any();
    if (order == __ATOMIC_RELAXED || __atomic_load_n(&ftc_native_on, __ATOMIC_RELAXED) == FTC_RESTS || me == NULL || me->muted
        || me->holds) {
        return;
    }
    if (__builtin_expect(ftc_unwatched() != 0, 0)) {
        me->behind = 1;                                /* who is not watched tells no clock */
    }
    ftc_cell *cell = ftc_cell_if_any((uintptr_t)variable);
    if (cell != NULL && (__atomic_load_n(&cell->lock, __ATOMIC_ACQUIRE) || __atomic_load_n(&cell->clock, __ATOMIC_ACQUIRE))) {
        hold(me, cell);
        hear(me, cell);
        let_go(me, cell);
    }
}

/* A PyMutex, an initialisation guard, ... that is given back, or taken, by a function that cannot be seen into. */
void
ftc_release_at(uintptr_t address)
{
    ftc_watcher *me = ftc_native_on ? ftc_watcher_me() : NULL;
    ftc_cell *cell = me == NULL ? NULL : ftc_cell_of(address);
    if (cell != NULL && !me->holds) {
        uint8_t *page = ftc_page_of(ftc_region_at(address), ftc_cell_number(address));
        ftc_tell_all(me);
        hold(me, cell);
        tell(me, cell);
        let_go(me, cell);
        __atomic_store_n(page, 1, __ATOMIC_RELAXED);
    }
}

void
ftc_acquire_at(uintptr_t address)
{
    ftc_watcher *me = ftc_native_on ? ftc_watcher_me() : NULL;
    ftc_cell *cell = me == NULL ? NULL : ftc_cell_if_any(address);
    if (cell != NULL && !me->holds) {
        hold(me, cell);
        hear(me, cell);
        let_go(me, cell);
    }
}

#define OPERATION(bits, type, name, how) \
    FTC_PUBLIC type __tsan_atomic##bits##_##name(volatile type *variable, type value, int order); \
    type __tsan_atomic##bits##_##name(volatile type *variable, type value, int order) \
    { \
        order = after_fence(order); \
        moment it = begin(variable, sizeof(type), FTC_WRITES, order, FTC_CALLER); \
        type before = how(variable, value, __ATOMIC_SEQ_CST); \
        end(it, order, 1, 1); \
        return before; \
    }

#define NOTE_BYTE(it, type, before, after) \
    if (sizeof(type) == 1 && (it).me != NULL) { \
        ftc_byte_exchanged((it).me, (uintptr_t)variable, (int)(before), (int)(after), FTC_CALLER); \
    }

#define COME_OUT(done, it, type, before, after) \
    if (done) { \
        NOTE_BYTE(it, type, before, after) \
    } \
    else if (ftc_native_exploring) { \
        ftc_native_wrote_nothing(); \
    }

#define EXCHANGE(type) \
    { \
        type before = *expected; \
        order = after_fence(order); \
        moment it = begin(variable, sizeof(type), FTC_WRITES, order, FTC_CALLER); \
        int done = __atomic_compare_exchange_n(variable, expected, value, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
        end(it, done ? order : otherwise, 1, done); \
        COME_OUT(done, it, type, before, value) \
        return done; \
    }

#define SIZE(bits, type) \
    FTC_PUBLIC type __tsan_atomic##bits##_load(const volatile type *variable, int order); \
    FTC_PUBLIC void __tsan_atomic##bits##_store(volatile type *variable, type value, int order); \
    FTC_PUBLIC int __tsan_atomic##bits##_compare_exchange_strong(volatile type *, type *, type, int, int); \
    FTC_PUBLIC int __tsan_atomic##bits##_compare_exchange_weak(volatile type *, type *, type, int, int); \
    FTC_PUBLIC type __tsan_atomic##bits##_compare_exchange_val(volatile type *, type, type, int, int); \
    type __tsan_atomic##bits##_load(const volatile type *variable, int order) \
    { \
        ftc_access((uintptr_t)variable, sizeof(type), FTC_READS | FTC_ATOMIC | relaxed(order), FTC_CALLER); \
        type value = __atomic_load_n(variable, __ATOMIC_SEQ_CST); \
        acquired(variable, order); \
        return value; \
    } \
    void __tsan_atomic##bits##_store(volatile type *variable, type value, int order) \
    { \
        order = after_fence(order); \
        moment it = begin(variable, sizeof(type), FTC_WRITES | relaxed(order), order, FTC_CALLER); \
        __atomic_store_n(variable, value, __ATOMIC_SEQ_CST); \
        end(it, order, 0, 1); \
    } \
    OPERATION(bits, type, exchange, __atomic_exchange_n) \
    OPERATION(bits, type, fetch_add, __atomic_fetch_add) \
    OPERATION(bits, type, fetch_sub, __atomic_fetch_sub) \
    OPERATION(bits, type, fetch_and, __atomic_fetch_and) \
    OPERATION(bits, type, fetch_or, __atomic_fetch_or) \
    OPERATION(bits, type, fetch_xor, __atomic_fetch_xor) \
    OPERATION(bits, type, fetch_nand, __atomic_fetch_nand) \
    int __tsan_atomic##bits##_compare_exchange_strong(volatile type *variable, type *expected, type value, int order, int otherwise) \
        EXCHANGE(type) \
    int __tsan_atomic##bits##_compare_exchange_weak(volatile type *variable, type *expected, type value, int order, int otherwise) \
        EXCHANGE(type) \
    type __tsan_atomic##bits##_compare_exchange_val(volatile type *variable, type expected, type value, int order, int otherwise) \
    { \
        order = after_fence(order); \
        moment it = begin(variable, sizeof(type), FTC_WRITES, order, FTC_CALLER); \
        int done = __atomic_compare_exchange_n(variable, &expected, value, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
        end(it, done ? order : otherwise, 1, done); \
        COME_OUT(done, it, type, expected, value) \
        return expected; \
    }

SIZE(8, uint8_t)
SIZE(16, uint16_t)
SIZE(32, uint32_t)
SIZE(64, uint64_t)

FTC_PUBLIC void __tsan_atomic_thread_fence(int order);
FTC_PUBLIC void __tsan_atomic_signal_fence(int order);

/* A fence makes relaxed operations before and after it order.  Which of those before it do is not followed: it is a border, and one
 * that acquires hears all that is over by the strict rule, too. */
void
__tsan_atomic_thread_fence(int order)
{
    if (order != __ATOMIC_RELAXED) {
        ftc_call_out(FTC_CALLER);
        if (ftc_strict && ftc_watcher_if_any() != NULL && acquires(order)) {
            ftc_hear_what_is_over(ftc_watcher_here);
        }
        if (ftc_watcher_if_any() != NULL && releases(order)) {
            ftc_watcher_here->fenced = 1;
        }
    }
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

void
__tsan_atomic_signal_fence(int Py_UNUSED(order))
{
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

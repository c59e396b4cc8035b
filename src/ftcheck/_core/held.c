/* The locks that a thread holds, for reports: which one the one side held, and the other one did not.
 *
 * To take a lock, and to give it back, are borders as any call is (native.h); what they order besides is for the strict rule.  The locks that
 * are known are those of the interpreter and of the C library, taken by calls, and PyMutex where the header takes it (atomics.c).
 * The interpreter may suspend a critical section in between; so a report says where it was begun, and no more.
 *
 * In the number of a call stack (contexts.c) a lock is two more steps, on top of it: where it was taken, and its address.
 */
#include "native.h"
#include <errno.h>
#include <string.h>
#include <threads.h>

_Thread_local int ftc_locks_held __attribute__((tls_model("initial-exec")));

static _Thread_local struct {
    ftc_lock_held all[FTC_HELD];
    unsigned watch;                  /* in which these were taken */
    int known;                       /* `node` is that of `context` with these */
    uint32_t context, node;
} here __attribute__((tls_model("initial-exec")));

static unsigned watch;

/* What was taken before is not known to be held any more. */
void
ftc_held_begin(void)
{
    __atomic_add_fetch(&watch, 1, __ATOMIC_RELAXED);
}

static void
keep_of_this_watch(void)
{
    unsigned now = __atomic_load_n(&watch, __ATOMIC_RELAXED);
    if (here.watch != now) {
        here.watch = now;
        ftc_locks_held = here.known = 0;
    }
}

void
ftc_lock_taken(const volatile void *lock, const volatile void *key, int kind, uintptr_t pc)
{
    if (kind != FTC_BYTE && kind != FTC_SECTION) {     /* those are heard of elsewhere: atomics.c, strict.c */
        ftc_strict_heard((uintptr_t)lock);
    }
    keep_of_this_watch();
    if (ftc_locks_held < FTC_HELD) {
        here.all[ftc_locks_held++] = (ftc_lock_held){(uintptr_t)lock, (uintptr_t)key, pc, kind};
        here.known = 0;
    }
    if (ftc_watcher_if_any() != NULL) {
        ftc_watcher_here->held = here.all;
        ftc_watcher_here->holding = &ftc_locks_held;
    }
}

void
ftc_lock_given_back(const volatile void *key)
{
    for (int i = ftc_locks_held; i-- > 0;) {
        if (here.all[i].key == (uintptr_t)key) {
            memmove(&here.all[i], &here.all[i + 1], (size_t)(ftc_locks_held - i - 1) * sizeof here.all[0]);
            ftc_locks_held--;
            here.known = 0;
            return;
        }
    }
}

/* An atomic exchange of one byte: of a PyMutex, if it is one, the lowest bit says that it is taken.  (Which it is, is known by the
 * name of the function that does it; races.py looks.)  Others can have taken and released it in the interpreter, which tells no
 * clock of ours: so to take it is a border. */
void
ftc_byte_exchanged(ftc_watcher *me, uintptr_t address, int before, int after, uintptr_t pc)
{
    if (after & ~before & 1) {
        me->behind = 1;
        ftc_lock_taken((const void *)address, (const void *)address, FTC_BYTE, pc);
    }
    else if (before & ~after & 1) {
        ftc_lock_given_back((const void *)address);
    }
}

/* This call stack, with the locks that are held. */
uint32_t
ftc_with_locks(uint32_t context)
{
    if (__builtin_expect(ftc_locks_held == 0, 1)) {
        return context;
    }
    keep_of_this_watch();
    if (!here.known || here.context != context) {
        here.context = here.node = context;
        for (int i = 0; i < ftc_locks_held; i++) {
            here.node = ftc_context_of(here.node, (uintptr_t)ftc_place_of(here.all[i].pc), FTC_LOCK_TAKEN - here.all[i].kind);
            here.node = ftc_context_of(here.node, here.all[i].lock, FTC_LOCK);
        }
        here.known = 1;
    }
    return here.node;
}

/* --- functions that take one, and give it back, besides those of native_locks.c ------------------- */

#define TAKES(name, wrapper, kind, lock_type, call, success, ...) \
    static int wrapper(lock_type *lock __VA_ARGS__) \
    { \
        ftc_call_out(FTC_CALLER); \
        int result = call; \
        if (result == success || result == EOWNERDEAD) { \
            ftc_lock_taken(lock, lock, kind, FTC_CALLER); \
        } \
        return result; \
    }

#define GIVES_BACK(name, wrapper, lock_type) \
    static int wrapper(lock_type *lock) \
    { \
        ftc_lock_given_back(lock); \
        ftc_strict_told((uintptr_t)lock); \
        ftc_call_out(FTC_CALLER); \
        return name(lock); \
    }

#define UNTIL , const struct timespec *when
#define BY_CLOCK , clockid_t clock, const struct timespec *when

TAKES(pthread_mutex_trylock, mutex_trylock, FTC_MUTEX, pthread_mutex_t, pthread_mutex_trylock(lock), 0)
TAKES(pthread_mutex_timedlock, mutex_timedlock, FTC_MUTEX, pthread_mutex_t, pthread_mutex_timedlock(lock, when), 0, UNTIL)
TAKES(pthread_mutex_clocklock, mutex_clocklock, FTC_MUTEX, pthread_mutex_t, pthread_mutex_clocklock(lock, clock, when), 0, BY_CLOCK)

TAKES(pthread_rwlock_tryrdlock, read_trylock, FTC_READ_LOCK, pthread_rwlock_t, pthread_rwlock_tryrdlock(lock), 0)
TAKES(pthread_rwlock_timedrdlock, read_timedlock, FTC_READ_LOCK, pthread_rwlock_t, pthread_rwlock_timedrdlock(lock, when), 0, UNTIL)
TAKES(pthread_rwlock_trywrlock, write_trylock, FTC_WRITE_LOCK, pthread_rwlock_t, pthread_rwlock_trywrlock(lock), 0)
TAKES(pthread_rwlock_timedwrlock, write_timedlock, FTC_WRITE_LOCK, pthread_rwlock_t, pthread_rwlock_timedwrlock(lock, when), 0, UNTIL)
GIVES_BACK(pthread_rwlock_unlock, rwlock_unlock, pthread_rwlock_t)

TAKES(pthread_spin_trylock, spin_trylock, FTC_SPIN_LOCK, pthread_spinlock_t, pthread_spin_trylock(lock), 0)
GIVES_BACK(pthread_spin_unlock, spin_unlock, pthread_spinlock_t)

TAKES(mtx_trylock, c_mutex_trylock, FTC_MUTEX, mtx_t, mtx_trylock(lock), thrd_success)
TAKES(mtx_timedlock, c_mutex_timedlock, FTC_MUTEX, mtx_t, mtx_timedlock(lock, when), thrd_success, UNTIL)

static int
thread_lock(PyThread_type_lock lock, int wait)
{
    ftc_call_out(FTC_CALLER);
    int taken = PyThread_acquire_lock(lock, wait);
    if (taken) {
        ftc_lock_taken(lock, lock, FTC_THREAD_LOCK, FTC_CALLER);
    }
    return taken;
}

static void
thread_unlock(PyThread_type_lock lock)
{
    ftc_lock_given_back(lock);
    ftc_strict_told((uintptr_t)lock);
    ftc_call_out(FTC_CALLER);
    PyThread_release_lock(lock);
}

static void
section_end(PyCriticalSection *section)
{
    ftc_lock_given_back(section);
    ftc_call_out(FTC_CALLER);
    PyCriticalSection_End(section);
}

static void
section2_end(PyCriticalSection2 *section)
{
    ftc_lock_given_back(section);
    ftc_lock_given_back(section);
    ftc_call_out(FTC_CALLER);
    PyCriticalSection2_End(section);
}

typedef void (*function)(void);

static const struct { const char *name; function wrapper; } wrappers[] = {
 {"pthread_mutex_trylock", (function)mutex_trylock},
    {"pthread_mutex_timedlock", (function)mutex_timedlock}, {"pthread_mutex_clocklock", (function)mutex_clocklock},

 {"pthread_rwlock_tryrdlock", (function)read_trylock},
    {"pthread_rwlock_timedrdlock", (function)read_timedlock},
    {"pthread_rwlock_trywrlock", (function)write_trylock}, {"pthread_rwlock_timedwrlock", (function)write_timedlock},
    {"pthread_rwlock_unlock", (function)rwlock_unlock},
 {"pthread_spin_trylock", (function)spin_trylock},
    {"pthread_spin_unlock", (function)spin_unlock},
 {"mtx_trylock", (function)c_mutex_trylock},
    {"mtx_timedlock", (function)c_mutex_timedlock},
    {"PyThread_acquire_lock", (function)thread_lock}, {"PyThread_release_lock", (function)thread_unlock},
    {"PyCriticalSection_End", (function)section_end},
 {"PyCriticalSection2_End", (function)section2_end},
};

void *
ftc_lock_wrapper_for(const char *name)
{
    for (size_t i = 0; i < sizeof wrappers / sizeof *wrappers; i++) {
        if (strcmp(wrappers[i].name, name) == 0) {
            return (void *)wrappers[i].wrapper;
        }
    }
    return NULL;
}

/* Lines up threads that are awake, each on a CPU of its own, to well below a microsecond.
 *
 * A plain spinning barrier releases when the last one has *arrived*; by then the first may have been taken off its CPU,
 * and on a busy machine the bodies run one after the other.  Here each thread keeps writing the time while it spins; the
 * last one to come waits until it has seen a fresh time of everyone, so that all of them are on a CPU at this moment,
 * and sets a start a few microseconds ahead, at which all of them go.  On an idle machine that is at once; on a busy one
 * it waits some milliseconds for such a moment, then starts all the same.
 *
 * Meanwhile each thread is bound to a CPU of its own: the kernel likes to put two threads that wake each other on the
 * same one, where they can never be seen together.  It is bound before it goes to sleep: a thread that wakes up behind a
 * spinning one would have to wait for its time slice (milliseconds) before it could move away.  What the thread may use
 * is given back before the body begins.
 */
#include "core.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* One cache line each: a spinning thread writes its own without disturbing the others. */
typedef struct {
    _Alignas(64) _Atomic int64_t seen;
} presence;

#define FRESH 2000                   /* nanoseconds: who wrote the time so recently is on a CPU */
#define LEAD 5000                    /* nanoseconds from the decision to the start: enough to give the CPU set back */
#define PATIENCE 5000000             /* nanoseconds to wait for the moment in which all are on a CPU */

struct ftc_spin {
    int parties;
    atomic_int arrived;
    atomic_ulong generation;
    _Atomic int64_t start_at;
    presence *present;
};

int64_t
ftc_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static inline void
relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield");
#endif
}

ftc_spin *
ftc_spin_new(int parties)
{
    ftc_spin *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return NULL;
    }
    self->parties = parties;
    self->present = aligned_alloc(_Alignof(presence), (size_t)parties * sizeof(presence));
    if (self->present == NULL) {
        ftc_spin_free(self);
        return NULL;
    }
    memset(self->present, 0, (size_t)parties * sizeof(presence));
    return self;
}

void
ftc_spin_free(ftc_spin *self)
{
    if (self != NULL) {
        free(self->present);
        free(self);
    }
}

/* Binds the calling thread to the CPU of its rank: the rank-th of those it may use, which are noted. */
void
ftc_bind(ftc_affinity *mine, int rank)
{
#ifdef __linux__
    if (mine->bound || pthread_getaffinity_np(pthread_self(), sizeof mine->before, &mine->before) != 0) {
        return;
    }
    for (int cpu = 0, seen = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &mine->before) && seen++ == rank) {
            cpu_set_t own;
            CPU_ZERO(&own);
            CPU_SET(cpu, &own);
            mine->bound = pthread_setaffinity_np(pthread_self(), sizeof own, &own) == 0;
            return;
        }
    }
#endif
}

/* Gives it back what it may use. */
void
ftc_unbind(ftc_affinity *mine)
{
#ifdef __linux__
    if (mine->bound) {
        pthread_setaffinity_np(pthread_self(), sizeof mine->before, &mine->before);
        mine->bound = 0;
    }
#endif
}

static int
all_present(ftc_spin *self, int rank, int64_t time)
{
    for (int i = 0; i < self->parties; i++) {
        if (i != rank && time - atomic_load_explicit(&self->present[i].seen, memory_order_relaxed) > FRESH) {
            return 0;
        }
    }
    return 1;
}

/* Call detached from the interpreter. */
void
ftc_spin_together(ftc_spin *self, int rank, ftc_affinity *affinity, atomic_int *broken)
{
    ftc_bind(affinity, rank);
    unsigned long mine = atomic_load(&self->generation);
    int last = atomic_fetch_add(&self->arrived, 1) + 1 == self->parties;
    int64_t began = ftc_now(), time = began;
    unsigned long turns = 1;
    while (atomic_load_explicit(&self->generation, memory_order_acquire) == mine) {
        time = ftc_now();
        atomic_store_explicit(&self->present[rank].seen, time, memory_order_relaxed);
        if (last && (all_present(self, rank, time) || time - began > PATIENCE)) {
            atomic_store(&self->start_at, time + LEAD);
            atomic_store(&self->arrived, 0);
            atomic_store(&self->generation, mine + 1);
            break;
        }
        if (turns++ % 1024 == 0) {
            if (atomic_load(broken)) {
                break;
            }
            if (time - began > 2 * PATIENCE) {      /* the last one cannot get a CPU: make room */
                sched_yield();
            }
        }
        relax();
    }
    ftc_unbind(affinity);
    int64_t start = atomic_load(&self->start_at);
    while (ftc_now() < start) {
        relax();
    }
}

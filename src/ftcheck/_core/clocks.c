/* Vector clocks over the log of a run (Fidge 1988, Mattern 1989): what has each thread heard of each other one?
 *
 * Each thread counts its operations, and knows how far it has heard of each other one.  A release tells the lock, an
 * acquisition hears it; a thread that is started hears its parent, one that has ended tells, to join it, or to see that it has, is to hear that;
 * put tells a queue, get hears it.  What else orders (containers, for candidates) its user says: see races.c.
 */
#include "sched.h"
#include <stdlib.h>
#include <string.h>

typedef struct teller {              /* a lock, a queue; for kinds other than 0 what the user of this makes of it */
    uintptr_t object, key;
    int kind;
    struct teller *next;
    long clock[FTC_MAX_WORKERS];
} teller;

#define BUCKETS 1024
static teller *tellers[BUCKETS];
static long ended[FTC_MAX_WORKERS][FTC_MAX_WORKERS];
static int no_memory;

long ftc_clocks[FTC_MAX_WORKERS][FTC_MAX_WORKERS];

static teller **
bucket(uintptr_t object)
{
    return &tellers[(size_t)(object * 0x9E3779B97F4A7C15u >> 54) % BUCKETS];
}

long *
ftc_clock_of(uintptr_t object, uintptr_t key, int kind)
{
    teller **head = bucket(object);
    for (teller *t = *head; t != NULL; t = t->next) {
        if (t->object == object && t->key == key && t->kind == kind) {
            return t->clock;
        }
    }
    teller *t = calloc(1, sizeof *t);
    if (t == NULL) {
        static long nowhere[FTC_MAX_WORKERS];
        no_memory = 1;
        return nowhere;
    }
    t->object = object, t->key = key, t->kind = kind;
    t->next = *head;
    *head = t;
    return t->clock;
}

void
ftc_hear(long *mine, const long *other)
{
    for (int i = 0; i < ftc_the.workers; i++) {
        mine[i] = mine[i] > other[i] ? mine[i] : other[i];
    }
}

/* A key that is the whole object hears all of its keys. */
void
ftc_hear_all(long *mine, uintptr_t object, uintptr_t key, int kind)
{
    for (teller *t = *bucket(object); t != NULL; t = t->next) {
        if (t->kind == kind && t->object == object && (key == FTC_WHOLE || t->key == key || t->key == FTC_WHOLE)) {
            ftc_hear(mine, t->clock);
        }
    }
}

void
ftc_clocks_begin(void)
{
    no_memory = 0;
    memset(ftc_clocks, 0, sizeof ftc_clocks);
    memset(ended, 0, sizeof ended);
}

int
ftc_clocks_end(void)
{
    for (size_t b = 0; b < BUCKETS; b++) {
        for (teller *t = tellers[b], *next; t != NULL; t = next) {
            next = t->next;
            free(t);
        }
        tellers[b] = NULL;
    }
    if (no_memory) {
        PyErr_NoMemory();
    }
    return no_memory ? -1 : 0;
}

void
ftc_clocks_take(const ftc_event *e)
{
    long *mine = ftc_clocks[e->thread];
    mine[e->thread]++;
    switch (e->op.kind) {
        case FTC_TRY:
            if (!e->op.typed) {                        /* in vain */
                break;
            }
            /* fall through */
        case FTC_ACQUIRE:
        case FTC_GET:
            ftc_hear(mine, ftc_clock_of(e->op.object, FTC_WHOLE, 0));
            break;
        case FTC_RELEASE:
        case FTC_PUT:
            ftc_hear(ftc_clock_of(e->op.object, FTC_WHOLE, 0), mine);
            break;
        case FTC_END:
            ftc_hear(ended[e->thread], mine);
            break;
        case FTC_LOOK:
            if (!e->op.typed) {                        /* it lives */
                break;
            }
            /* fall through */
        case FTC_START:
        case FTC_JOIN:
            for (int child = 0; child < ftc_the.workers && !(e->op.kind == FTC_JOIN && e->op.typed); child++) {
                if (e->op.also & FTC_BIT(child)) {
                    ftc_hear(e->op.kind == FTC_START ? ftc_clocks[child] : mine, e->op.kind == FTC_START ? mine : ended[child]);
                }
            }
            break;
        default:
            break;
    }
}

/* What all policies need: their names, chance, and picking one worker of a set. */
#include "sched.h"
#include <string.h>

static const ftc_policy *const policies[] = {
    &ftc_plan, &ftc_walk, &ftc_pct, &ftc_pos, &ftc_surw, &ftc_race, &ftc_bounded, &ftc_dpor, &ftc_follow,
};

const ftc_policy *
ftc_policy_named(const char *name)
{
    for (size_t i = 0; i < sizeof policies / sizeof *policies; i++) {
        if (strcmp(policies[i]->name, name) == 0) {
            return policies[i];
        }
    }
    return NULL;
}

/* --- chance: splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014) ---------- */

static uint64_t
random_of(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

uint64_t
ftc_random(void)
{
    return random_of(&ftc_the.random);
}

double
ftc_uniform(void)
{
    return (double)(ftc_random() >> 11) * 0x1.0p-53;
}

/* Fisher and Yates.  Outside of a run: explore/strategies/surw.py draws orders by the thousand. */
PyObject *
ftc_shuffled(PyObject *Py_UNUSED(module), PyObject *args)
{
    const char *letters;
    Py_ssize_t size;
    unsigned long long seed;
    if (!PyArg_ParseTuple(args, "y#K:shuffled", &letters, &size, &seed)) {
        return NULL;
    }
    PyObject *bytes = PyBytes_FromStringAndSize(letters, size);
    char *order = bytes == NULL ? NULL : PyBytes_AS_STRING(bytes);
    uint64_t state = seed;
    for (Py_ssize_t i = size - 1; order != NULL && i > 0; i--) {
        Py_ssize_t j = (Py_ssize_t)(random_of(&state) % (uint64_t)(i + 1));
        char here = order[i];
        order[i] = order[j], order[j] = here;
    }
    return bytes;
}

/* --- sets of workers --------------------------------------------------------------------------------------------- */

int
ftc_lowest(uint64_t set)
{
    return __builtin_ctzll(set);
}

int
ftc_pick(uint64_t set)
{
    int n = (int)(ftc_random() % (uint64_t)__builtin_popcountll(set));
    while (n-- > 0) {
        set &= set - 1;
    }
    return ftc_lowest(set);
}

int
ftc_most_urgent(uint64_t set)
{
    int best = ftc_lowest(set);
    for (; set != 0; set &= set - 1) {
        int i = ftc_lowest(set);
        if (ftc_workers[i].priority > ftc_workers[best].priority) {
            best = i;
        }
    }
    return best;
}

/* The next of them after `id`, in turn; used where `id` has asked to let others go first. */
int
ftc_after(uint64_t set, int id)
{
    uint64_t later = id == 63 ? 0 : set & (FTC_ALL << (id + 1));
    return ftc_lowest(later ? later : set);
}

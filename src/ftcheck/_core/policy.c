/* What all policies need: their names, and picking one worker of a set. */
#include "sched.h"
#include <string.h>

static const ftc_policy *const policies[] = {&ftc_plan, &ftc_walk, &ftc_pct, &ftc_pos, &ftc_surw, &ftc_tree};

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

/* PCT: Burckhardt, Kothari, Musuvathi, Nagarakatte: A randomized scheduler with probabilistic guarantees of finding bugs
 * (ASPLOS 2010).  Parameters: (d, k), the bug depth aimed at and the number of decisions of a run.
 *
 * Each thread gets a random priority; the most urgent one that can run goes on.  At d-1 decisions, drawn from 1..k, the
 * running thread becomes less urgent than all that were drawn at first.  With n threads a bug of depth d is found with a
 * probability of 1/(n k^(d-1)) at least.
 *
 * Deviations: only decisions at which a thread could go on and another one could run are counted, so k is smaller than the
 * paper's number of steps; k is the largest seen in earlier runs, not a bound (later decisions have no change point); and
 * a thread that yields, or that stays for long while others wait, becomes the least urgent of all, without which a loop
 * that waits for another thread would never end.
 */
#include "sched.h"

#define MOST 32                      /* change points */

static long at[MOST], decision;
static int points;
static double lowest;

static int
prepare(PyObject *parameters)
{
    int depth;
    long length;
    if (!PyArg_ParseTuple(parameters, "il:pct", &depth, &length)) {
        return -1;
    }
    points = depth < 1 ? 0 : depth - 1 > MOST ? MOST : depth - 1;
    for (int i = 0; i < points; i++) {
        at[i] = 1 + (long)(ftc_random() % (uint64_t)(length < 1 ? 1 : length));
    }
    decision = 0;
    lowest = 0;
    return 0;
}

static void
born(ftc_worker *who, ftc_worker *Py_UNUSED(parent))
{
    who->priority = 1 + ftc_uniform();
}

static int
choose(ftc_worker *me, uint64_t enabled, enum ftc_why why)
{
    if (why == FTC_YIELDED) {
        me->priority = lowest -= 1;
        return ftc_most_urgent(enabled & ~FTC_BIT(me->id));
    }
    if (why == FTC_FREE) {
        decision++;
        for (int i = 0; i < points; i++) {
            if (at[i] == decision) {
                me->priority = (double)(points - i) / (MOST + 2);      /* below 1; distinct; the later-numbered lower */
            }
        }
    }
    return ftc_most_urgent(enabled);
}

const ftc_policy ftc_pct = {"pct", prepare, choose, born, NULL, 0};

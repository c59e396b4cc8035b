/* Random walk: at each decision anyone who can run goes on, all equally likely.
 *
 * The parameter is the probability of a decision at all (1: the plain walk); otherwise the running thread goes on.  Below 1
 * a thread can get far ahead of the others, which the plain walk almost never lets it.
 */
#include "sched.h"

static double probability;

static int
prepare(PyObject *parameters)
{
    probability = PyFloat_AsDouble(parameters);
    return PyErr_Occurred() ? -1 : 0;
}

static int
choose(ftc_worker *me, uint64_t enabled, enum ftc_why why)
{
    if (why == FTC_FREE && probability < 1 && ftc_uniform() >= probability) {
        return me->id;
    }
    return ftc_pick(why == FTC_YIELDED ? enabled & ~FTC_BIT(me->id) : enabled);
}

const ftc_policy ftc_walk = {"walk", prepare, choose, NULL, NULL, 0};

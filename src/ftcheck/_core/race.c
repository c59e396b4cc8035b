/* Race-directed testing: Sen, Race directed random testing of concurrent programs (PLDI 2008).
 * Parameters: (code, offset, code, offset): two places in the code at which threads were seen to meet.  The code of those in an
 * extension is None.
 *
 * Whoever comes to the first place is stopped there until another thread has passed the second one.  So an order that the
 * other strategies come upon by chance is brought about on purpose, once for each pair of places and direction.
 *
 * Deviations: the paper stops at a race and then tosses a coin; here each direction has a run of its own.  Which of the
 * others runs meanwhile is drawn at random when the one that runs cannot go on; it is not stopped elsewhere.  If nobody else
 * can run, the pair cannot be had this way, and the run goes on without it.
 */
#include "sched.h"

static const PyObject *code[2];
static int offset[2];
static int done;                     /* the second place has been passed while somebody stood at the first */

static int
prepare(PyObject *parameters)
{
    PyObject *first, *second;
    if (!PyArg_ParseTuple(parameters, "OiOi:race", &first, &offset[0], &second, &offset[1])) {
        return -1;
    }
    if ((first != Py_None && !PyCode_Check(first)) || (second != Py_None && !PyCode_Check(second))) {
        PyErr_SetString(PyExc_TypeError, "places are given as code objects, or None, and offsets");
        return -1;
    }
    code[0] = first == Py_None ? NULL : first;         /* only compared; NULL: in an extension */
    code[1] = second == Py_None ? NULL : second;
    done = 0;
    return 0;
}

static int
stands_at(const ftc_worker *w, int which)
{
    return w->code == code[which] && w->offset == offset[which] && w->pending.kind != FTC_BEGIN && w->pending.kind != FTC_END;
}

static uint64_t
standing_at(uint64_t set, int which)
{
    uint64_t found = 0;
    for (; set != 0; set &= set - 1) {
        int id = ftc_lowest(set);
        found |= stands_at(&ftc_workers[id], which) ? FTC_BIT(id) : 0;
    }
    return found;
}

static int
choose(ftc_worker *me, uint64_t enabled, enum ftc_why why)
{
    uint64_t others = why == FTC_YIELDED ? enabled & ~FTC_BIT(me->id) : enabled;
    if (done) {
        return why == FTC_FREE ? me->id : ftc_pick(others);
    }
    uint64_t held = standing_at(others, 0), passing = standing_at(others, 1);
    if (held & (held - 1)) {
        passing &= held == passing ? passing & (passing - 1) : FTC_ALL;  /* the same place: one of them is to wait */
    }
    else {
        passing &= ~held;
    }
    if (held && passing) {
        return ftc_pick(passing);
    }
    uint64_t free = others & ~held;
    if (free == 0) {
        done = 1;
        return ftc_pick(others);
    }
    return why == FTC_FREE && free & FTC_BIT(me->id) ? me->id : ftc_pick(free);
}

static void
executes(ftc_worker *who)
{
    if (!done && stands_at(who, 1) && standing_at(ftc_the.live & ~FTC_BIT(who->id), 0)) {
        done = 1;
    }
}

const ftc_policy ftc_race = {"race", prepare, choose, NULL, executes, 0};

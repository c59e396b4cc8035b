/* For those who look at the operands of an instruction: ops.c, objects.c, returns.c, values.c. */
#ifndef FTCHECK_OPS_H
#define FTCHECK_OPS_H

#include "sched.h"
#include "internal/pycore_interpframe.h"
#include "internal/pycore_stackref.h"

static inline PyObject *
ftc_operand(_PyStackRef *top, int depth)               /* 1: the topmost; NULL where there is none; borrowed */
{
    _PyStackRef ref = top[-depth];
    return PyStackRef_IsNull(ref) || PyStackRef_IsTaggedInt(ref) ? NULL : PyStackRef_AsPyObjectBorrow(ref);
}

/* --- objects.c: what is about to be done to an object ----------------------------------------- */

int ftc_is_container(PyObject *object);
/* An attribute that no code in scope sets can still change where it is the object's own. */
int ftc_is_its_own(PyObject *owner, PyObject *name);
void ftc_attribute(ftc_op *op, int kind, PyObject *owner, PyObject *name);
/* obj[key], where obj is of a type whose C code does it; `shifts`: what comes after it moves, in a list. */
void ftc_item(ftc_op *op, int kind, PyObject *container, PyObject *key, int shifts);
/* The next item of an iterator: moves that, and reads what it walks. */
void ftc_next_of(ftc_op *op, PyObject *iterator);

/* --- returns.c -------------------------------------------------------------------------------- */

void ftc_keep(_PyInterpreterFrame *frame, const ftc_op *op);
void ftc_return_to(ftc_op *op, _PyInterpreterFrame *frame, PyObject *value);

#endif

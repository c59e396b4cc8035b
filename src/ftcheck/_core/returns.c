/* A function returns to code that is not in scope (functools, a C function), which may now store the result somewhere: in
 * what the code in scope has called or looked up there.  By now that instruction's operands may be gone, so what it was
 * about to do was kept, under its frame.  If the result is a container, that code may look at it.
 */
#define Py_BUILD_CORE 1
#include "ops.h"

static ftc_open *
kept_for(const _PyInterpreterFrame *frame)
{
    ftc_worker *me = ftc_my.worker;
    for (unsigned i = 0; i < FTC_OPEN; i++) {          /* the latest first: it is that one nearly always */
        ftc_open *place = &me->open[(me->opened - 1 - i) % FTC_OPEN];
        if (place->frame == frame) {
            return place;
        }
    }
    return NULL;
}

void
ftc_keep(_PyInterpreterFrame *frame, const ftc_op *op)
{
    ftc_worker *me = ftc_my.worker;
    ftc_open *place = kept_for(frame);
    if (place == NULL) {
        place = &me->open[me->opened++ % FTC_OPEN];    /* instead of the oldest */
    }
    *place = (ftc_open){frame, _PyInterpreterFrame_LASTI(frame) * 2, *op};
}

void
ftc_return_to(ftc_op *op, _PyInterpreterFrame *frame, PyObject *value)
{
    int site, arg, foreign = 0;
    for (int depth = 0; frame != NULL && depth < 6; frame = frame->previous, depth++) {
        if (frame->owner == FRAME_OWNED_BY_INTERPRETER) {
            foreign = 1;                               /* C code in between */
            continue;
        }
        int offset = _PyInterpreterFrame_LASTI(frame) * 2;
        if (!ftc_site_at((PyObject *)_PyFrame_GetCode(frame), offset, &site, &arg)) {
            foreign = 1;
            continue;
        }
        const ftc_open *kept = kept_for(frame);
        if (foreign && kept != NULL && kept->offset == offset) {
            *op = kept->op;
            op->kind = FTC_WRITE;
        }
        break;
    }
    if (foreign && frame != NULL && value != NULL && ftc_is_container(value)) {            /* which may look at it */
        int alone = op->kind == FTC_NOTHING;
        op->kind = alone ? FTC_READ : op->kind;
        *(alone ? &op->object : &op->also) = (uintptr_t)value;
        *(alone ? &op->key : &op->also_key) = FTC_WHOLE;
        op->place = alone ? (uintptr_t)Py_TYPE(value) : op->place;
    }
}

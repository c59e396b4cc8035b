/* Which threads are ours.
 *
 * A fatal-signal dump of a free-threaded interpreter shows the crashing thread only.  So every thread that runs a
 * body registers here; crash.c asks each registered thread to write its own stack before the process ends.
 * A slot is written by its own thread only; the handler of another thread reads plain words, never follows `tstate`.
 */
#include "core.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define SIGNAL_STACK_SIZE (256 * 1024)

ftc_slot ftc_slots[FTC_MAX_SLOTS];
static _Thread_local ftc_slot *my_slot;

ftc_slot *
ftc_my_slot(void)
{
    return my_slot;
}

const char *
ftc_place_name(int place)
{
    switch (place) {
        case FTC_AT_START_LINE: return "at the start line";
        case FTC_IN_BODY: return "in the body";
        case FTC_DONE: return "done with the round";
        default: return "between rounds";
    }
}

static void
give_signal_stack(ftc_slot *slot)
{
    stack_t current;
    if (sigaltstack(NULL, &current) == 0 && !(current.ss_flags & SS_DISABLE)) {
        return;                                   /* the main thread has faulthandler's */
    }
    slot->signal_stack = malloc(SIGNAL_STACK_SIZE);
    if (slot->signal_stack != NULL) {
        stack_t stack = {.ss_sp = slot->signal_stack, .ss_size = SIGNAL_STACK_SIZE};
        sigaltstack(&stack, NULL);
    }
}

static void
copy_label(char *label, const char *text)
{
    size_t length = strlen(text);
    if (length >= FTC_LABEL_SIZE) {
        length = FTC_LABEL_SIZE - 1;
        while (length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80) {
            length--;                              /* not in the middle of a character */
        }
    }
    memcpy(label, text, length);
    label[length] = '\0';
}

PyObject *
ftc_enter_thread(PyObject *Py_UNUSED(module), PyObject *label)
{
    const char *text = PyUnicode_AsUTF8(label);
    if (text == NULL) {
        return NULL;
    }
    if (my_slot != NULL) {
        PyErr_SetString(PyExc_RuntimeError, "this thread is already registered");
        return NULL;
    }
    for (int i = 0; i < FTC_MAX_SLOTS; i++) {
        ftc_slot *slot = &ftc_slots[i];
        int expected = 0;
        if (atomic_compare_exchange_strong(&slot->used, &expected, -1)) {     /* -1: being filled in */
            slot->thread = pthread_self();
            slot->tstate = PyThreadState_Get();
            slot->signal_stack = NULL;
            copy_label(slot->label, text);
            atomic_store(&slot->round, -1);
            atomic_store(&slot->place, FTC_IDLE);
            atomic_store(&slot->answered, 0);
            give_signal_stack(slot);
            my_slot = slot;
            atomic_store(&slot->used, 1);
            Py_RETURN_NONE;
        }
    }
    Py_RETURN_NONE;      /* a full table costs a stack in a crash report, never the run */
}

PyObject *
ftc_leave_thread(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    ftc_slot *slot = my_slot;
    if (slot != NULL) {
        my_slot = NULL;
        atomic_store(&slot->used, -1);
        if (slot->signal_stack != NULL) {
            stack_t none = {.ss_flags = SS_DISABLE};
            sigaltstack(&none, NULL);
            free(slot->signal_stack);
            slot->signal_stack = NULL;
        }
        atomic_store(&slot->used, 0);
    }
    Py_RETURN_NONE;
}

PyObject *
ftc_places(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    PyObject *result = PyList_New(0);
    for (int i = 0; result != NULL && i < FTC_MAX_SLOTS; i++) {
        ftc_slot *slot = &ftc_slots[i];
        if (atomic_load(&slot->used) != 1) {
            continue;
        }
        PyObject *row = Py_BuildValue("(sls)", slot->label, atomic_load(&slot->round),
                                      ftc_place_name(atomic_load(&slot->place)));
        if (row == NULL || PyList_Append(result, row) < 0) {
            Py_CLEAR(result);
        }
        Py_XDECREF(row);
    }
    return result;
}

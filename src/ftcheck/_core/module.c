/* ftcheck._core: the names Python sees.  core.h says which file does what. */
#include "core.h"

static PyMethodDef methods[] = {
    {"enter_thread", ftc_enter_thread, METH_O,
     "enter_thread(label, /)\n--\n\nRegister the calling thread under `label`, so that a crash report shows it."},
    {"leave_thread", ftc_leave_thread, METH_NOARGS,
     "leave_thread()\n--\n\nUndo enter_thread(). Call it on the same thread, before the thread ends."},
    {"places", ftc_places, METH_NOARGS,
     "places()\n--\n\n(label, round, place) of each registered thread."},
    {"watch_fatal_signals", ftc_watch_fatal_signals, METH_O,
     "watch_fatal_signals(fd, /)\n--\n\nOn SIGSEGV, SIGBUS, SIGFPE, SIGILL or SIGABRT write what every registered "
     "thread was doing to `fd`,\nthen let the signal take its course. Call before faulthandler.enable() and again after it."},
    {"dead_man", ftc_dead_man, METH_VARARGS,
     "dead_man(seconds, status, /)\n--\n\nEnd the process with this exit status, after a report, unless called again "
     "within `seconds`\n(0: never). The watching C thread's native id."},
    {"unwatch_fatal_signals", ftc_unwatch_fatal_signals, METH_NOARGS,
     "unwatch_fatal_signals()\n--\n\nPut the handlers back that were there before."},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, ftc_startline_init},
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED},
    {0, NULL},
};

static PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "ftcheck._core",
    .m_doc = "The parts of ftcheck that must be C: the start line, and the report of a fatal signal.",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit__core(void)
{
    return PyModuleDef_Init(&definition);
}

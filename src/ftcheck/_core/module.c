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
    {"before_call", ftc_before_call, METH_VARARGS,
     "before_call(function, callback, /)\n--\n\nCall `callback` with the same arguments before each call of a builtin "
     "function, however it was imported.\nWhat it raises, the caller gets instead. None: no longer."},
    {"watch_globals", ftc_watch_globals, METH_VARARGS,
     "watch_globals(dict, variable, /)\n--\n\nNote when a function, class or module in this module's dict is replaced "
     "where the context variable is not None."},
    {"unwatch_globals", ftc_unwatch_globals, METH_O,
     "unwatch_globals(dict, /)\n--\n\nUndo watch_globals()."},
    {"take_replaced", ftc_take_replaced, METH_NOARGS,
     "take_replaced()\n--\n\n(dict, name, what was there) of each replacement since the last call, the oldest first;\n"
     "(dict, name) of each name that is new."},
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
    .m_doc = "The parts of ftcheck that must be C.",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit__core(void)
{
    return PyModuleDef_Init(&definition);
}

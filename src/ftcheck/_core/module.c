/* ftcheck._core: the names Python sees.  core.h says which file does what. */
#include "core.h"
#include "native.h"
#include "sched.h"

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
    {"requires_gil", ftc_requires_gil, METH_O,
     "requires_gil(module, /)\n--\n\nWhether this module, when it is loaded, makes the interpreter turn the GIL on.\n"
     "None: this build cannot be asked."},
    {"gil_is_permanent", ftc_gil_is_permanent, METH_NOARGS,
     "gil_is_permanent()\n--\n\nWhether the GIL is on for good, and not just while a module is created."},
    {"unwatch_fatal_signals", ftc_unwatch_fatal_signals, METH_NOARGS,
     "unwatch_fatal_signals()\n--\n\nPut the handlers back that were there before."},
    {"watch_code", ftc_watch_code, METH_VARARGS,
     "watch_code(code, sites, arguments, /)\n--\n\nThe scheduling points of a code object: for each unit of two bytes what "
     "it may touch (explore/sites.py),\nand its argument as an unsigned short."},
    {"quiet_code", ftc_quiet_code, METH_O,
     "quiet_code(code, /)\n--\n\nBlocking calls within this code are no points: it starts and ends threads."},
    {"cool", ftc_cool, METH_NOARGS,
     "cool()\n--\n\nForget where accesses were seen to conflict: a new search begins."},
    {"classify", ftc_classify, METH_VARARGS,
     "classify(builtin, kind, subject, key, alone, /)\n--\n\nA call of this builtin reads (1) or writes (2) its argument number "
     "`subject`, or does nothing (0);\nwrites (6): and tells nothing of what was there. `key` is the number of the argument that "
     "names an item,\nor -1; `alone`: it does not look into the others."},
    {"begin_run", (PyCFunction)(void (*)(void))ftc_begin_run, METH_VARARGS | METH_KEYWORDS,
     "begin_run(policy, parameters, seed, limit, stay_limit, log, only_hot)\n--\n\nFrom here on the calling thread "
     "is worker 0 of a controlled run."},
    {"end_run", ftc_end_run, METH_NOARGS,
     "end_run()\n--\n\n(outcome, steps, decisions, switches, preemptions, threads, virtual nanoseconds,\nwhether anybody slept or "
     "waited with a timeout, whether a daemon thread was cut off at work, how many of them there were, and\nare there still, how "
     "often a thread blocked outside of control, and where) of the run."},
    {"switches", ftc_switches, METH_NOARGS,
     "switches()\n--\n\n(thread, step, why, to) of each switch of the last run, if its `log` asked for them."},
    {"trace", ftc_trace, METH_NOARGS,
     "trace()\n--\n\n(switches, decisions, operations, complete) of the last run, as far as its `log` asked for them."},
    {"unfinished", ftc_unfinished, METH_NOARGS,
     "unfinished()\n--\n\nWhat each thread was about to do when the last run was given up: rows like those of the log."},
    {"study", ftc_study, METH_NOARGS,
     "study()\n--\n\n(counts, taking, unordered) of the last run, which has noted its operations:\n(place, thread, times) of accesses and of "
     "what takes a lock or an item; (object, thread, code, offset, place) of the latter;\n(place, code, offset, place, code, "
     "offset) of accesses that meet and that nothing orders, once for each pair of places in the code.\nThese places are decided "
     "at in runs with `only_hot` from now on."},
    {"races", ftc_races, METH_NOARGS,
     "races()\n--\n\n(first, second, ordered, and (thread, step, code, offset, writes) of both) of operations of the last run "
     "that access one\nvariable: numbers into its log. See _core/races.c for what a variable is."},
    {"reversal", ftc_reversal, METH_VARARGS,
     "reversal(first, second, /)\n--\n\nThe order of the last run's operations with these two reversed, and nothing else "
     "that need not be:\nparameters for a run with the policy `follow`."},
    {"follow_makers", ftc_follow_makers, METH_NOARGS,
     "follow_makers()\n--\n\nFrom here on, note where locks are made in code in scope; to be called before a run's set-up."},
    {"forget_makers", ftc_forget_makers, METH_NOARGS, "forget_makers()\n--\n\nNote no more; what was noted stays."},
    {"makers", ftc_makers, METH_NOARGS,
     "makers()\n--\n\n(lock, code, offset) of what was noted: where each lock was made, as the log names it. The last one counts."},
    {"shuffled", ftc_shuffled, METH_VARARGS, "shuffled(letters, seed, /)\n--\n\nThese bytes in an order drawn from all orders."},
    {"tree_reset", ftc_tree_reset, METH_VARARGS,
     "tree_reset(bound, reduce, /)\n--\n\nBegin a systematic search with at most `bound` preemptions (-1: any number), with or "
     "without\npartial-order reduction. Its runs are those with the policy `dpor` or `bounded`; there can be one of each."},
    {"tree_advance", ftc_tree_advance, METH_NOARGS,
     "tree_advance()\n--\n\nTake the last systematic run in; whether there is another one to do. None: it went another way than its "
     "prefix says."},
    {"tree_refused", ftc_tree_refused, METH_NOARGS,
     "tree_refused()\n--\n\nWhether a larger bound would let the search do more than it has done."},
    {"tree_divergence", ftc_tree_divergence, METH_NOARGS,
     "tree_divergence()\n--\n\nWhere the last run went another way than its prefix says: (thread, kind, code, offset) of what was to\n"
     "come and of what came instead. None: it did not."},
    {"unmatched", ftc_unmatched, METH_NOARGS,
     "unmatched()\n--\n\nEntries of the last run's plan that it could not follow."},
    {"meetings", ftc_meetings, METH_NOARGS,
     "meetings()\n--\n\nFor each entry of the last run's plan (how, code, offset, step): how: 0 the thread did not come so far, 1 met,\n"
     "2 who was to go on could not, 3 there was no such decision; and where the thread was then."},
    {"places_of_switches", ftc_places_of_switches, METH_NOARGS,
     "places_of_switches()\n--\n\n(code or None, offset) for each switch of the last run: where the thread was that decided."},
    {"run_bodies", ftc_run_bodies, METH_VARARGS,
     "run_bodies(bodies, contexts, steps, /)\n--\n\nRun each callable in its context on a pooled thread, under control; what each raised,\nor None.\n"
     "`steps`: it may be a builtin, whose call is a scheduling point."},
    {"serve", ftc_serve, METH_O, "serve(number, /)\n--\n\nWhat a pooled thread does until it is sent home."},
    {"claim_place", ftc_claim_place, METH_O,
     "claim_place(thread, /)\n--\n\nA place in the pool for this thread, which is to serve() it: its number."},
    {"idle_places", ftc_idle_places, METH_NOARGS, "idle_places()\n--\n\nHow many bodies the pool could run now."},
    {"idle_threads", ftc_idle_threads, METH_NOARGS, "idle_threads()\n--\n\nThe pooled threads that have no body."},
    {"send_home", ftc_send_home, METH_NOARGS,
     "send_home()\n--\n\nLet the pooled threads end; those that do so now, to be joined. The others are in code that "
     "blocks\noutside of control, and go when they come back."},
    {"uncontrolled", ftc_uncontrolled, METH_O,
     "uncontrolled(callable, /)\n--\n\nCall it as if this thread were not under control. The others stand still meanwhile."},
    {"watch_stalls", ftc_watch_stalls, METH_O, "watch_stalls(on, /)\n--\n\nBegin or end what await_stall() waits for."},
    {"await_stall", ftc_await_stall, METH_NOARGS,
     "await_stall()\n--\n\n(token, thread ident) of a worker that seems to block outside of control; None: watching is over."},
    {"hand_on", ftc_hand_on, METH_VARARGS,
     "hand_on(token, where, code, offset, /)\n--\n\nTake the token from that worker, if it still has it and somebody else "
     "can use it; whether that was so.\n`where` says where it blocks; `code` and `offset`, from where in the code under "
     "test, if that is known."},
    {"watch_starts", ftc_watch_starts, METH_O,
     "watch_starts(callable, /)\n--\n\nIt is called with each Thread that starts under control, and says whether nobody is to "
     "wait for its end. None: all are waited for that are no daemons."},
    {"look_for_strangers", ftc_look_for_strangers, METH_O,
     "look_for_strangers(callable, /)\n--\n\nBefore a deadlock is believed in, it is called with a list of the idents of the run's "
     "threads,\nand gives a number for the set of the others, 0 if there are none. None: there are not."},
    {"take_control", ftc_take_control, METH_NOARGS,
     "take_control()\n--\n\nReplace the blocking calls; threads outside a run do not notice."},
    {"give_back", ftc_give_back, METH_NOARGS, "give_back()\n--\n\nUndo take_control()."},
#ifdef __linux__
    {"static_copy", ftc_static_copy, METH_VARARGS,
     "static_copy(address, size, /)\n--\n\nA copy of that memory. None: it is not mapped."},
    {"static_changes", ftc_static_changes, METH_VARARGS,
     "static_changes(address, copy, /)\n--\n\n[(offset, old bytes, new bytes), ...]: where memory at an address differs from a copy of it, in words of\n"
     "8 bytes; the copy becomes what is there now. None: the memory is mapped no longer."},
    {"static_layouts", ftc_static_layouts, METH_NOARGS,
     "static_layouts()\n--\n\nSizes of the structures that the interpreter keeps in a module's static memory, and where their fields are."},
#endif
#ifdef FTC_NATIVE
    {"native_begin", ftc_native_begin, METH_O,
     "native_begin(path, /)\n--\n\nTake in extensions that ftcheck-cc has compiled, those that are there and those that come. Races are\n"
     "written to this file, which outlives the process; None: to memory. It cannot be undone."},
    {"native_watch", ftc_native_watch, METH_VARARGS,
     "native_watch(rate, longest, seed, strict=False, /)\n--\n\nLook at the accesses of all threads from now on; before an access wait with this "
     "probability, for `longest` nanoseconds at most. False: there is no extension to look at."},
    {"native_explore", ftc_native_explore, METH_NOARGS,
     "native_explore()\n--\n\nThe same, where each access is a scheduling point of the run that is under way, or begins next."},
    {"native_points", ftc_native_points, METH_NOARGS, "native_points()\n--\n\nHow many of these were passed."},
    {"native_module", ftc_native_module, METH_O,
     "native_module(address, /)\n--\n\n(path, offset in it) of the extension that this address belongs to; None: it is of none."},
    {"native_stuck", ftc_native_stuck, METH_NOARGS,
     "native_stuck()\n--\n\n(thread, address of the lock, offset, for native_place(), of where it was taken) for each lock of C code\n"
     "that was held when the last run was given up."},
    {"native_place", ftc_native_place, METH_O,
     "native_place(offset, /)\n--\n\n(path, offset in it, function called) of an operation in the log that has no code; "
     "None: not of an extension."},
    {"native_rest", ftc_native_rest, METH_NOARGS, "native_rest()\n--\n\nUndo native_watch()."},
    {"native_runnable", ftc_native_runnable, METH_NOARGS,
     "native_runnable()\n--\n\nWhether another thread of this process has a CPU, or waits for nothing else."},
    {"native_tick", ftc_native_tick, METH_NOARGS,
     "native_tick()\n--\n\nWhat is over now came before what begins from now on. Threads that wait for a while do the same by themselves."},
    {"native_tell", ftc_native_tell, METH_O,
     "native_tell(address, /)\n--\n\nStrict: what this thread has done is before what those do who hear this address from now on."},
    {"native_hear", ftc_native_hear, METH_O, "native_hear(address, /)\n--\n\nStrict: what this address was told came before."},
    {"native_begins", ftc_native_begins, METH_O,
     "native_begins(address, /)\n--\n\nThe same, for a thread that begins: nothing else came before it."},
    {"native_races", ftc_native_races, METH_NOARGS,
     "native_races()\n--\n\n([path of a module, ...], [(times, address, possible, (module, offset), later, earlier), ...], dropped): the races found since native_watch().\n"
     "Both sides: (flags, ((module, offset), ...), thread, Python file, function, line); module -1: none of them."},
    {"native_races_of", ftc_native_races_of, METH_O,
     "native_races_of(path, /)\n--\n\nThe same for a process that may be gone, from the file that it was given."},
    {"native_state", ftc_native_state, METH_NOARGS,
     "native_state()\n--\n\n([(path, imports replaced), ...], races, threads not watched, modules refused, bytes of shadow memory)."},
#endif
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, ftc_startline_init},
    {Py_mod_exec, ftc_sched_init},
    {Py_mod_exec, ftc_gate_init},
    {Py_mod_exec, ftc_points_init},
    {Py_mod_exec, ftc_trace_init},
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

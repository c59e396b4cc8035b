"""The words of FT501 to FT506; what looks for them is in :mod:`~.attached`."""

from ftcheck.audit.rules.words import Rule

_HOWTO = "CPython, Doc/howto/free-threading-extensions.rst"

RULES = (
    Rule(
        "FT501",
        "relies-on-gil",
        "C",
        "a comment says that the GIL protects something",
        "On this build it does not: holding it means no more than being attached, and so are all others.",
        "A lock of its own for what the comment speaks of.",
        "/* no lock needed: we hold the GIL */",
        "PyMutex_Lock(&cache_mutex);",
        "Reads comments. Those that speak of releasing the GIL, or of builds without it, are left out.",
        f'{_HOWTO}, "Thread State and GIL APIs"',
    ),
    Rule(
        "FT502",
        "blocking-attached",
        "B",
        "the thread may block while it is attached",
        "To collect garbage the interpreter stops all attached threads, and waits for those that do not come. A "
        "thread that waits "
        "for a mutex whose owner has been stopped never comes: a deadlock. A thread that sleeps makes all others wait.",
        "PyMutex, which detaches while it waits; or Py_BEGIN_ALLOW_THREADS around what blocks.",
        "pthread_mutex_lock(&lock);\nPyDict_SetItem(dict, key, value);\npthread_mutex_unlock(&lock);",
        "PyMutex_Lock(&lock);\nPyDict_SetItem(dict, key, value);\nPyMutex_Unlock(&lock);",
        "Of mutexes only those under which the C API is called in the same function.",
        f'{_HOWTO}, "Thread State and GIL APIs"; CPython, Python/pystate.c, stop_the_world',
    ),
    Rule(
        "FT503",
        "critical-section-left",
        "A",
        "a critical section is left without its end, or is in another one",
        "The section stays on the thread's list, and points to memory of a function that has returned. In a nested "
        "one, the outer "
        "one may be given up while the inner one waits.",
        "One way out, after Py_END_CRITICAL_SECTION(); Py_BEGIN_CRITICAL_SECTION2 for two objects.",
        "Py_BEGIN_CRITICAL_SECTION(self);\nif (bad) { return NULL; }\nPy_END_CRITICAL_SECTION();",
        "Py_BEGIN_CRITICAL_SECTION(self);\nresult = bad ? NULL : work(self);\nPy_END_CRITICAL_SECTION();\nreturn result;",
        "Nesting is a note (tier C). That a macro returns is not seen.",
        "CPython, Include/cpython/critical_section.h and Python/critical_section.c",
    ),
    Rule(
        "FT504",
        "capi-detached",
        "A",
        "the C API is called while the thread is detached",
        "Nearly all of it needs an attached thread. On this build the collector may run at the same time, because "
        "it does not wait "
        "for detached threads.",
        "Before Py_BEGIN_ALLOW_THREADS, after Py_END_ALLOW_THREADS, or between Py_BLOCK_THREADS and Py_UNBLOCK_THREADS.",
        "Py_BEGIN_ALLOW_THREADS\nif (failed) { PyErr_NoMemory(); }\nPy_END_ALLOW_THREADS",
        "Py_BEGIN_ALLOW_THREADS\n...\nPy_END_ALLOW_THREADS\nif (failed) { PyErr_NoMemory(); }",
        "In the text of one function. Macros that only read a field are left out.",
        f'{_HOWTO}, "Thread State and GIL APIs"',
    ),
    Rule(
        "FT505",
        "kept-thread-state",
        "B",
        "a thread state is kept in a static variable, or the interpreter's own state is used",
        "A thread state belongs to one thread. One variable for all of them gives a thread another one's state.",
        "PyThreadState_Get, PyGILState_Ensure; a local variable.",
        "static PyThreadState *saved;\nsaved = PyEval_SaveThread();",
        "PyThreadState *saved = PyEval_SaveThread();",
        "Interpreter states count as well.",
        "CPython, Doc/c-api/init.rst",
    ),
    Rule(
        "FT506",
        "frame-of-another-thread",
        "B",
        "frames of other threads are looked at while they run",
        "A frame that runs changes at every moment: reading its locals while another thread runs it is not supported.",
        "faulthandler.dump_traceback for output; the remote debugging interface of 3.14.",
        "for thread, frame in sys._current_frames().items():\n    frame.f_locals",
        "faulthandler.dump_traceback(all_threads=True)",
        "Every use is reported, whatever is done with it.",
        'CPython, Doc/howto/free-threading-python.rst, "Frame objects"',
        ("C", "Python"),
    ),
)

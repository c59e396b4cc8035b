"""The words of FT301 to FT306 and FT310; what looks for them is in :mod:`~.statics`."""

from ftcheck.audit.rules.words import Rule

_HOWTO = "CPython, Doc/howto/isolating-extensions.rst; Doc/howto/free-threading-extensions.rst"

RULES = (
    Rule(
        "FT301",
        "static-written",
        "B",
        "a static variable is written outside module initialisation without a lock",
        "All threads have the same variable. Two writes, or a write and a read, at the same time are a data race: "
        "updates are "
        "lost, and in C anything may happen.",
        "An atomic (_Atomic, std::atomic), a PyMutex around every use, _Thread_local, or module state with a lock.",
        "static long hits;\nhits++;",
        "static _Atomic long hits;\nhits++;",
        "What is written through a pointer that was handed out is not seen. Any lock that is held counts.",
        _HOWTO,
    ),
    Rule(
        "FT302",
        "lazy-init",
        "A",
        "something static is made when it is first asked for, without a lock",
        "Two threads both find it unset, and both make it: one of the two is lost, or used by one thread only. And "
        "a thread may "
        "see the pointer before what it points to.",
        "Make it when the module is initialised; or std::call_once, pthread_once, a PyMutex around check and creation.",
        "if (cache == NULL) {\n    cache = make();\n}",
        "PyMutex_Lock(&mutex);\nif (cache == NULL) {\n    cache = make();\n}\nPyMutex_Unlock(&mutex);",
        "A check without the lock before one with it is FT310. Flags that only switch something on look the same.",
        "CPython, Doc/howto/free-threading-extensions.rst; cffi pull request 178 for an example",
    ),
    Rule(
        "FT303",
        "static-buffer",
        "A",
        "a static array is used as a buffer",
        "Two calls at the same time write into the same memory, and each gets parts of the other's text.",
        "A local array, a buffer of the caller's, or _Thread_local.",
        "static char text[64];\nsnprintf(text, sizeof text, ...);\nreturn text;",
        "char text[64];\nsnprintf(text, sizeof text, ...);",
        "Reported once for each array and function.",
        "POSIX.1-2017, 2.9.1, for the same flaw in libraries",
    ),
    Rule(
        "FT304",
        "static-object",
        "C",
        "a static variable holds a Python object",
        "It is one for all interpreters of the process. Written once, at import, it does no harm within one of them.",
        "Module state (PyModule_GetState).",
        "static PyObject *Error;",
        "typedef struct { PyObject *Error; } State;",
        "An inventory, not a flaw by itself.",
        _HOWTO,
    ),
    Rule(
        "FT305",
        "static-type",
        "C",
        "a type is static, or the dict of a type is changed",
        "A static type is one for all interpreters; what is stored in its dict behind the interpreter's back leaves "
        "stale entries "
        "in type caches that other threads read.",
        "PyType_FromModuleAndSpec; PyObject_SetAttr on the type.",
        "static PyTypeObject Point_Type = { ... };",
        "PyType_FromModuleAndSpec(module, &point_spec, NULL)",
        "An inventory of static types. Changes at import are left out.",
        "PEP 573, PEP 630",
    ),
    Rule(
        "FT306",
        "free-list",
        "B",
        "a free list or an arena of the extension's own is used without a lock",
        "Two threads take the same block off the list, and use the same memory.",
        "A PyMutex around taking and giving back, a list for each thread, or none: PyMem_Malloc is quick on this build.",
        "node = free_list;\nfree_list = node->next;",
        "PyMutex_Lock(&mutex);\nnode = free_list;\nfree_list = node->next;\nPyMutex_Unlock(&mutex);",
        "Goes by the name of the variable: free_list, numfree, arena, pool and the like. Others are FT301.",
        "CPython, Objects/obmalloc.c and Include/internal/pycore_freelist.h, whose own lists are for each thread",
    ),
    Rule(
        "FT310",
        "lock-discipline",
        "B",
        "a static variable is read without the lock under which it is written",
        "The reader sees values in the middle of a change, or old ones. In C that is a data race as much as two writes are.",
        "The same lock around the read; or an atomic.",
        "PyMutex_Lock(&mutex); total += n; PyMutex_Unlock(&mutex);\n...\nreturn PyLong_FromLong(total);",
        "PyMutex_Lock(&mutex); long now = total; PyMutex_Unlock(&mutex);\nreturn PyLong_FromLong(now);",
        "Only variables all of whose writes after import are locked. Reported once for each variable and function.",
        "C11, 5.1.2.4",
    ),
)

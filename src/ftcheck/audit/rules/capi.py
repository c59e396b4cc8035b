"""Facts about the C API that the rules go by.

Sources: CPython, ``Doc/howto/free-threading-extensions.rst`` ("Borrowed References"), ``Doc/data/refcounts.dat`` and
``Doc/data/threadsafety.dat`` (levels: incompatible, compatible, distinct, shared, atomic), as of 3.14 and 3.15. A
function that is *compatible* may be called by several threads as long as they do not share the object.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Borrowed:
    """A function that gives a borrowed reference.

    :param container: which argument the reference is borrowed from; None: something of the interpreter's.
    :param instead: what to call.
    """

    container: int | None
    instead: str


BORROWED: dict[str, Borrowed] = {
    "PyList_GetItem": Borrowed(0, "PyList_GetItemRef"),
    "PyList_GET_ITEM": Borrowed(0, "PyList_GetItemRef"),
    "PyDict_GetItem": Borrowed(0, "PyDict_GetItemRef"),
    "PyDict_GetItemWithError": Borrowed(0, "PyDict_GetItemRef"),
    "PyDict_GetItemString": Borrowed(0, "PyDict_GetItemStringRef"),
    "_PyDict_GetItem_KnownHash": Borrowed(0, "PyDict_GetItemRef"),
    "_PyDict_GetItemStringWithError": Borrowed(0, "PyDict_GetItemStringRef"),
    "_PyDict_GetItemIdWithError": Borrowed(0, "PyDict_GetItemRef"),
    "_PyDict_GetItemId": Borrowed(0, "PyDict_GetItemRef"),
    "PyDict_SetDefault": Borrowed(0, "PyDict_SetDefaultRef"),
    "PyWeakref_GetObject": Borrowed(0, "PyWeakref_GetRef"),
    "PyWeakref_GET_OBJECT": Borrowed(0, "PyWeakref_GetRef"),
    "PyCell_GET": Borrowed(0, "PyCell_Get"),
    "PyODict_GetItem": Borrowed(0, "PyObject_GetItem"),
    "PyODict_GetItemWithError": Borrowed(0, "PyObject_GetItem"),
    "PyImport_AddModule": Borrowed(None, "PyImport_AddModuleRef"),
    "PyImport_AddModuleObject": Borrowed(None, "PyImport_AddModuleRef"),
    "PyEval_GetLocals": Borrowed(None, "PyEval_GetFrameLocals"),
    "PyEval_GetGlobals": Borrowed(None, "PyEval_GetFrameGlobals"),
    "PyEval_GetBuiltins": Borrowed(None, "PyEval_GetFrameBuiltins"),
    "PySys_GetObject": Borrowed(None, "PySys_GetAttr (3.15; pythoncapi-compat before)"),
}
"""Functions that lend what the container of a list, dict, cell or weak reference can lose at any time."""

OBJECT_DOMAIN = frozenset(("PyObject_Malloc", "PyObject_Calloc", "PyObject_Realloc", "PyObject_MALLOC", "PyObject_REALLOC"))
ALLOCATES: dict[str, str] = {
    **dict.fromkeys(OBJECT_DOMAIN, "object"),
    **dict.fromkeys(("PyMem_Malloc", "PyMem_Calloc", "PyMem_Realloc", "PyMem_MALLOC", "PyMem_REALLOC", "PyMem_New",
    "PyMem_NEW",
                     "PyMem_Resize", "PyMem_RESIZE"), "mem"),
    **dict.fromkeys(("PyMem_RawMalloc", "PyMem_RawCalloc", "PyMem_RawRealloc"), "raw"),
    **dict.fromkeys(("malloc", "calloc", "realloc", "strdup", "strndup"), "libc"),
}  # fmt: skip
"""Functions that allocate memory, and the domain that it is of."""
FREES: dict[str, str] = {
    **dict.fromkeys(("PyObject_Free", "PyObject_FREE", "PyObject_Realloc", "PyObject_REALLOC"), "object"),
    **dict.fromkeys(("PyMem_Free", "PyMem_FREE", "PyMem_Del", "PyMem_DEL", "PyMem_Realloc", "PyMem_REALLOC"), "mem"),
    **dict.fromkeys(("PyMem_RawFree", "PyMem_RawRealloc"), "raw"),
    **dict.fromkeys(("free", "realloc"), "libc"),
}  # fmt: skip
"""Functions that free memory, and the domain that it has to be of."""

FIELDS: dict[str, str] = {
    "ob_item": "PyList_GetItemRef, PyTuple_GetItem",
    "ob_size": "Py_SIZE, Py_SET_SIZE",
    "ma_used": "PyDict_GET_SIZE",
    "ma_keys": "PyDict_Next in a critical section",
    "ma_values": "PyDict_Next in a critical section",
    "ma_version_tag": "PyDict_AddWatcher",
    "ob_refcnt": "Py_REFCNT, or PyUnstable_Object_IsUniquelyReferenced",
    "ob_ref_local": "Py_REFCNT, or PyUnstable_Object_IsUniquelyReferenced",
    "ob_ref_shared": "Py_REFCNT, or PyUnstable_Object_IsUniquelyReferenced",
    "wr_object": "PyWeakref_GetRef",
    "ob_alloc": "PyByteArray_Size",
    "tp_version_tag": "PyUnstable_Type_AssignVersionTag",
}
"""Fields of the interpreter's own objects that move or change without a lock, and what to use instead."""

LIBC: dict[str, tuple[str, str]] = {
    "strtok": ("B", "strtok_r"),
    "localtime": ("B", "localtime_r"),
    "gmtime": ("B", "gmtime_r"),
    "ctime": ("B", "ctime_r, strftime"),
    "asctime": ("B", "asctime_r, strftime"),
    "setlocale": ("B", "uselocale"),
    "localeconv": ("B", "nl_langinfo_l with uselocale"),
    "getenv": ("C", "read it once, at import"),
    "setenv": ("B", "nothing: no thread may read the environment meanwhile"),
    "unsetenv": ("B", "nothing: no thread may read the environment meanwhile"),
    "putenv": ("B", "nothing: no thread may read the environment meanwhile"),
    "rand": ("C", "a generator of your own for each thread (glibc's takes a lock, others need not)"),
    "srand": ("C", "a generator of your own for each thread"),
    "random": ("C", "random_r, or a generator of your own for each thread"),
    "drand48": ("B", "drand48_r"),
    "lrand48": ("B", "lrand48_r"),
    "gethostbyname": ("B", "getaddrinfo"),
    "gethostbyaddr": ("B", "getnameinfo"),
    "getpwnam": ("B", "getpwnam_r"),
    "getpwuid": ("B", "getpwuid_r"),
    "getpwent": ("B", "getpwent_r"),
    "getgrnam": ("B", "getgrnam_r"),
    "getgrgid": ("B", "getgrgid_r"),
    "getgrent": ("B", "getgrent_r"),
    "getservbyname": ("B", "getaddrinfo"),
    "getprotobyname": ("B", "getprotobyname_r"),
    "inet_ntoa": ("B", "inet_ntop"),
    "ttyname": ("B", "ttyname_r"),
    "tmpnam": ("B", "mkstemp"),
    "strerror": ("C", "strerror_r (glibc's own is thread-safe since 2.32, others are not)"),
    "strsignal": ("C", "sigdescr_np"),
    "nl_langinfo": ("C", "nl_langinfo_l"),
    "lgamma": ("B", "lgamma_r (the sign is a global variable)"),
    "crypt": ("B", "crypt_r"),
    "getopt": ("B", "a parser without global state"),
    "getopt_long": ("B", "a parser without global state"),
    "mblen": ("B", "mbrlen"),
    "mbtowc": ("B", "mbrtowc"),
    "wctomb": ("B", "wcrtomb"),
    "ecvt": ("B", "snprintf"),
    "fcvt": ("B", "snprintf"),
    "dlerror": ("C", "nothing: on glibc it is one for each thread, elsewhere it may not be"),
    "readdir": ("C", "a DIR of its own for each thread"),
}
"""Functions of the C library that return or change what all threads share (POSIX.1-2017, 2.9.1), and what to call
instead."""

LIBRARIES: dict[str, tuple[str, str]] = {
    r"fftwf?l?_(plan_\w+|destroy_plan|import_\w+|export_\w+|forget_wisdom|cleanup)": (
        "FFTW", "only fftw_execute is thread-safe: one lock around the planner, or fftw_make_planner_thread_safe"),
    r"H5[A-Z]{1,2}[a-z]\w*": ("HDF5", "a build without --enable-threadsafe needs one lock around every call"),
    r"readline|rl_\w+|add_history": ("GNU readline", "its state is global: call it from one thread, or lock"),
    r"yylex|yyparse": ("a parser made by lex or yacc", "its state is global unless it is reentrant: %option "
        "reentrant, %define api.pure"),
}  # fmt: skip
"""Functions of libraries that are known not to be thread-safe, as their own manuals say."""

PROCESS = frozenset((
    "chdir", "fchdir", "umask", "signal", "sigaction", "alarm", "setitimer", "setuid", "setgid", "seteuid", "setegid",
    "setpriority", "nice", "chroot", "tzset", "sigprocmask", "_chdir", "SetCurrentDirectoryA", "SetCurrentDirectoryW",
))  # fmt: skip
"""Functions that change what belongs to the whole process."""

BLOCKS = frozenset((
    "sleep", "usleep", "nanosleep", "select", "poll", "epoll_wait", "accept", "connect", "recv", "recvfrom",
    "recvmsg", "send", "sendto", "waitpid", "wait4", "system", "popen", "flock", "lockf", "pthread_join",
    "getaddrinfo", "tcdrain", "msgrcv",
))  # fmt: skip
"""Functions that can block for long."""

"""Names of functions whose import says something about threads.

An import says that a function is called from somewhere in the file, not where, nor whether threads can meet there. So these
are prompts to look, listed with a module, and no verdict rests on them.
"""

from __future__ import annotations


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


MT_UNSAFE_LIBC = _names("""
asctime crypt ctime drand48 ecvt erand48 fcvt fgetgrent fgetpwent gcvt getdate getgrent getgrgid getgrnam
gethostbyaddr gethostbyname gethostent getlogin getmntent getnetbyaddr getnetbyname getnetent getopt getopt_long
getprotobyname getprotobynumber getpwent getpwnam getpwuid getservbyname getservbyport gmtime hcreate hdestroy hsearch
inet_ntoa jrand48 lcong48 lgamma lgammaf lgammal localeconv localtime lrand48 mblen mbtowc mrand48 nrand48 ptsname
putenv rand random readdir readdir64 seed48 setenv setlocale srand srand48 srandom strerror strsignal strtok tmpnam
ttyname unsetenv wcstombs wctomb
""")
"""Functions of the C library that are marked MT-Unsafe, or are safe only while no other thread changes the same thing (the
sections "ATTRIBUTES" of their pages in Linux man-pages, and "POSIX Safety Concepts" of the GNU C Library's manual).
``strerror`` is safe in glibc since 2.32 and ``rand`` takes a lock there, but a sequence shared between threads is none that
can be repeated; other C libraries differ. ``getenv`` is left out: it is safe while nobody calls ``setenv``."""

BORROWED = _names("""
PyList_GetItem PyDict_GetItem PyDict_GetItemWithError PyDict_GetItemString PyDict_SetDefault PyDict_Next
PyWeakref_GetObject PyImport_AddModule PySequence_Fast PyEval_GetLocals PyEval_GetGlobals PySys_GetObject
_PyDict_GetItem_KnownHash _PyBytes_Resize
""")
"""Functions of the C API that give a borrowed reference to what another thread may drop, or walk through a container without
its lock (Python documentation, "C API Extension Support for Free Threading")."""

CYTHON_OWN = frozenset({"PyDict_Next", "PyDict_SetDefault", "PyDict_GetItemWithError", "_PyDict_GetItem_KnownHash",
                        "PyList_GetItem", "PyImport_AddModule"})  # fmt: skip
"""Of these, what the code that Cython adds to each module imports: it says nothing about the module's own."""

STRONG = _names("""
PyList_GetItemRef PyDict_GetItemRef PyDict_GetItemStringRef PyDict_SetDefaultRef PyWeakref_GetRef
PyImport_AddModuleRef PyDict_Pop PyDict_PopString PyEval_GetFrameLocals PyEval_GetFrameGlobals
PyUnstable_Object_IsUniquelyReferenced
""")
"""What replaces them: a sign that somebody has gone through the code."""

UNSAFE_LIBRARIES = {
    "libhdf5": "HDF5, unless built thread-safe",
    "libfftw3": "FFTW's planner",
    "libreadline": "readline",
    "libncurses": "curses",
    "libtcl": "Tcl, whose interpreters belong to one thread each",
    "libtk": "Tk, whose interpreters belong to one thread each",
    "libproj": "PROJ, whose contexts belong to one thread each",
    "libnetcdf": "netCDF",
    "libsqlite3": "SQLite, if built for a single thread",
}
"""Beginnings of the names of libraries that threads cannot all use at once without care, and what it is about."""

"""Whether a shared object locks anything, as far as its symbols say.

A lock that is taken by a call of another library's function is an import, which no stripping removes. What the compiler
has put in place is not: atomic operations, spin locks made of them, the locks of Rust (which call the kernel themselves).
So "no lock" is only ever "none that can be seen".
"""

from __future__ import annotations

import re

from ftcheck.elf import Elf
from ftcheck.static_state import Locking

_LOCKS = (
    ("PyMutex", r"PyMutex_Lock|PyMutex_LockTimed"),
    ("critical sections", r"PyCriticalSection2?_Begin(Mutex)?"),
    ("PyThread locks", r"PyThread_acquire_lock(_timed)?"),
    ("pthread mutexes", r"(__)?pthread_mutex_(lock|trylock|timedlock|clocklock)"),
    ("pthread read-write locks", r"(__)?pthread_rwlock_(try|timed|clock)?(rd|wr)lock"),
    ("pthread spin locks", r"pthread_spin_(try)?lock"),
    ("C11 mutexes", r"mtx_(try|timed)?lock"),
    ("semaphores", r"sem_(wait|trywait|timedwait|clockwait)"),
    ("OpenMP locks", r"GOMP_critical(_name)?_start|GOMP_atomic_start|__kmpc_critical(_with_hint)?|omp_set(_nest)?_lock"),
    ("TBB locks", r".*(3tbb|tbb).*mutex.*(acquire|lock).*"),
    ("absl locks", r".*absl.*5Mutex4Lock.*|.*absl.*5Mutex4lock.*"),
    ("libatomic, which locks", r"__atomic_(load|store|exchange|compare_exchange|fetch_\w+)(_\d+)?"),
)
_MAY = ("PyMutex_Lock", "PyCriticalSection", "PyThread_acquire_lock", "pthread_", "mtx_", "sem_", "GOMP_", "kmpc_critical",
        "omp_set_", "mutex", "5Mutex4", "__atomic_", "call_once", "once_", "__cxa_guard_acquire")  # fmt: skip
"""One of these is in every name that a pattern fits, and they are as rare as can be in others, of which large libraries
define a hundred thousand: a plain search for them takes a hundredth of the time that the patterns would take."""
_RUST = ("rust_eh_personality", "__rust_")
_ONCE = (
    ("pthread_once", r"(__)?pthread_once"),
    ("call_once", r"call_once|_ZSt9call_once.*|__once_proxy|_ZNSt9once_flag.*"),
    ("C++ guards of local statics", r"__cxa_guard_acquire"),
)


def of(file: Elf) -> Locking:
    """What the symbols of this shared object say: those that it imports, and the functions that it defines.

    (One that is linked statically, such as a mutex of another library, is there only where it is not stripped.)
    """
    names = {name for name in file.imports if any(part in name for part in _MAY)} | file.functions_with(_MAY)
    return Locking(
        tuple(kind for kind, pattern in _LOCKS if any(map(re.compile(pattern).fullmatch, names))),
        tuple(kind for kind, pattern in _ONCE if any(map(re.compile(pattern).fullmatch, names))),
        "it is written in Rust, whose own locks cannot be seen" if _is_rust(file) else "",
    )


def _is_rust(file: Elf) -> bool:
    return "rustc" in file.comment or any(name.startswith(_RUST) for name in file.functions_with(_RUST))

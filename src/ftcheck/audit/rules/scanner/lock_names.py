"""What functions and macros do with locks, and with being attached, by their names."""

from __future__ import annotations

import re
from typing import Literal

RETURNS = frozenset(("Py_RETURN_NONE", "Py_RETURN_TRUE", "Py_RETURN_FALSE", "Py_RETURN_NOTIMPLEMENTED", "Py_RETURN_NAN",
                     "Py_RETURN_INF", "Py_RETURN_RICHCOMPARE"))  # fmt: skip
"""Macros that return."""
type Kind = Literal["critical section", "PyMutex", "lock"]
type Effect = tuple[Literal["take", "give"], Kind, bool]
"""What a name does with a lock; whether others can have it at the same time (readers)."""

_BEGIN_SECTION = re.compile(r"\w*BEGIN_CRITICAL_SECTION\w*|PyCriticalSection2?_Begin\w*")
_END_SECTION = re.compile(r"\w*END_CRITICAL_SECTION\w*|PyCriticalSection2?_End")
_TAKE = re.compile(
    r"PyThread_acquire_lock(_timed)?|pthread_mutex_(try|timed|clock)?lock|pthread_rwlock_(try|timed)?wrlock|"
    r"pthread_spin_(try)?lock|mtx_(try|timed)?lock|AcquireSRWLockExclusive|EnterCriticalSection|sem_(try|timed)?wait|"
    r"_?PyRWMutex_Lock|npy_pymutex_lock|WaitForSingleObject"
)
_GIVE = re.compile(
    r"PyThread_release_lock|pthread_mutex_unlock|pthread_rwlock_unlock|pthread_spin_unlock|mtx_unlock|"
    r"ReleaseSRWLock(Exclusive|Shared)|LeaveCriticalSection|sem_post|_?PyRWMutex_R?Unlock|ReleaseMutex"
)
_TAKE_SHARED = re.compile(r"pthread_rwlock_(try|timed)?rdlock|AcquireSRWLockShared|_?PyRWMutex_RLock")
GUARD = re.compile(
    r"lock_guard|unique_lock|scoped_lock|ft_lock_guard|ft_object_guard|ft_object2_guard|scoped_critical_section|"
    r"scoped_ft_lock\w*|QMutexLocker|\w*MutexLock(er)?|\w*Lock_?[gG]uard\w*|\w*[sS]copedLock\w*|PyCriticalSectionGuard\w*"
)
GUARD_SHARED = re.compile(r"shared_lock|ReaderMutexLock|QReadLocker")
SPIN = re.compile(
    r"atomic_flag_test_and_set\w*|test_and_set|__sync_lock_test_and_set|\w*[eE]xchange\w*|\w*compare_and_(swap|set)\w*"
)
SPIN_GIVE = re.compile(
    r"atomic_flag_clear\w*|__sync_lock_release|atomic_store\w*|clear|store|\w*_[Ss]tore_\w*|__atomic_store_n"
)
DETACH = re.compile(r"(Py|\w+)_BEGIN_(ALLOW_)?THREADS|PyEval_SaveThread|Py_UNBLOCK_THREADS")
ATTACH = re.compile(r"(Py|\w+)_END_(ALLOW_)?THREADS|PyEval_RestoreThread|Py_BLOCK_THREADS|PyGILState_Ensure")
DETACHED_GUARD = frozenset(("gil_scoped_release",))


def direct(name: str) -> Effect | None:
    """What a name does with a lock by itself."""
    if _BEGIN_SECTION.fullmatch(name):
        return ("take", "critical section", False)
    if _END_SECTION.fullmatch(name):
        return ("give", "critical section", False)
    if name in ("PyMutex_Lock", "PyMutex_LockTimed"):
        return ("take", "PyMutex", False)
    if name == "PyMutex_Unlock":
        return ("give", "PyMutex", False)
    if _TAKE.fullmatch(name):
        return ("take", "lock", False)
    if _TAKE_SHARED.fullmatch(name):
        return ("take", "lock", True)
    return ("give", "lock", False) if _GIVE.fullmatch(name) else None


def spin(name: str) -> Effect | None:
    """The two halves of a spin lock, where a function is nothing else."""
    if re.fullmatch(r"atomic_flag_test_and_set\w*|__sync_lock_test_and_set|test_and_set", name):
        return ("take", "lock", False)
    return ("give", "lock", False) if re.fullmatch(r"atomic_flag_clear\w*|__sync_lock_release", name) else None

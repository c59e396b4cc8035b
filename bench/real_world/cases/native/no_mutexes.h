/* A mutation: to lock and unlock a PyMutex is nothing. Given with -include; the sources stay as they are. */
#ifndef PY_SSIZE_T_CLEAN
#define PY_SSIZE_T_CLEAN
#endif
#include <Python.h>
#undef PyMutex_Lock
#undef PyMutex_Unlock
#define PyMutex_Lock(mutex) ((void)(mutex))
#define PyMutex_Unlock(mutex) ((void)(mutex))

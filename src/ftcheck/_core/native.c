/* Watching extensions, as Python sees it. */
#include "native.h"
#include <dlfcn.h>

/* native_begin(path): extensions that come from now on are taken in, and those that are there.  Not undone. */
PyObject *
ftc_native_begin(PyObject *Py_UNUSED(module), PyObject *path)
{
    PyObject *bytes = NULL;
    if (ftc_native_begun) {
        Py_RETURN_NONE;
    }
    if (path != Py_None && !PyUnicode_FSConverter(path, &bytes)) {
        return NULL;
    }
    Dl_info here;
    int failed = ftc_watchers_init() < 0 || ftc_shadow_init() < 0
        || ftc_found_init(bytes == NULL ? NULL : PyBytes_AS_STRING(bytes)) < 0;
    Py_XDECREF(bytes);
    if (failed) {
        return PyErr_SetFromErrnoWithFilenameObject(PyExc_OSError, path);
    }
    /* What is loaded later finds our functions before those that stand in for them. */
    if (!dladdr((void *)ftc_native_begin, &here) || dlopen(here.dli_fname, RTLD_NOLOAD | RTLD_NOW | RTLD_GLOBAL) == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "ftcheck._core cannot be made visible to extensions");
        return NULL;
    }
    ftc_native_begun = 1;
    ftc_find_modules();
    Py_RETURN_NONE;
}

void
ftc_native_begin_watching(int also)
{
    ftc_new_generation();
    ftc_found_begin();
    ftc_held_begin();
    ftc_watchers_begin();
    __atomic_store_n(&ftc_native_on, FTC_WATCHES | also, __ATOMIC_SEQ_CST);
}

PyObject *
ftc_native_watch(PyObject *Py_UNUSED(module), PyObject *args)
{
    double rate;
    long longest;
    unsigned long long seed;
    int strict = 0;
    if (!PyArg_ParseTuple(args, "dlK|p:native_watch", &rate, &longest, &seed, &strict)) {
        return NULL;
    }
    if (ftc_native_begun) {
        ftc_find_modules();
    }
    if (ftc_module_count == 0) {
        Py_RETURN_FALSE;
    }
    if (strict && ftc_watch_handovers(1) < 0) {
        return NULL;
    }
    ftc_strict = strict;
    ftc_set_delays(rate, longest < 1 ? 1 : longest, seed);
    ftc_native_begin_watching((rate > 0 ? FTC_DELAYS : 0) | (strict ? FTC_STRICTLY : 0));
    Py_RETURN_TRUE;
}

PyObject *
ftc_native_rest(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    __atomic_store_n(&ftc_native_on, FTC_RESTS, __ATOMIC_SEQ_CST);
    ftc_nobody_is_quick();
    ftc_native_exploring = ftc_strict = 0;
    if (ftc_watch_handovers(0) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* native_runnable(): what a hold asks (runnable.c). */
PyObject *
ftc_native_runnable(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    return PyBool_FromLong(ftc_somebody_can_run());
}

/* native_tick(): time goes on (borders.c). */
PyObject *
ftc_native_tick(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    ftc_tick();
    Py_RETURN_NONE;
}

/* native_state(): what was looked at since native_watch(), and what was not, by name. */
PyObject *
ftc_native_state(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    PyObject *modules = PyList_New(0);
    long unknown = 0;
    for (int i = 0; modules != NULL && i < ftc_module_count; i++) {
        PyObject *one = Py_BuildValue("si", ftc_modules[i].path, ftc_modules[i].imports);
        if (one == NULL || PyList_Append(modules, one) < 0) {
            Py_CLEAR(modules);
        }
        Py_XDECREF(one);
        unknown += ftc_modules[i].unknown;
    }
    return Py_BuildValue("{sN sk sK sl sl sl sl si sk sk sk}", "modules", modules, "races", (unsigned long)ftc_found_count(),
                         "accesses", (unsigned long long)ftc_noted(), "unwatched_threads", ftc_unwatched(), "children",
                         ftc_children(), "unknown_imports", unknown, "lost_calls", ftc_contexts_lost(), "refused_modules",
                         ftc_modules_refused(), "dropped_races", ftc_found_dropped(), "dropped_possible", ftc_found_possible_dropped(), "shadow_bytes",
                         (unsigned long)ftc_shadow_bytes());
}

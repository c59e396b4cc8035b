/* Whether a module is one for which the interpreter turns the GIL on, and whether the GIL is on to stay.
 *
 * Each module object keeps what it has declared: by its slot Py_mod_gil, or by PyUnstable_Module_SetGIL().  After an extension
 * has been loaded, the interpreter looks there (Python/import.c, _PyImport_CheckGILState) and turns the GIL on, or not.  The
 * GIL comes on once; the second module that asks for it makes no difference that could be seen.  So this looks at the same
 * field, and by the same rule: what is no module object at all, and was made by Py_mod_create, asks for it, too.
 *
 * While an extension module is created, the interpreter has the GIL on for that moment, whatever the module will declare
 * (Python/ceval_gil.c, _PyEval_EnableGILTransient); all threads see that in sys._is_gil_enabled().  The interpreter counts
 * such moments in the field that is INT_MAX once the GIL is on for good.
 */
#define Py_BUILD_CORE 1
#include "core.h"
#include "internal/pycore_interp_structs.h"
#include "internal/pycore_moduleobject.h"
#include <limits.h>

/* requires_gil(module, /): True or False; None: this build cannot be asked. */
PyObject *
ftc_requires_gil(PyObject *Py_UNUSED(self), PyObject *module)
{
#if defined(Py_GIL_DISABLED) && PY_VERSION_HEX < 0x030F0000   /* 3.15 keeps it in another way */
    return PyBool_FromLong(!PyModule_Check(module) || ((PyModuleObject *)module)->md_gil == Py_MOD_GIL_USED);
#else
    (void)module;
    Py_RETURN_NONE;
#endif
}

/* gil_is_permanent(): True or False. */
PyObject *
ftc_gil_is_permanent(PyObject *Py_UNUSED(self), PyObject *Py_UNUSED(ignored))
{
#ifdef Py_GIL_DISABLED
    return PyBool_FromLong(_Py_atomic_load_int_relaxed(&PyInterpreterState_Get()->ceval.gil->enabled) == INT_MAX);
#else
    Py_RETURN_TRUE;
#endif
}

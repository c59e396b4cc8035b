/* Calls of the interpreter's API by extensions, under the explorer: which are scheduling points, and of what operation.
 *
 * A call that reads or changes an object that others may have is one, with that object, which is the first argument of all of
 * these.  A reference that it gives may be borrowed, or what it says may be out of date as soon as it is said: so where such a call
 * was seen to conflict, the thread can be stopped behind it, too, at its next access.
 *
 * Others are none: they make something new, read what never changes, or run Python code, which has points of its own.
 */
#include "native.h"
#include "sched.h"
#include <dlfcn.h>
#include <string.h>

static const char *const reading[] = {
    "PyDict_GetItem", "PyDict_GetItemRef", "PyDict_GetItemString", "PyDict_GetItemStringRef", "PyDict_GetItemWithError",
    "_PyDict_GetItem_KnownHash", "PyDict_Contains", "PyDict_ContainsString", "PyDict_Next", "PyDict_Size", "PyDict_Keys", "PyDict_Values",
    "PyDict_Items", "PyDict_Copy", "PyList_GetItem", "PyList_GetItemRef", "PyList_Size", "PyList_GetSlice", "PyList_AsTuple",
    "PySet_Contains", "PySet_Size", "PySequence_Size", "PySequence_Length", "PySequence_GetItem", "PySequence_GetSlice",
    "PySequence_Contains", "PySequence_List", "PySequence_Tuple", "PySequence_Fast", "PySequence_Index", "PySequence_Count",
    "PyMapping_Size", "PyMapping_GetItemString", "PyMapping_GetOptionalItem", "PyMapping_HasKey", "PyMapping_Keys", "PyMapping_Values",
    "PyMapping_Items", "PyObject_GetAttr", "PyObject_GetAttrString", "PyObject_GetOptionalAttr", "PyObject_GetOptionalAttrString",
    "PyObject_HasAttr", "PyObject_HasAttrString", "PyObject_GetItem", "PyObject_Size", "PyObject_Length", "PyObject_IsTrue",
    "PyObject_GenericGetAttr", "PyObject_GetIter", "PyByteArray_AsString", "PyByteArray_Size", "PyWeakref_GetRef", "PyWeakref_GetObject",
};
static const char *const writing[] = {
    "PyDict_SetItem", "PyDict_SetItemString", "_PyDict_SetItem_KnownHash", "PyDict_DelItem", "PyDict_DelItemString", "PyDict_SetDefault",
    "PyDict_SetDefaultRef", "PyDict_Pop", "PyDict_PopString", "PyDict_Clear", "PyDict_Update", "PyDict_Merge", "PyDict_MergeFromSeq2",
    "PyList_SetItem", "PyList_Append", "PyList_Insert", "PyList_SetSlice", "PyList_Sort", "PyList_Reverse", "PyList_Extend",
    "PyList_Clear", "PySet_Add", "PySet_Discard", "PySet_Pop", "PySet_Clear", "PySequence_SetItem", "PySequence_DelItem",
    "PySequence_SetSlice", "PySequence_DelSlice", "PySequence_InPlaceConcat", "PyMapping_SetItemString", "PyObject_SetAttr",
    "PyObject_SetAttrString", "PyObject_DelAttr", "PyObject_DelAttrString", "PyObject_SetItem", "PyObject_DelItem", "PyObject_DelItemString",
    "PyObject_GenericSetAttr", "PyIter_Next", "PyIter_NextItem", "PyIter_Send", "PyByteArray_Resize",
};

#define SLOTS 1024                   /* a power of two, more than twice as many as there are names */
static struct { const void *function; int kind; } known[SLOTS];

static size_t
slot_of(const void *function)
{
    size_t at = (uintptr_t)function * 0x9E3779B97F4A7C15u >> 50;
    while (known[at % SLOTS].function != NULL && known[at % SLOTS].function != function) {
        at++;
    }
    return at % SLOTS;
}

static void
learn(const char *const *names, size_t count, int kind)
{
    for (size_t i = 0; i < count; i++) {
        const void *function = dlsym(RTLD_DEFAULT, names[i]);
        if (function != NULL) {
            size_t slot = slot_of(function);
            known[slot].function = function;
            known[slot].kind = kind;
        }
    }
}

void
ftc_native_calls_init(void)
{
    static int done;
    if (!done) {
        done = 1;
        learn(reading, sizeof reading / sizeof *reading, FTC_READ);
        learn(writing, sizeof writing / sizeof *writing, FTC_WRITE);
    }
}

/* The extension calls this function, of which nothing is known but what the tables say, with this first argument. */
void
ftc_called(uintptr_t pc, const void *function, uintptr_t first)
{
    ftc_call_out(pc);
    if (ftc_native_exploring && ftc_my.worker != NULL && ftc_my.inside == 0 && ftc_the.unjoined != 0) {
        size_t slot = slot_of(function);
        if (known[slot].function != NULL) {
            ftc_native_call(known[slot].kind, first, function, pc);
        }
    }
}

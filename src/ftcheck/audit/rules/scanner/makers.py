"""What functions of the C API do with objects: make them, keep them, change them, hand them on.

Source: CPython, ``Doc/data/refcounts.dat`` and the reference of each function in ``Doc/c-api``.
"""

from __future__ import annotations

import re

MAKES = re.compile(
    r"Py(List|Dict|Tuple|Set|FrozenSet|Unicode|ODict|Slice|Cell|Long|Float)_New|PySequence_(List|Tuple|Concat|Repeat|GetSlice)|"
    r"PyDict_(Copy|Keys|Values|Items)|PyMapping_(Keys|Values|Items)|PyList_(AsTuple|GetSlice)|PyTuple_(Pack|GetSlice)|"
    r"Py_BuildValue|PyObject_Dir|PyUnicode_(Split|RSplit|Splitlines|Partition|RPartition|From\w+|Decode\w*)|"
    r"Py(Bytes|ByteArray)_From\w+|_PyList_FromArraySteal|PyList_FromArraySteal|_PyTuple_FromArray\w*|PyStructSequence_New|"
    r"_?PyObject_(GC_)?N(ew|EW)_?(Var|VAR)?|(c|m|re)alloc|Py(Mem|Object)_(Raw)?(Malloc|Calloc|MALLOC)|PyMem_(New|NEW)|PyType_GenericAlloc|tp_alloc|PyType_GenericNew|tp_new|PyThreadState_GetDict|"
    r"PyEval_GetFrame(Locals|Globals|Builtins)|_PyDict_NewPresized|PyErr_NewException\w*|PyModule_New\w*|"
    r"PyUnicode_(Concat|Join|Replace|Format|Substring|As\w+String)|PyNumber_(Long|Float)|PyObject_(Str|Repr|ASCII|Bytes)"
)
"""Functions that make an object, or memory, that nobody else has."""
KEEPS_ARGUMENT: dict[str, tuple[int, ...]] = {
    "PyList_Append": (1,), "PyList_SetItem": (2,), "PyList_SET_ITEM": (2,), "PyList_Insert": (2,), "PyTuple_SetItem": (2,),
    "PyTuple_SET_ITEM": (2,), "PyDict_SetItem": (2,), "PyDict_SetItemString": (2,), "PyDict_SetDefault": (2,),
    "PyDict_SetDefaultRef": (2,), "PyObject_SetAttr": (2,), "PyObject_SetAttrString": (2,), "PyObject_SetItem": (2,),
    "PyModule_AddObject": (2,), "PyModule_AddObjectRef": (2,), "PyModule_Add": (2,), "PySet_Add": (1,),
    "PySequence_SetItem": (2,),
    "PyCapsule_New": (0,), "PyWeakref_NewRef": (0,), "PyStructSequence_SetItem": (2,), "PyStructSequence_SET_ITEM": (2,),
    "PyCell_Set": (1,), "PyCell_SET": (1,), "PyContextVar_Set": (1,), "PySys_SetObject": (1,), "PyList_SetSlice": (3,),
    "Py_XSETREF": (1,), "Py_SETREF": (1,), "_PyType_SetAttr": (2,), "PyIter_Send": (1,), "PyErr_SetObject": (1,),
}  # fmt: skip
"""Functions that store one of their arguments where others find it; which one."""
RUNS = re.compile(
    r"Py(Object_(Call|Vectorcall)\w*|Eval_Call\w*|Iter_Next|Object_GetIter)|_PyObject_(Call|Vectorcall)\w*|"
    r"Py_BuildValue|PyTuple_Pack"
)
"""Functions that give all of their arguments to other code."""
CHANGES = re.compile(
    r"Py(Dict|List|Set|ODict)_(Set|Del|Append|Insert|Reverse|Sort|Extend|Pop|Clear|Update|Merge|Add|Discard|SET)\w*|"
    r"Py(Object|Sequence|Mapping)_(Set|Del|InPlace)\w*|_PyDict_Set\w*"
)
"""Functions that change the container that is their first argument."""
KWARGS = re.compile(r"kw|kws|kwds|kwargs|kwarg|keywds|keywords|_?kwnames|kwargs_?dict|named_?args")
"""Names of parameters for keyword arguments: a dict of each call\'s own."""
BEGINS = frozenset(("PyObject_Init", "PyObject_InitVar", "PyObject_INIT", "PyObject_INIT_VAR"))
"""Functions that make an object of memory."""
SAME = frozenset(("PySequence_Fast", "Py_NewRef", "Py_XNewRef"))
"""Functions that give back their first argument, or may."""

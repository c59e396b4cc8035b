"""By which names Python code reaches the slots of a type: the methods that the interpreter makes for them.

The names are those of CPython's ``Objects/typeobject.c`` (``slotdefs``); of a slot with several methods it is the one that
is called most. What the interpreter alone calls (``tp_dealloc``, ``tp_traverse``, buffers) has none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

_NUMBERS = {
    "add": "add", "subtract": "sub", "multiply": "mul", "remainder": "mod", "power": "pow", "lshift": "lshift",
    "rshift": "rshift", "and": "and", "xor": "xor", "or": "or", "floor_divide": "floordiv", "true_divide": "truediv",
    "matrix_multiply": "matmul",
}  # fmt: skip
METHODS: Mapping[str, str] = {
    "tp_repr": "__repr__", "tp_str": "__str__", "tp_hash": "__hash__", "tp_call": "__call__", "tp_iter": "__iter__",
    "tp_iternext": "__next__", "tp_getattro": "__getattribute__", "tp_setattro": "__setattr__", "tp_richcompare": "__eq__",
    "tp_init": "__init__", "tp_descr_get": "__get__", "tp_descr_set": "__set__",
    "mp_length": "__len__", "mp_subscript": "__getitem__", "mp_ass_subscript": "__setitem__",
    "sq_length": "__len__", "sq_item": "__getitem__", "sq_ass_item": "__setitem__", "sq_contains": "__contains__",
    "sq_concat": "__add__", "sq_repeat": "__mul__", "sq_inplace_concat": "__iadd__", "sq_inplace_repeat": "__imul__",
    "nb_negative": "__neg__", "nb_positive": "__pos__", "nb_absolute": "__abs__", "nb_bool": "__bool__",
    "nb_invert": "__invert__", "nb_int": "__int__", "nb_float": "__float__", "nb_index": "__index__",
    "nb_divmod": "__divmod__", "am_await": "__await__", "am_aiter": "__aiter__", "am_anext": "__anext__",
    **{f"nb_{slot}": f"__{name}__" for slot, name in _NUMBERS.items()},
    **{f"nb_inplace_{slot}": f"__i{name}__" for slot, name in _NUMBERS.items()},
}  # fmt: skip


def method_of(slots: Iterable[str]) -> str:
    """The method of the first of these slots that has one; empty: none has."""
    return next((METHODS[one] for one in sorted(slots) if one in METHODS), "")

"""Run as a child process: reads which files to parse from standard input, and prints what libclang says of their types.

An object is a struct whose first field is ``PyObject`` or ``PyVarObject``, or another such struct.
"""

from __future__ import annotations

import json
import sys
from typing import Any

_ATOMIC = ("_Atomic", "atomic", "PyMutex", "pthread_", "mutex", "PyThread_type_lock", "once_flag")


def main() -> int:
    """Answer one question."""
    from clang import cindex  # type: ignore[import-untyped,import-not-found,unused-ignore]

    asked = json.load(sys.stdin)
    wanted = {path for path, _ in asked["files"]}
    answer: dict[str, Any] = {"files": {}, "functions": [], "structs": {}}
    index = cindex.Index.create()
    seen: set[tuple[str, str, int]] = set()
    for path, cplusplus in asked["files"]:
        if path.endswith((".h", ".hpp", ".hh", ".hxx", ".inc")):
            answer["files"].setdefault(path, {"error": "a header that no scanned file includes"})
            continue
        language = ["-x", "c++", "-std=c++20"] if cplusplus else ["-x", "c", "-std=gnu11"]
        try:
            unit = index.parse(path, args=[*language, *asked["arguments"]])
        except cindex.TranslationUnitLoadError as error:
            answer["files"][path] = {"error": str(error)}
            continue
        fatal = [one.spelling for one in unit.diagnostics if one.severity >= cindex.Diagnostic.Fatal]
        answer["files"][path] = {"error": f"{len(fatal)} errors: {fatal[0]}" if fatal else ""}
        if fatal:
            continue
        _unit(cindex, unit, wanted, answer, seen)
    json.dump(answer, sys.stdout)
    return 0


def _unit(cindex: Any, unit: Any, wanted: set[str], answer: dict[str, Any], seen: set[tuple[str, str, int]]) -> None:
    kinds = cindex.CursorKind
    stack = list(unit.cursor.get_children())
    while stack:
        cursor = stack.pop()
        if cursor.kind in (kinds.NAMESPACE, kinds.LINKAGE_SPEC, kinds.CLASS_DECL, kinds.STRUCT_DECL, kinds.UNEXPOSED_DECL):
            stack += cursor.get_children()
        if cursor.kind not in (kinds.FUNCTION_DECL, kinds.CXX_METHOD, kinds.FUNCTION_TEMPLATE) or not cursor.is_definition():
            continue
        file = cursor.location.file.name if cursor.location.file else ""
        key = (file, cursor.spelling, cursor.location.line)
        if file not in wanted or key in seen:
            continue
        seen.add(key)
        variables: dict[str, str] = {}
        for one in cursor.walk_preorder():
            if one.kind in (kinds.PARM_DECL, kinds.VAR_DECL):
                struct = _object(cindex, one.type, answer)
                if struct:
                    variables[one.spelling] = struct
            elif one.kind == kinds.CSTYLE_CAST_EXPR:
                struct = _object(cindex, one.type, answer)
                inner = _name(cindex, one)
                if struct and inner:
                    variables.setdefault(inner, struct)
        answer["functions"].append(
            {"file": file, "name": cursor.spelling, "line": cursor.location.line, "variables": variables}
        )


def _name(cindex: Any, cursor: Any) -> str:
    """The variable that is cast."""
    for one in cursor.walk_preorder():
        if one.kind == cindex.CursorKind.DECL_REF_EXPR:
            return str(one.spelling)
        if one.kind == cindex.CursorKind.CALL_EXPR:
            return ""
    return ""


def _object(cindex: Any, kind: Any, answer: dict[str, Any]) -> str:
    """The name of the struct of a pointer to an object; its fields are noted. Empty: it is none, or the interpreter's
    own."""
    if kind.get_canonical().kind != cindex.TypeKind.POINTER:
        return ""
    record = kind.get_canonical().get_pointee()
    fields = list(record.get_fields())
    name = record.spelling.removeprefix("const ").removeprefix("struct ").removeprefix("volatile ")
    named = kind.get_pointee().spelling.removeprefix("const ").removeprefix("struct ")
    if not fields or not _begins_with_head(cindex, record, 4) or name in ("_object", "PyObject", "PyVarObject"):
        return ""
    label = named or name
    if label not in answer["structs"]:
        answer["structs"][label] = {
            "all": [one.spelling for one in fields],
            "atomic": [one.spelling for one in fields if any(word in one.type.spelling for word in _ATOMIC)],
        }
    return str(label)


def _begins_with_head(cindex: Any, record: Any, deep: int) -> bool:
    if record.get_canonical().spelling.removeprefix("struct ") in ("_object", "PyObject", "PyVarObject"):
        return True
    fields = list(record.get_canonical().get_fields()) if deep else []
    return bool(fields) and _begins_with_head(cindex, fields[0].type, deep - 1)


if __name__ == "__main__":
    sys.exit(main())

"""FT006, FT506, FT602, FT606, FT607, FT608, FT704: what Python code does to the interpreter, the process and C libraries."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from ftcheck.audit.rules.scanner.python import FunctionNode, PythonFile, dotted
from ftcheck.audit.rules.words import Hit, Rule

_DOC = "CPython, Doc/howto/free-threading-python.rst"

RULES = (
    Rule(
        "FT602",
        "cached-with-effects",
        "C",
        "a cached function has side effects",
        "functools.cache and lru_cache call the function without a lock: two threads that ask for the same "
        "arguments at the same "
        "time both run it. cached_property has had no lock since 3.12 either.",
        "A lock in the function, or no side effects in it.",
        "@functools.cache\ndef connect(name):\n    global opened\n    opened += 1",
        "@functools.cache\ndef parsed(text):\n    return tuple(text.split())",
        "Side effects are global and nonlocal statements, and assignments to attributes and items of what is not local.",
        "CPython, Doc/library/functools.rst",
        ("Python",),
    ),
    Rule(
        "FT606",
        "process-state",
        "C",
        "a function changes what belongs to the whole process",
        "The environment, the working directory, the locale, signal handlers, sys.stdout: all threads see the "
        "change, and two that "
        "change it leave what neither wanted.",
        "An argument instead: env= and cwd= of subprocess, a random.Random of its own, ContextVar.",
        "os.environ['TZ'] = 'UTC'",
        "subprocess.run(command, env={**os.environ, 'TZ': 'UTC'})",
        "Programs that do it before there are threads look the same. warnings.catch_warnings is left out: on 3.14t it is "
        "per context by default.",
        f"{_DOC}; Doc/whatsnew/3.14.rst, context_aware_warnings",
        ("Python",),
    ),
    Rule(
        "FT607",
        "contextvar-in-function",
        "B",
        "a ContextVar is made in a function",
        "Contexts keep a variable for ever, so each call leaks one; and two calls do not share it.",
        "Make it once, in the module.",
        "def handler():\n    var = ContextVar('user')",
        "USER = ContextVar('user')",
        "",
        "CPython, Doc/library/contextvars.rst",
        ("Python",),
    ),
    Rule(
        "FT608",
        "interpreter-setting",
        "C",
        "a function changes a setting of the interpreter",
        "It is one for all threads: two that save and restore it undo each other.",
        "Set it once, at start.",
        "sys.setrecursionlimit(10_000)",
        "threading.stack_size(...)  # and a thread of its own",
        "",
        "CPython, Doc/library/sys.rst",
        ("Python",),
    ),
    Rule(
        "FT704",
        "cffi",
        "C",
        "C memory or a C library is used through cffi or ctypes, which take no lock",
        "The library's static variables are shared by all threads. With the GIL that was so as well where cffi "
        "releases it: now it is "
        "so everywhere.",
        "A threading.Lock around the calls of a library that is not thread-safe; as its manual says.",
        'lib = ffi.dlopen("libfoo.so")\nlib.foo()',
        "with FOO_LOCK:\n    lib.foo()",
        "An inventory: whether the library is thread-safe cannot be seen. += on what ffi.new has made is of tier B.",
        "cffi documentation, ref.rst; pull request 188 of cffi",
        ("Python",),
    ),
)

_CHANGES = frozenset((
    "os.chdir", "os.fchdir", "os.umask", "os.putenv", "os.unsetenv", "os.setuid", "os.setgid", "os.nice", "os.chroot",
    "locale.setlocale", "random.seed", "signal.signal", "signal.alarm", "signal.setitimer", "socket.setdefaulttimeout",
    "contextlib.chdir", "contextlib.redirect_stdout", "contextlib.redirect_stderr", "os.environ.update", "os.environ.pop",
    "os.environ.setdefault", "os.environ.clear", "time.tzset", "numpy.random.seed", "np.random.seed",
    "faulthandler.enable", "logging.disable", "sys.path.insert", "sys.path.append",
))  # fmt: skip
_SETTINGS = frozenset((
    "sys.setrecursionlimit", "sys.setswitchinterval", "sys.settrace", "sys.setprofile", "gc.disable", "gc.enable",
    "gc.set_threshold", "threading.stack_size", "sys.set_int_max_str_digits",
))  # fmt: skip
_CACHES = frozenset(("cache", "lru_cache", "cached_property"))


def find(file: PythonFile) -> Iterator[Hit]:
    """Look for them."""
    yield from _limited(file)
    made = {
        dotted(target).rpartition(".")[2]
        for node in ast.walk(file.tree)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and dotted(node.value.func).endswith("ffi.new")
        for target in node.targets
    } - {""}
    inside = {id(node): name for name, function in file.functions for node in file.own(function)}
    for node in ast.walk(file.tree):
        name = inside.get(id(node), "")
        if isinstance(node, ast.Call):
            called = dotted(node.func)
            if called == "sys._current_frames":
                yield Hit("FT506", file.path, node.lineno, name, "frames of threads that run meanwhile")
            elif called.endswith("ffi.dlopen") or called in ("ctypes.CDLL", "CDLL"):
                yield Hit("FT704", file.path, node.lineno, name, f"{called}: calls into that library take no lock")
            elif name and called in _CHANGES:
                yield Hit("FT606", file.path, node.lineno, name, f"{called} changes what belongs to the whole process")
            elif name and called in _SETTINGS:
                yield Hit("FT608", file.path, node.lineno, name, f"{called} is one setting for all threads")
            elif name and called in ("ContextVar", "contextvars.ContextVar"):
                yield Hit("FT607", file.path, node.lineno, name, "each call makes another ContextVar, and leaks it")
        elif isinstance(node, ast.AugAssign) and not file.locked(node) and (cdata := _cdata(node.target, made)):
            yield Hit(
                "FT704", file.path, node.lineno, name, f"{cdata} is C memory: an update of another thread gets lost", "B"
            )
        elif name and isinstance(node, ast.Assign | ast.AugAssign | ast.Delete):
            targets = node.targets if isinstance(node, ast.Assign | ast.Delete) else [node.target]
            for target in targets:
                whole = dotted(target.value) if isinstance(target, ast.Subscript) else dotted(target)
                if whole in ("os.environ", "sys.stdout", "sys.stderr", "sys.stdin", "sys.path", "sys.modules"):
                    yield Hit("FT606", file.path, node.lineno, name, f"{whole} belongs to the whole process")
    for name, function in file.functions:
        cached = [one for one in function.decorator_list if _decorator(one).rpartition(".")[2] in _CACHES]
        if cached and not any(file.locked(node) for node in file.own(function)) and (effect := _effect(file, function)):
            yield Hit(
                "FT602",
                file.path,
                function.lineno,
                name,
                f"{_decorator(cached[0])}, and it changes {effect}: two threads both run it",
            )


def _cdata(target: ast.expr, made: set[str]) -> str:
    """The target of ``+=``, if it is a field or an item of what ``ffi.new`` has made; else empty."""
    if isinstance(target, ast.Attribute | ast.Subscript) and dotted(target.value).rpartition(".")[2] in made:
        return ast.unparse(target)
    return ""


def _decorator(node: ast.expr) -> str:
    return dotted(node.func) if isinstance(node, ast.Call) else dotted(node)


def _effect(file: PythonFile, function: FunctionNode) -> str:
    arguments = {one.arg for one in (*function.args.posonlyargs, *function.args.args)}
    for node in file.own(function):
        if isinstance(node, ast.Global | ast.Nonlocal):
            return ", ".join(node.names)
        stored = isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store)
        if stored and isinstance(node, ast.Attribute | ast.Subscript) and dotted(node.value).partition(".")[0] in arguments:
            return ast.unparse(node)
    return ""


def _limited(file: PythonFile) -> Iterator[Hit]:
    """``setup.py`` that asks for the limited API on every build."""
    if file.path.name != "setup.py" or re.search(r"Py_GIL_DISABLED|abiflags|free.?thread|GIL", file.source):
        return
    for node in ast.walk(file.tree):
        if (
            isinstance(node, ast.keyword)
            and node.arg == "py_limited_api"
            and isinstance(node.value, ast.Constant)
            and node.value.value
        ):
            yield Hit("FT006", file.path, node.value.lineno, "", "py_limited_api=True on free-threaded builds as well")
        elif isinstance(node, ast.Constant) and node.value == "Py_LIMITED_API":
            yield Hit("FT006", file.path, node.lineno, "", "Py_LIMITED_API is defined on free-threaded builds as well")

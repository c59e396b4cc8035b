"""Executed once within each interpreter, as the source of its ``__main__``; then it is called by name, with exec().

It has ``task`` (JSON), ``results`` (a queue of the main interpreter) and ``line`` (a memoryview of memory that all see), and
puts one text into the queue for each call.
Nothing of ftcheck is imported here, and of other modules only what the interpreter itself has: the test decides what this
interpreter loads.
"""

# ruff: noqa: F821
# mypy: ignore-errors

import base64
import importlib
import importlib.machinery
import importlib.util
import json
import os
import pathlib
import pickle
import sys
import time
import traceback

_ftcheck_task = json.loads(task)
_ftcheck_extensions = {}
_ftcheck_refused = []
_ftcheck_call = None
# The second one: of a module with single-phase initialisation, which the interpreter first tries in the main one, that
# raises there (Python/import.c, import_run_extension).
_ftcheck_refusals = ("does not support loading in subinterpreters", "failed to import from subinterpreter")


def _ftcheck_watch_loader():
    """Note what is loaded, and what refuses: a package may wrap that error in another one."""
    loader = importlib.machinery.ExtensionFileLoader

    def watching(original):
        def load(self, subject):
            try:
                result = original(self, subject)
            except ImportError as error:
                if any(text in str(error) for text in _ftcheck_refusals):
                    _ftcheck_refused.append(self.name)
                raise
            _ftcheck_extensions[self.name] = self.path
            return result

        return load

    loader.create_module = watching(loader.create_module)
    loader.exec_module = watching(loader.exec_module)


def ftcheck_load():
    """Import the test's module, and find the test in it."""
    global _ftcheck_call
    sys.path[:] = _ftcheck_task["path"]
    sys.dont_write_bytecode = True  # several interpreters would write the same files
    _ftcheck_watch_loader()
    said = {"error": ""}
    try:
        module = _ftcheck_import(_ftcheck_task["module"], _ftcheck_task["file"])
        owner = module
        *classes, name = _ftcheck_task["function"].split(".")
        for part in classes:
            owner = getattr(owner, part)
        _ftcheck_call = (lambda **given: getattr(owner(), name)(**given)) if classes else getattr(owner, name)
        _ftcheck_parameters()
    except BaseException:
        said["error"] = traceback.format_exc()
    said |= {"extensions": _ftcheck_extensions, "refused": list(dict.fromkeys(_ftcheck_refused))}
    results.put(json.dumps(said))


def _ftcheck_import(name, file):
    parent = name.rpartition(".")[0]
    if parent:
        importlib.import_module(parent)
    there = sys.modules.get(name)
    if there is not None and os.path.samefile(there.__file__, file):
        return there
    spec = importlib.util.spec_from_file_location(name, file)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _ftcheck_parameters():
    return {name: pickle.loads(base64.b64decode(text)) for name, text in _ftcheck_task["parameters"].items()}


def ftcheck_run(folder, place, parties, round, repeat):
    """Call the test.

    :param folder: for its temporary folders.
    :param place: of this interpreter at the start line, of so many: ``parties``; 0: it runs alone.
    :param round: from 1, at most 255: then it begins again at 1.
    :param repeat: calls, of a short test.
    """
    calls = []
    for number in range(repeat):
        given = _ftcheck_parameters()
        for name in _ftcheck_task["folders"]:
            given[name] = pathlib.Path(folder, str(number), name)
            given[name].mkdir(parents=True)
        calls.append(given)
    failed = skipped = None
    if parties:
        _ftcheck_meet(place, parties, round)
    begin = time.monotonic_ns()
    try:
        for given in calls:
            _ftcheck_call(**given)
    except BaseException as error:
        if type(error).__name__ in ("Skipped", "SkipTest"):
            skipped = str(error) or "skipped"
        else:
            failed = _ftcheck_told(error)
    end = time.monotonic_ns()
    said = {"begin": begin, "end": end, "failed": failed, "skipped": skipped, "gil": sys._is_gil_enabled()}
    said |= {"extensions": _ftcheck_extensions, "refused": list(dict.fromkeys(_ftcheck_refused))}
    results.put(json.dumps(said))


def _ftcheck_meet(place, parties, round):
    """Wait until all are here. The line is memory that all interpreters see, with a byte for each."""
    line[place] = round
    until = time.monotonic() + 10
    while any(line[other] != round for other in range(parties)) and time.monotonic() < until:
        time.sleep(0)  # there may be fewer CPUs than interpreters


def _ftcheck_told(error):
    kind = type(error)
    kind = kind.__qualname__ if kind.__module__ in ("builtins", "__main__") else kind.__module__ + "." + kind.__qualname__
    frames = list(traceback.extract_tb(error.__traceback__))[1:]  # the first one is ours
    library = os.path.dirname(os.__file__) + os.sep  # with site-packages in it, or beside it
    own = [one for one in frames if not one.filename.startswith(library) and "site-packages" not in one.filename]
    at = (own or frames or [None])[-1]
    error.__traceback__ = error.__traceback__ and error.__traceback__.tb_next
    return {
        "kind": kind,
        "message": str(error),
        "file": at.filename if at else "",
        "line": at.lineno if at else 0,
        "function": at.name if at else "",
        "source": at.line if at else "",
        "text": "".join(traceback.format_exception(error)),
    }

"""``--ftcheck-built=DIR``: the packages that ``ftcheck build`` has made are imported, and no others of their names.

The folder alone, first in ``sys.path``, would not do: pytest puts the folders of test files and conftest files before it,
and in a source tree these hold the same package, without or with a plain extension module. So a finder in ``sys.meta_path``
gives the packages with instrumented modules from there. It is first in ``sys.path`` as well, and in ``PYTHONPATH``: for
namespace packages, for :mod:`importlib.metadata`, and for child processes.

At the end it is said if nothing of it was imported: then the tests have not run what was built.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from _pytest.terminal import TerminalReporter

from ftcheck.plugin.options import START


class BuiltFinder:
    """Finds the modules that lie in one folder, there.

    :param names: the top-level ones.
    """

    def __init__(self, folder: str, names: frozenset[str]) -> None:
        self.folder, self.names = folder, names

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """As in :class:`importlib.abc.MetaPathFinder`."""
        if path is not None or name not in self.names:
            return None
        spec = PathFinder.find_spec(name, [self.folder], target)
        return spec if spec is not None and spec.loader is not None else None  # a namespace may have parts elsewhere


class BuiltPlugin:
    """Registered as ``ftcheck-built``, in workers as well."""

    def __init__(self, folder: str, facts: dict[str, Any]) -> None:
        self._folder, self._facts = folder, facts
        self._imported: set[str] = set()
        self._heard = False

    def pytest_report_header(self) -> str:
        count = len(self._facts["instrumented"])
        what = f"{self._facts['name']} {self._facts['version']}, {count} instrumented module{'s' if count != 1 else ''}"
        return f"ftcheck: built: {what}, from {self._folder}"

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        below = self._folder + os.sep
        files = {str(getattr(module, "__file__", None) or "") for module in list(sys.modules.values())}
        mine = {file.removeprefix(below) for file in files if file.startswith(below)} & {*self._facts["instrumented"]}
        output = getattr(session.config, "workeroutput", None)
        if output is not None:
            output["ftcheck_built"] = sorted(mine)
        elif not _distributes(session.config):
            self._heard, self._imported = True, mine

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        output = getattr(node, "workeroutput", None) or {}
        if "ftcheck_built" in output:
            self._heard = True
            self._imported.update(output["ftcheck_built"])

    def pytest_terminal_summary(self, terminalreporter: TerminalReporter) -> None:
        if self._heard and not self._imported:
            terminalreporter.write_line(
                f"ftcheck: WARNING: no instrumented module of {self._folder} was imported: these tests have not run it",
                yellow=True,
            )


def _distributes(config: pytest.Config) -> bool:
    return config.getoption("dist", "no") != "no" and bool(config.getoption("tx", None))


def use(config: pytest.Config, typed: str) -> None:
    """Have the packages in this folder imported.

    :raises pytest.UsageError: it is no build, or one of them was imported from elsewhere before.
    """
    folder = Path(typed).absolute()
    try:
        facts = json.loads((folder / ".ftcheck" / "built.json").read_text(encoding="utf-8"))
    except OSError, ValueError:
        raise pytest.UsageError(
            f"--ftcheck-built={typed}: `ftcheck build` has made nothing there; it says which folder it makes"
        ) from None
    # The top-level names of what is instrumented. Not all that is in the folder: a test file of the project may be.
    names = frozenset(file.split(os.sep)[0].partition(".")[0] for file in facts["instrumented"])
    where = str(folder)
    for name in sorted(names & {*sys.modules}):
        file = str(getattr(sys.modules[name], "__file__", None) or "")
        if file and not file.startswith(where + os.sep):
            raise pytest.UsageError(
                f"--ftcheck-built={typed}: {name} was imported from {file} before (by a plugin, or -p): switch that off, or "
                f"run with PYTHONPATH={typed}"
            )
    sys.meta_path.insert(0, BuiltFinder(where, names))
    path, environment = START
    for one in (sys.path, path):
        if where not in one[:1]:
            one.insert(0, where)
    before = environment.get("PYTHONPATH", "")
    os.environ["PYTHONPATH"] = environment["PYTHONPATH"] = os.pathsep.join(filter(None, (where, before)))
    config.pluginmanager.register(BuiltPlugin(where, facts), "ftcheck-built")

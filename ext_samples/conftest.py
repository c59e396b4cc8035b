"""Puts the built samples on sys.path, and says how to build them where that was not done."""

import importlib.util
import sys
from pathlib import Path

import pytest

# By path: "build" is also the name of a package that many environments have.
_spec = importlib.util.spec_from_file_location("ext_samples_build", Path(__file__).with_name("build.py"))
build = importlib.util.module_from_spec(_spec)
sys.modules[_spec.name] = build  # dataclasses look their module up there
_spec.loader.exec_module(build)

sys.path.insert(0, str(build.BUILT))


class NotBuilt(pytest.Module):
    """A test file whose sample is not there to be imported."""

    def collect(self):
        raise pytest.UsageError(
            f"this sample is not built for {build.TAG}. To build all samples: {sys.executable} {build.__file__}"
        )

    def repr_failure(self, excinfo):
        return str(excinfo.value)  # without a traceback: it says what to do


def pytest_pycollect_makemodule(module_path, parent):
    sample = build.Sample(module_path.parent.parent.name, module_path.parent.name)
    return None if sample.is_built() else NotBuilt.from_parent(parent, path=module_path)


def pytest_collection_modifyitems(items):
    for item in items:
        if build.HERE not in item.path.parents:
            continue
        sample = build.Sample(item.path.parent.parent.name, item.path.parent.name)
        if sample.shows_only_from_the_inside and not sample.is_watchable():
            item.add_marker(pytest.mark.skip(reason="shows only from the inside: build it with ftcheck-cc"))

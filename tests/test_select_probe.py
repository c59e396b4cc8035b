"""select_probe.py: which imports a program has, and whose code is read instead of run."""

import ast
import textwrap

import pytest

from ftcheck.select_probe import Walk, imports_in


def found(text, package="", required=True):
    return [(one.module, one.required) for one in imports_in(ast.parse(textwrap.dedent(text)), package, "x.py", required)]


@pytest.mark.parametrize(
    ("text", "modules"),
    [
        ("import a, b.c", [("a", True), ("b.c", True)]),
        ("from a.b import c", [("a.b", True)]),
        ("class A:\n  import a", [("a", True)]),
        ("try:\n  import a\nexcept ImportError:\n  import b\nelse:\n  import c\nfinally:\n  import d",
         [("a", False), ("b", False), ("c", False), ("d", False)]),
        ("if x:\n  import a\nelse:\n  import b", [("a", False), ("b", False)]),
        ("def f():\n  import a", [("a", False)]),
        ("async def f():\n  import a", [("a", False)]),
        ("with x:\n  import a", [("a", False)]),
        ("if TYPE_CHECKING:\n  import a\nelse:\n  import b", [("b", True)]),
        ("if typing.TYPE_CHECKING:\n  import a", []),
        ("import importlib\nx = importlib.import_module('a.b')", [("importlib", True), ("a.b", False)]),
        ("__import__('a')", [("a", False)]),
        ("import_module(name)", []),
        ("print('import a')", []),
    ],
)  # fmt: skip
def test_the_imports_and_whether_they_are_always_executed(text, modules):
    assert found(text) == modules


@pytest.mark.parametrize(
    ("text", "package", "modules"),
    [
        ("from . import a", "p.q", ["p.q"]),
        ("from .a import b", "p.q", ["p.q.a"]),
        ("from ..a import b", "p.q", ["p.a"]),
        ("from ...a import b", "p.q", []),
        ("from . import a", "", []),
        ("import_module('.a')", "p", ["p.a"]),
    ],
)
def test_relative_ones(text, package, modules):
    assert [module for module, _ in found(text, package)] == modules


def test_of_a_file_that_may_not_be_imported_none_is_required():
    assert found("import a", required=False) == [("a", False)]


@pytest.fixture
def walk(tmp_path, monkeypatch):
    """Reads a project of these files."""

    def read(files):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))
        monkeypatch.syspath_prepend(str(tmp_path))
        walk = Walk()
        walk.file(str(tmp_path / "app.py"), "", True)
        wanted = {name: one.required for name, one in walk.wanted.items()}
        return wanted, [path.removeprefix(f"{tmp_path}/") for path in walk.read], walk.unreadable

    return read


class TestWalk:
    def test_own_modules_are_read_and_not_run(self, walk):
        wanted, read, _ = walk({
            "app.py": "import mine_p.b\nfrom mine_p import c, something\nimport json",
            "mine_p/__init__.py": "import sqlite3\nraise SystemExit('run')",
            "mine_p/b.py": "from . import d\nfrom .c import x",
            "mine_p/c.py": "import pytest",
            "mine_p/d.py": "def f(): import csv",
        })  # fmt: skip
        assert read == ["app.py", "mine_p/__init__.py", "mine_p/b.py", "mine_p/d.py", "mine_p/c.py"]
        assert wanted == {"sqlite3": True, "csv": False, "pytest": True, "json": True}

    def test_what_only_an_optional_module_needs_is_optional(self, walk):
        wanted, _, _ = walk(
            {"app.py": "try:\n  import mine_extra\nexcept ImportError: pass", "mine_extra.py": "import json"}
        )
        assert wanted == {"json": False}

    def test_required_wins(self, walk):
        wanted, _, _ = walk({"app.py": "try:\n  import json\nexcept: pass\nimport json"})
        assert wanted == {"json": True}

    def test_modules_that_import_each_other(self, walk):
        _, read, _ = walk({"app.py": "import mine_a", "mine_a.py": "import mine_b", "mine_b.py": "import mine_a, app"})
        assert read == ["app.py", "mine_a.py", "mine_b.py"]

    def test_what_is_not_there_is_wanted_all_the_same(self, walk):
        wanted, _, _ = walk({"app.py": "import mine_missing.part\nimport mine_there.nothing", "mine_there.py": ""})
        assert wanted == {"mine_missing.part": True}  # the other one is what the program itself will say

    def test_a_namespace_package(self, walk):
        _, read, _ = walk({"app.py": "import mine_ns.inner.leaf", "mine_ns/inner/leaf.py": ""})
        assert read == ["app.py", "mine_ns/inner/leaf.py"]

    @pytest.mark.parametrize("text", ["x = (", "\0", "# coding: nonsense\n"])
    def test_a_file_that_cannot_be_read(self, walk, text):
        _, read, unreadable = walk({"app.py": "import mine_broken\nimport json", "mine_broken.py": text})
        assert read == ["app.py"]
        assert len(unreadable) == 1
        assert "mine_broken.py: " in unreadable[0]

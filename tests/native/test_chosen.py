"""Which modules a run is to watch: names and patterns, and what is said of those that are none."""

import sys

import pytest

from ftcheck.native import chosen
from ftcheck.native.chosen import ChoiceError
from ftcheck.static_state import matches

from .building import compiled, source


def test_names_come_apart_at_commas_and_white_space():
    assert chosen.parse("a.b, c\n  numpy.*,,a.b") == ("a.b", "c", "numpy.*")


@pytest.mark.parametrize("text", ["a..b", "a-b", "./mod.so", "1a", "a.b "[:3] + "."])
def test_what_can_be_no_name_is_refused(text):
    with pytest.raises(ChoiceError, match="cannot be the name of a module"):
        chosen.parse(text)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """``chpkg``, a package of Python code with an extension module in it, which is not imported."""
    (tmp_path / "chpkg").mkdir()
    (tmp_path / "chpkg" / "__init__.py").write_text("raise ImportError('nobody may import this')\n")
    (tmp_path / "chpkg" / "pure.py").touch()
    (tmp_path / "chonly").mkdir()
    (tmp_path / "chonly" / "__init__.py").touch()
    compiled(tmp_path / "chpkg", "fast", source("fast"))
    monkeypatch.syspath_prepend(tmp_path)


def test_an_extension_is_found_without_importing_its_package(package):
    assert chosen.unknown(["chpkg.fast", "chpkg.*", "all"]) == []
    assert "chpkg" not in sys.modules


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("chpkg", r"chpkg is a package of Python code: its extension modules are 'chpkg\.\*'"),
        ("chonly", "chonly is a package of Python code: and there is no extension module in it"),
        ("chpkg.pure", r"chpkg.pure is Python code \(.*pure\.py\): static memory is what extension modules have"),
        ("sys", "sys is built into the interpreter"),
        ("os.path", r"os.path is Python code \(|made by another module"),
        ("pickle", "pickle is Python code"),
    ],
)
def test_what_is_no_extension_is_refused(package, name, says):
    with pytest.raises(ChoiceError, match=says):
        chosen.unknown([name])


def test_what_is_not_found_may_come_later(package):
    assert chosen.unknown(["chpkg.fats", "nowhere.fast", "chpkg.fast.deeper", "numqy"]) == [
        "chpkg.fats",
        "nowhere.fast",
        "chpkg.fast.deeper",
        "numqy",
    ]


def test_all_is_neither_the_standard_librarys_nor_ours():
    import _json  # noqa: F401

    assert chosen.loaded(["all"]).keys().isdisjoint({"_json", "ftcheck._core"})
    assert "_json" in chosen.loaded(["_json"])
    assert "ftcheck._core" in chosen.loaded(["ftcheck.*"])


def test_a_pattern_has_chosen_what_it_matches():
    assert matches("numpy.*", ["numpy._core.x"])
    assert not matches("numpy.*", ["numpyro.x", "numpy"])
    assert matches("all", ["x"])
    assert not matches("all", [])

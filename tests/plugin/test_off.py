"""A run that was asked for nothing: it loads next to nothing of ours, until a test turns out to have the marker."""

import json

import pytest

LOADED = """
import json, sys

def pytest_unconfigure(config):
    loaded = sorted(name for name in sys.modules if name.partition(".")[0] == "ftcheck")
    config.rootpath.joinpath("loaded.json").write_text(json.dumps(loaded))
"""
LITTLE = {
    "ftcheck",
    "ftcheck.option_table",
    "ftcheck.plugin",
    *(f"ftcheck.plugin.{name}" for name in ("hooks", "options", "run_options", "run_parallel")),
}
MARKED = {
    "function": "import pytest\n@pytest.mark.ftcheck(rounds=2)\ndef test_one(): pass\n",
    "class": "import pytest\n@pytest.mark.ftcheck(rounds=2)\nclass TestOne:\n    def test_one(self): pass\n",
    "module": "import pytest\npytestmark = pytest.mark.ftcheck(rounds=2)\nclass TestOne:\n    def test_one(self): pass\n",
}
FROM_HOOKS = {
    "item": "def pytest_itemcollected(item):\n    item.add_marker('ftcheck')\n",
    "items": "def pytest_collection_modifyitems(items):\n    items[0].parent.add_marker('ftcheck')\n",
}


def loaded(run):
    return set(json.loads((run.folder / "loaded.json").read_text()))


@pytest.mark.parametrize("words", [(), ("--no-ftcheck",), ("--collect-only",)], ids=lambda words: "".join(words) or "plain")
def test_it_loads_next_to_nothing(mini, words):
    """Every module here costs each pytest run where the plugin is installed about 0.3 ms: see bench/off_cost.py."""
    test = "def test_one(num_parallel_threads): assert num_parallel_threads == 1\n"
    run = mini({"conftest.py": LOADED, "test_one.py": test}, *words)
    assert run.status == 0, run.out
    assert loaded(run) <= LITTLE


@pytest.mark.parametrize("where", MARKED)
def test_a_marker_anywhere_brings_the_rest(mini, where):
    """On the test, its class or its module: it is rerun in threads, and the one without a marker is not."""
    files = {"conftest.py": LOADED, "test_marked.py": MARKED[where], "test_plain.py": "def test_plain(): pass\n"}
    run = mini(files)
    assert run.status == 0, run.out
    assert "ftcheck.stress.engine" in loaded(run)
    assert run.test("test_one" if where == "function" else "TestOne::test_one")["coverage"]["rounds"] == 2


@pytest.mark.parametrize("where", FROM_HOOKS)
def test_a_marker_that_a_hook_has_added(mini, where):
    run = mini({"conftest.py": LOADED + FROM_HOOKS[where], "test_one.py": "def test_one(): pass\n"}, "--ftcheck-rounds=2")
    assert run.status == 0, run.out
    assert run.test("test_one")["coverage"]["rounds"] == 2

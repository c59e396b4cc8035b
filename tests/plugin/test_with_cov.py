"""pytest-cov: what threads and workers have executed is covered, also by workers that die later."""

import json

import pytest

PACKAGE = {
    "product/__init__.py": "",
    "product/places.py": """
    import threading

    def where():
        if threading.current_thread() is threading.main_thread():
            return "the main thread"
        return "a thread of ours"

    def own_thread():
        def body():
            done.append("in a thread of its own")
        done = []
        thread = threading.Thread(target=body)
        thread.start()
        thread.join()
        return done

    def before_the_crash():
        return "covered by a worker that dies later"

    def after_the_crash():
        return "covered by the next worker"

    def never():
        return "not covered"
    """,
}
SUITE = """
import os
import pytest
from product import places
from meeting import meet

def test_where():
    meet()
    assert places.where() == "a thread of ours"

def test_own_thread(): assert places.own_thread()

def test_alone(monkeypatch): assert places.where() == "the main thread"

def test_before_the_crash():
    meet()
    places.before_the_crash()

@pytest.mark.crash
def test_crash(): os.abort()

def test_after_the_crash():
    meet()
    places.after_the_crash()
"""
INI = "[pytest]\nmarkers = crash: kills the process\n"
FILES = PACKAGE | {"pytest.ini": INI, "test_places.py": SUITE}
COV = ("-p", "pytest_cov", "--cov=product", "--cov-branch", "--cov-report=json:coverage.json", "--cov-report=term")
ARGUMENTS = ("--ftcheck-threads=2", "--ftcheck-rounds=2", "--ftcheck-timeout=120", "--ftcheck-classify=0")
WAYS = {
    "isolated": ("--ftcheck",),
    "two workers": ("--ftcheck", "-n2"),
    "in process": ("--ftcheck", "--ftcheck-isolate=no", "-m", "not crash"),
    "without xdist": ("--ftcheck", "-p", "no:xdist", "-m", "not crash"),
}


def covered(run):
    """The covered lines of ``places.py``, as text, and its number of branches that were taken."""
    file = json.loads((run.folder / "coverage.json").read_text(encoding="utf-8"))["files"]["product/places.py"]
    source = (run.folder / "product/places.py").read_text(encoding="utf-8").splitlines()
    text = "\n".join(source[number - 1] for number in file["executed_lines"])
    return text, file["summary"]["covered_branches"]


@pytest.fixture(scope="module")
def plain(mini):
    """A run without ftcheck, in which the suite's bodies meet nobody: only one of them may."""
    alone = {
        name: text.replace("meet()", "pass").replace('"a thread of ours"', '"the main thread"')
        for name, text in FILES.items()
    }
    alone["product/places.py"] = FILES["product/places.py"]
    return mini(alone, *COV, "-m", "not crash")


@pytest.mark.parametrize("way", WAYS)
def test_all_threads_and_workers(mini, plain, way):
    """Every line that ran is covered, and as a plain run's at least."""
    run = mini(FILES, *COV, *WAYS[way], *ARGUMENTS)
    text, branches = covered(run)
    plain_text, plain_branches = covered(plain)
    assert run.verdict("test_where") == "passed", run.text("test_where")
    assert plain.status == 0, plain
    for line in (
        "a thread of ours",
        "the main thread",
        "in a thread of its own",
        "by the next worker",
        "a worker that dies",
    ):
        assert line in text
    assert "not covered" not in text
    assert set(plain_text.splitlines()) < set(text.splitlines())
    assert branches > plain_branches
    run.lines.fnmatch_lines(["*= tests coverage =*", "product/places.py *"])
    assert not list(run.folder.glob(".coverage.*")), "a data file was not combined"
    assert way in ("in process", "without xdist") or run.verdict("test_crash") == "crash"

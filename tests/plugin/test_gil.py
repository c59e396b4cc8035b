"""The GIL coming on is a verdict, blamed on the module that did it, however the import's warning was treated."""

import sysconfig

import pytest

pytestmark = pytest.mark.skipif(
    not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="needs a free-threaded build: here the GIL is always on"
)

EXTENSION = """
#include <Python.h>
static PyModuleDef_Slot slots[] = {%s{0, NULL}};
static PyModuleDef module = {PyModuleDef_HEAD_INIT, "%s", NULL, 0, NULL, slots};
PyMODINIT_FUNC PyInit_%s(void) { return PyModuleDef_Init(&module); }
"""
ARGUMENTS = ("--ftcheck", "--ftcheck-threads=2", "--ftcheck-rounds=2", "--ftcheck-timeout=120")

IMPORTS = """
import sys, warnings
import pytest
from meeting import meet

def test_before():
    meet()
    assert not sys._is_gil_enabled()

def test_import():
    import needs_gil
    meet()

def test_after_import():
    meet()
    assert not sys._is_gil_enabled()

@pytest.mark.filterwarnings("ignore")
def test_import_ignored():
    import needs_gil
    meet()

@pytest.mark.filterwarnings("error")
def test_import_as_error():
    meet()
    import needs_gil

@pytest.mark.filterwarnings("error")
def test_import_as_error_swallowed():
    try:
        import needs_gil
    except Warning:
        pass
    meet()

def test_import_and_failure():
    import needs_gil
    meet()
    raise KeyError("worse")

def test_import_and_skip():
    import needs_gil
    meet()
    pytest.skip("skips")

@pytest.fixture(scope="session")
def imports():
    import needs_gil

def test_import_in_setup(imports): meet()

def test_declared():
    import declares_itself
    meet()
    assert not sys._is_gil_enabled()

def test_last():
    meet()
    assert not sys._is_gil_enabled()
"""
COLLECTED = {
    "test_a_imports.py": """
        import needs_gil
        from meeting import meet
        def test_in_the_module(): meet()
        def test_in_the_module_too(): meet()
        """,
    "test_b_other.py": "from meeting import meet\ndef test_elsewhere(): meet()\n",
}
CONFTEST = {
    "conftest.py": "import warnings\ntry:\n    import needs_gil\nexcept Warning:\n    pass\n",
    "test_one.py": "from meeting import meet\ndef test_one(): meet()\n",
}


@pytest.fixture(scope="module")
def extensions(compile_c):
    """The folder of two extension modules: one that needs the GIL, one that declares that it does not."""
    declared = "{Py_mod_gil, Py_MOD_GIL_NOT_USED}, "
    compile_c("declares_itself", EXTENSION % (declared, "declares_itself", "declares_itself"))
    return str(compile_c("needs_gil", EXTENSION % ("", "needs_gil", "needs_gil")).parent)


@pytest.fixture(scope="module")
def run(mini, extensions):
    """A run of a mini project in which the extensions can be imported; the GIL is off at its start."""

    def run_with(files, *arguments, PYTHON_GIL=None, **options):
        path = f"[pytest]\npythonpath = . {extensions}\n"
        return mini({"pytest.ini": path, **files}, *ARGUMENTS, *arguments, PYTHON_GIL=PYTHON_GIL, **options)

    return run_with


@pytest.fixture(scope="module")
def imports(run):
    """Imports in tests, each of which costs the worker its life."""
    return run({"test_imports.py": IMPORTS})


@pytest.mark.parametrize(
    "name",
    ["test_import", "test_import_ignored", "test_import_as_error_swallowed", "test_import_and_skip",
     "test_import_in_setup"],
)  # fmt: skip
def test_import_in_a_test(imports, name):
    """Whatever becomes of the warning, the test has failed, and the module and the line are named."""
    assert imports.verdict(name) == "GIL re-enabled"
    finding = imports.finding(name)
    assert "'needs_gil'" in finding["headline"]
    assert "test_imports.py:" in finding["headline"]
    assert "failed" in imports.outcomes(name).values()
    assert imports.junit_outcome(name)[0] in ("failure", "error")


@pytest.mark.parametrize(
    ("name", "kind"), [("test_import_and_failure", "KeyError"), ("test_import_as_error", "RuntimeWarning")]
)
def test_failure_is_worse(imports, name, kind):
    """The test's own failure is its verdict; that the GIL came on is still said, and blamed."""
    assert imports.verdict(name) == "failure"
    findings = {finding["verdict"]: finding for finding in imports.test(name)["findings"]}
    assert set(findings) == {"failure", "GIL re-enabled"}
    assert kind in findings["failure"]["headline"]
    assert "'needs_gil'" in findings["GIL re-enabled"]["headline"]


@pytest.mark.parametrize("name", ["test_before", "test_after_import", "test_declared", "test_last"])
def test_others_run_without_the_gil(imports, name):
    """The bodies assert it: a test after an import has a worker with the GIL off. A module that declares itself is fine."""
    assert imports.verdict(name) == "passed", imports.text(name)
    assert imports.test(name)["coverage"]["gil"] is False


def test_run_with_imports(imports):
    assert imports.status == 1
    names = sorted(test.rpartition("::")[2] for test in imports.verdicts())
    assert sorted(str(case.get("name")) for case in imports.junit.iter("testcase")) == names
    assert len(names) == 11
    imports.lines.fnmatch_lines(["ftcheck: CPython * free-threaded, GIL off, *"])
    imports.lines.no_fnmatch_line("*INTERNALERROR*")
    assert "crash" not in imports.verdicts().values()


@pytest.mark.parametrize("filter_", ["error", "ignore"])
def test_import_at_collection(run, filter_):
    """The tests of the module that imports it are accused; no other test is called passed, for nothing ran in parallel."""
    result = run(COLLECTED, f"-W{filter_}")
    assert result.status != 0
    if filter_ == "error":  # the import raised, so the module has no tests, and pytest says so
        assert "needs_gil" in result.out
        assert "passed" not in result.verdicts().values()
        return
    assert result.status == 1
    for name in ("test_in_the_module", "test_in_the_module_too"):
        assert result.verdict(name) == "GIL re-enabled"
        assert "'needs_gil'" in result.finding(name)["headline"]
        assert "test_a_imports.py:" in result.finding(name)["headline"]
        assert result.junit_outcome(name) == ["failure"]
    assert result.verdict("test_elsewhere") == "not checked"
    assert "'needs_gil'" in result.test("test_elsewhere")["reason"]


@pytest.mark.parametrize("filter_", ["error", "ignore"])
def test_import_before_collection(run, filter_):
    """In conftest.py: no test is accused, the run is."""
    result = run(CONFTEST, f"-W{filter_}")
    assert result.status == 1
    assert result.verdicts() == {"test_one.py::test_one": "not checked"}
    [finding] = result.general
    assert finding["verdict"] == "GIL re-enabled"
    assert "'needs_gil'" in finding["headline"]


def test_without_a_worker(run):
    """In this process the GIL stays on: the tests after the import are not called passed."""
    result = run({"test_imports.py": IMPORTS}, "--ftcheck-isolate=no", "-k", "before or test_import_ignored or declared")
    assert result.status == 1
    assert result.verdict("test_before") == "passed"
    assert result.verdict("test_import_ignored") == "GIL re-enabled"
    assert result.verdict("test_declared") == "failure"  # it asserts that the GIL is off
    result = run(COLLECTED, "--ftcheck-isolate=no", "-k", "elsewhere")
    assert result.verdict("test_elsewhere") == "not checked"


def test_gil_forced_on(run):
    """PYTHON_GIL=1 is the user's wish: said in the header and with each pass, and no verdict."""
    result = run(COLLECTED, PYTHON_GIL="1")
    assert result.status == 0
    assert set(result.verdicts().values()) == {"passed"}
    assert result.test("test_elsewhere")["coverage"]["gil"] is True
    result.lines.fnmatch_lines(["ftcheck: *GIL on (forced by PYTHON_GIL=1)*"])
    assert result.junit_properties("test_elsewhere")["ftcheck_coverage"].endswith("GIL on")


def test_gil_forced_off(run):
    """PYTHON_GIL=0: no import turns it on, so there is nothing to report."""
    result = run(COLLECTED, PYTHON_GIL="0")
    assert result.status == 0
    assert set(result.verdicts().values()) == {"passed"}
    assert result.test("test_elsewhere")["coverage"]["gil"] is False
    result.lines.fnmatch_lines(["ftcheck: *GIL off (forced by PYTHON_GIL=0)*"])

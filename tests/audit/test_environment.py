"""A folder of installed distributions: what each module is said to be, against what it was made to be."""

import sys

import pytest

from ftcheck import interpreter
from ftcheck.audit.model import Readiness

from .making import DECLARES, NOT_USED, OWN_GIL, USED, audited, dist_info, installed, module, multi, row, single

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="ELF"),
    pytest.mark.skipif(not interpreter.free_threaded_build(), reason="what imports do to the GIL shows without it only"),
]


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site-packages")
    installed(
        folder,
        "good",
        ("g_declares", multi("g_declares", slots=NOT_USED + OWN_GIL)),
        ("g_single", single("g_single", DECLARES)),
        metadata="Classifier: Programming Language :: Python :: Free Threading :: 3 - Stable\n",
    )
    installed(
        folder,
        "bad",
        ("b_used", multi("b_used", slots=USED)),
        ("b_silent", multi("b_silent", slots="")),
        ("b_single", single("b_single")),
        ("b_fine", multi("b_fine")),
        metadata="Classifier: Programming Language :: Python :: Free Threading :: 4 - Resilient\nRequires-Dist: good\n",
    )
    imports = 'PyObject *other = PyImport_ImportModule("b_single"); if (other == NULL) return -1; Py_DECREF(other);'
    installed(
        folder,
        "drawn",
        ("d_needs", multi("d_needs", fill=imports)),
        ("d_other", multi("d_other")),
        ("d_misses", multi("d_misses", fill='if (PyImport_ImportModule("nowhere_to_be_found") == NULL) return -1;')),
        ("d_raises", multi("d_raises", fill='PyErr_SetString(PyExc_ImportError, "needs the moon"); return -1;')),
    )
    made = "slots_made[0].slot = Py_mod_gil; slots_made[0].value = Py_MOD_GIL_NOT_USED; definition.m_slots = slots_made;"
    source = multi("r_made", slots="", init=made).replace("PyMODINIT", "static PyModuleDef_Slot slots_made[4]; PyMODINIT")
    installed(folder, "runtime", ("r_made", source))
    dist_info(folder, "pure", "2.0", [], tag="py3-none-any")
    return audited(folder, subinterpreters=True)


@pytest.mark.parametrize(
    ("name", "readiness"),
    [
        ("g_declares", Readiness.DECLARED),
        ("g_single", Readiness.DECLARED),
        ("b_used", Readiness.TURNS_GIL_ON),
        ("b_silent", Readiness.TURNS_GIL_ON),
        ("b_single", Readiness.TURNS_GIL_ON),
        ("b_fine", Readiness.DECLARED),
        ("d_needs", Readiness.DECLARED),
        ("d_other", Readiness.DECLARED),
        ("d_misses", Readiness.DECLARED),
        ("d_raises", Readiness.FAILED),
        ("r_made", Readiness.DECLARED),
    ],
)
def test_each_module_is_what_it_was_made_to_be(found, name, readiness):
    assert module(found, name).readiness is readiness


def test_every_module_that_turns_the_gil_on_is_named_and_no_other(found):
    guilty = {one.name for one in found.modules if any(two.module == one.name for two in one.imported.requires)}
    assert guilty == {"b_used", "b_silent", "b_single"}


def test_who_was_drawn_in_is_told_from_who_did_it(found):
    assert "import: GIL on through b_single" in module(found, "d_needs").evidence
    assert "import: GIL stayed off" in module(found, "d_other").evidence
    assert "import: GIL stayed off" in module(found, "b_fine").evidence


def test_what_fails_says_why(found):
    assert "ImportError: needs the moon" in " ".join(module(found, "d_raises").evidence)
    assert "needs nowhere_to_be_found" in " ".join(module(found, "d_misses").evidence)


def test_slots_by_the_function_and_by_the_bytes_are_the_same(found):
    both = [one for one in found.modules if one.called is not None and one.called.slots is not None and one.name != "r_made"]
    assert len(both) == 8
    for one in both:
        assert one.binary.reading(one.name).slots == one.called.slots, one.name


def test_an_array_that_is_made_while_loading_is_not_in_the_bytes(found):
    one = module(found, "r_made")
    assert one.called.slots.gil == 1
    assert one.binary.reading("r_made").slots is None or one.binary.reading("r_made").slots.gil is None


def test_single_phase_modules_are_not_called_and_their_bytes_decide_nothing(found):
    for name in ("g_single", "b_single"):
        one = module(found, name)
        assert one.binary.phase == "single-phase"
        assert one.called is None
        assert "only a run decides" in one.binary.reading(name).why


def test_subinterpreters(found):
    assert module(found, "g_declares").subinterpreter.problem == ""
    for name in ("b_used", "g_single", "b_fine"):
        assert module(found, name).subinterpreter.refuses == name
    assert module(found, "d_needs").subinterpreter.refuses == "d_needs"


@pytest.mark.parametrize(
    ("name", "readiness", "attention"),
    [
        ("good", Readiness.DECLARED, False),
        ("bad", Readiness.TURNS_GIL_ON, True),
        ("drawn", Readiness.FAILED, True),
        ("pure", Readiness.PURE, False),
    ],
)
def test_rows(found, name, readiness, attention):
    assert (row(found, name).readiness, row(found, name).needs_attention) == (readiness, attention)


def test_claims_are_held_against_what_is(found):
    assert row(found, "bad").classifier == "4 - Resilient"
    assert any(one.kind == "classifier" and one.attention for one in row(found, "bad").remarks)
    assert not any(one.kind == "classifier" for one in row(found, "good").remarks)


def test_who_needs_it(found):
    assert row(found, "good").needed_by == ("bad",)
    assert row(found, "bad").needed_by == ()


def test_nothing_is_run_where_it_is_forbidden(tmp_path):
    mark = tmp_path / "mark"
    installed(
        tmp_path / "s", "x", ("x_marks", multi("x_marks", fill=f'fclose(fopen("{mark}", "w"));')), ("x_one", single("x_one"))
    )
    found = audited(tmp_path / "s", run=False)
    assert not mark.exists()
    assert module(found, "x_marks").readiness is Readiness.DECLARED
    assert module(found, "x_one").readiness is Readiness.NOT_CHECKED
    assert any("--no-run" in one for one in found.limits)


def test_the_body_of_a_multi_phase_module_is_not_run_by_asking_for_its_slots(tmp_path):
    mark = tmp_path / "mark"
    (path,) = installed(tmp_path / "s", "x", ("x_marks", multi("x_marks", fill=f'fclose(fopen("{mark}", "w"));')))
    from ftcheck.audit.probes import Batch, Probes

    probes = Probes(sys.executable, timeout=20, jobs=1)
    ((outcome,),) = probes.run([Batch("slots", ({"file": str(path), "module": "x_marks", "symbol": "PyInit_x_marks"},))])
    assert outcome.answer["gil"] == 1
    assert not mark.exists()

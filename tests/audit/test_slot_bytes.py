"""Slots read from bytes: those that were written, or an honest nothing."""

import itertools
import subprocess
import sys

import pytest

from ftcheck.audit import binary, slot_bytes
from ftcheck.audit.slot_bytes import Slots
from ftcheck.elf import Elf

from ..native.building import compiled, stripped
from .making import multi
from .synthetic import shared_object

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="ELF")
GIL = {None: "", 0: "{Py_mod_gil, Py_MOD_GIL_USED},", 1: "{Py_mod_gil, Py_MOD_GIL_NOT_USED},"}
INTERPRETERS = {None: "", 0: "{Py_mod_multiple_interpreters, (void *)0},", 2: "{Py_mod_multiple_interpreters, (void *)2},"}


def read(path, name):
    return slot_bytes.read(Elf(str(path)), name)


@pytest.mark.parametrize(("gil", "interpreters"), list(itertools.product(GIL, INTERPRETERS)))
def test_what_was_declared_is_read(tmp_path, gil, interpreters):
    path = compiled(tmp_path, "one", multi("one", slots=GIL[gil] + INTERPRETERS[interpreters]))
    whole = read(path, "one")
    assert (whole.slots, whole.way) == (Slots(gil, interpreters), "definition")
    assert read(stripped(path), "one") == whole


@pytest.mark.parametrize("said", ["pkg.one", "deep.pkg.one", "one"])
@pytest.mark.parametrize(
    "options", [[], ["-Wl,-z,pack-relative-relocs"], ["-O3"], ["-Wl,-O1", "-Wl,--as-needed"], ["-fno-plt"]]
)
def test_however_it_is_named_and_linked(tmp_path, said, options):
    try:
        path = compiled(tmp_path, "one", multi("one", said=said), *options)
    except subprocess.CalledProcessError:
        pytest.skip(f"this linker does not know {options}")
    assert read(path, "one").slots == Slots(1, None)


def test_two_modules_in_one_file_are_told_apart(tmp_path):
    second = (
        multi("two", slots=GIL[0]).replace("#include <Python.h>", "").replace("fill(", "fill2(").replace("fill}", "fill2}")
    )
    second = second.replace("slots", "slots2").replace(".m_slots2", ".m_slots").replace("definition", "definition2")
    path = compiled(tmp_path, "one", multi("one") + second)
    assert read(path, "one").slots.gil == 1
    assert read(path, "two").slots.gil == 0


def test_an_array_that_the_name_does_not_lead_to_is_found_by_itself(tmp_path):
    source = multi("one", init='definition.m_name = "one";').replace('.m_name = "one",', "")
    found = read(compiled(tmp_path, "one", source), "one")
    assert (found.slots, found.way) == (Slots(1, None), "array")


def test_numbers_that_look_like_a_slot_are_none(tmp_path):
    """An array of {4, 1} that belongs to something else, and a definition without slots in the file."""
    body = "__attribute__((used)) static long decoy[] = {4, 1, 0, 0, 4, 0, 0, 0, 7, 7};"
    source = multi("one", slots="", body=body).replace(", .m_slots = slots", "")
    assert read(compiled(tmp_path, "one", source), "one").slots is None


def test_where_nothing_is_in_the_file_nothing_is_said(tmp_path):
    source = multi("one", slots="", init="definition.m_slots = made;")
    source = source.replace("PyMODINIT", "PyModuleDef_Slot *made; PyMODINIT").replace(", .m_slots = slots", "")
    found = read(compiled(tmp_path, "one", source), "one")
    assert found.slots is None
    assert "makes it while it is loaded" in found.why


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    "slots", [((2, 0), (4, 1)), ((2, 0), (4, 0)), ((2, 0),), ((4, 1),), ((3, 2), (4, 1)), ((1, 0), (3, 0))]
)
def test_other_machines_and_byte_orders(tmp_path, order, slots):
    path = tmp_path / "other.so"
    path.write_bytes(shared_object(order=order, slots=slots))
    said = dict(slots)
    assert read(path, "other").slots == Slots(said.get(4), said.get(3))


@pytest.mark.parametrize("slots", [((4, 7),), ((99, 0), (4, 1)), ((3, 9), (4, 1))])
def test_what_cannot_be_slots_is_none(tmp_path, slots):
    path = tmp_path / "other.so"
    path.write_bytes(shared_object(slots=slots))
    assert read(path, "other").slots is None


def test_a_synthetic_file_is_read_as_a_whole(tmp_path):
    path = tmp_path / "other.so"
    path.write_bytes(shared_object(order=">", machine=22))
    found = binary.read(str(path))
    assert (found.modules, found.machine, found.phase, found.problem) == (("other",), "s390x", "multi-phase", "")
    path.write_bytes(shared_object(imports="PyModule_Create2"))
    assert binary.read(str(path)).phase == "single-phase"

"""Static state: golden files, JSON there and back, and what the writes of many tests and processes come to."""

import dataclasses
import json

import jsonschema
import pytest

from ftcheck.report.json_report import from_json
from ftcheck.report.model import RunReport
from ftcheck.report.statics_book import StaticsBook
from ftcheck.report.terminal import render
from ftcheck.static_state import Image, Locking, Place, TestWrites, Write, writes_from_plain
from ftcheck.verdicts import TestVerdict, Verdict, to_plain

from .test_json import report as json_report
from .test_json import schema as schema
from .test_json import written

FAST, CACHE, LIBRARY = "/site/shop/_fast.so", "/site/shop/_cache.so", "/site/shop.libs/libprice-1a2b.so"
SECTIONS = ((".data", 1024), (".bss", 4096))
IMAGES = (
    Image(FAST, ("shop._fast",), False, SECTIONS, Locking()),
    Image(CACHE, ("shop._cache",), False, SECTIONS, Locking(("PyMutex", "critical sections"), ("pthread_once",))),
    Image(LIBRARY, ("shop._fast",), True, SECTIONS[1:], Locking(("pthread mutexes",)), imported_by="t.py::test_a"),
    Image("/site/shop/_rust.so", ("shop._rust",), False, SECTIONS, Locking(blind="it is written in Rust")),
    Image("/site/shop/_const.so", ("shop._const",), False, (), Locking()),
    Image("/site/shop/_gone.so", ("shop._gone",), False, (), Locking(), problem="its file was replaced after it was loaded"),
)


def place(name="", offset=0, size=8, file=FAST, section=".bss", note=""):
    return Place(file, section, offset, size, name, note)


def write(where, when=(0,), old="00" * 8, new="05" + "00" * 7, at=0, changed=None):
    return Write(where, tuple(when), at, where.size if changed is None else changed, old, new)


def run(test, *writes, number=0, process="p", parts=1, images=(), left_out=()):
    return TestWrites(f"t.py::{test}", process, number, parts, tuple(images), tuple(writes), tuple(left_out))


def book(*runs, chosen=("shop.*",), begun=()):
    made = StaticsBook(chosen)
    for test in begun:
        made.begun(f"t.py::{test}")
    for one in runs:
        made.begun(one.test)
        made.note(one)
    return made.state()


COUNTER, TABLE = place("counter"), place("table", 64, file=CACHE)
BIG = place("histogram", 128, 2048)
STATE = book(
    run(
        "test_a",
        write(COUNTER),
        write(TABLE, new="a0b1c2d3e47f0000"),
        write(place(offset=256), old="0000000000000000", new="0100000000000000"),
        write(place(offset=8, size=24, file=LIBRARY), old="00" * 16, new="11" * 16),
        images=IMAGES,
        left_out=((CACHE, "version tags in static types", 64), (CACHE, "version tags in static types", 640)),
    ),
    run("test_b", write(COUNTER, old="05" + "00" * 7, new="0a" + "00" * 7), write(BIG, at=512, changed=16), number=1),
    run(
        "test_c",
        write(
            place("Late", 512, 424, note="a type is made ready (PyType_Ready)"), changed=300, old="00" * 16, new="01" * 16
        ),
        write(place("flag", 1000, 1), old="00", new="01"),
        number=2,
    ),
    chosen=("shop.*", "shep.*"),
    begun=("test_dies",),
)


def text(state, tests=(), width=120, verbose=0):
    report = RunReport("CPython", False, 7, "--ftcheck", tuple(tests), statics=state)
    return render(report, width=width, colour=False, verbose=verbose, where=str)


def rows(state):
    return [(one.place.name or hex(one.place.offset), one.place.size, one.how, one.count) for one in state.statics]


def test_golden(golden):
    golden("statics", text(STATE))


def test_golden_beside_verdicts(golden):
    golden("statics_beside_verdicts", text(STATE, [TestVerdict("t.py::test_a", Verdict.NOT_CHECKED, reason="it is alone")]))


def test_golden_many(golden):
    """Modules without writes are folded, and so are variables and tests; ``-v`` shows them all."""
    images = [dataclasses.replace(IMAGES[0], file=f"/site/m{n}.so", modules=(f"m{n}",)) for n in range(8)]
    runs = [
        run(
            f"test_{number}",
            *(write(place(f"v{n}", 8 * n, file="/site/m3.so")) for n in range(15)),
            number=number,
            images=images if number == 0 else (),
        )
        for number in range(6)
    ]
    golden("statics_many", text(book(*runs, chosen=("all",))))
    shown = text(book(*runs, chosen=("all",)), verbose=1)
    assert all(f"v{n}  .bss" in shown for n in range(15))
    assert "t.py::test_5" in shown
    assert "m7  (" in shown


def test_golden_nothing(golden):
    golden("statics_nothing", text(book(run("test_a", images=IMAGES[:2]))))


def test_quietly_the_number_is_said():
    assert text(STATE, verbose=-1).splitlines() == ["static state of shop.*, shep.*: 7 variables written in 3 tests"]


def test_there_and_back_and_valid(schema):
    for subject in (json_report([], statics=STATE), json_report([]), json_report([], statics=book())):
        data = written(subject)
        assert from_json(data) == subject
        jsonschema.validate(json.loads(data), schema, jsonschema.Draft202012Validator)


def test_a_report_of_an_older_ftcheck_has_none():
    data = json.loads(written(json_report([], statics=STATE)))
    del data["statics"]
    assert from_json(json.dumps(data)).statics is None


@pytest.mark.parametrize(
    ("part", "key"),
    [("statics", None), ("image", "images"), ("static", "statics"), ("left_out", "left_out"), ("place", "place")],
)
def test_every_key_is_in_the_schema(part, key, schema):
    data = json.loads(written(json_report([], statics=STATE)))["statics"]
    one = data if key is None else data["statics"][0]["place"] if key == "place" else data[key][0]
    assert set(one) == set(schema["$defs"][part]["properties"])


def test_over_the_channel():
    for one in (run("test_a", write(COUNTER), write(BIG, (0, 3)), images=IMAGES, left_out=((FAST, "x", 8),)), run("test_b")):
        assert writes_from_plain(json.loads(json.dumps(to_plain(one)))) == one


# --- once, steadily, or nobody knows --------------------------------------------------------------------------------


def test_what_no_later_test_wrote_is_once():
    state = book(run("a", write(COUNTER)), run("b", number=1), run("c", number=2))
    assert [(one.how, one.later, one.rounds) for one in state.statics] == [("once", 2, False)]


def test_what_later_rounds_did_not_write_is_once():
    state = book(run("a", write(COUNTER), parts=8))
    assert [(one.how, one.later, one.rounds) for one in state.statics] == [("once", 0, True)]


def test_what_another_test_wrote_again_is_steadily():
    state = book(run("a", write(COUNTER)), run("b", number=1), run("c", write(COUNTER), number=2))
    assert [(one.how, one.count, one.rounds) for one in state.statics] == [("steadily", 2, False)]


def test_what_several_rounds_wrote_is_steadily():
    state = book(run("a", write(COUNTER, (0, 1)), parts=8))
    assert [(one.how, one.count, one.rounds) for one in state.statics] == [("steadily", 1, True)]


def test_of_what_the_last_one_wrote_nobody_knows():
    state = book(run("a"), run("b", write(COUNTER), number=1))
    assert [one.how for one in state.statics] == ["unknown"]


def test_each_process_has_its_own_variables():
    """Once in each of two processes is once, although two tests wrote it; twice in one of them is steadily."""
    first = run("a", write(COUNTER), process="p"), run("b", process="p", number=1)
    once = book(*first, run("c", write(COUNTER), process="q"), run("d", process="q", number=1))
    assert [(one.how, one.count, one.processes, one.later) for one in once.statics] == [("once", 2, 2, 2)]
    twice = book(*first, *(run(name, write(COUNTER), process="q", number=n) for n, name in enumerate("cd")))
    assert [(one.how, one.count) for one in twice.statics] == [("steadily", 3)]


def test_a_test_that_is_run_again_is_one_test():
    state = book(run("a", write(COUNTER)), run("a", write(COUNTER), number=1))
    assert [(one.how, one.count, one.tests) for one in state.statics] == [("steadily", 1, ("t.py::a",))]


def test_of_many_tests_the_first_are_named():
    state = book(*(run(f"test_{n}", write(COUNTER), number=n) for n in range(50)))
    assert [(one.count, len(one.tests), one.tests[0]) for one in state.statics] == [(50, 20, "t.py::test_0")]


# --- memory without a name ----------------------------------------------------------------------------------------


def test_words_with_the_same_history_are_one():
    state = book(run("a", write(place(size=16), old="00" * 16, new="01" * 16)), run("b", number=1))
    assert rows(state) == [("0x0", 16, "once", 1)]


def test_words_with_another_history_are_apart():
    """The second word was written twice: its neighbour was not."""
    wide = write(place(size=24), old="00" * 16, new="01" * 8 + "02" * 8)
    narrow = write(place(offset=8), old="02" * 8, new="03" * 8)
    state = book(run("a", wide), run("b", narrow, number=1), run("c", number=2))
    assert sorted(rows(state)) == [("0x0", 8, "once", 1), ("0x10", 8, "once", 1), ("0x8", 8, "steadily", 2)]
    by_offset = {one.place.offset: (one.old, one.new) for one in state.statics}
    assert by_offset == {0: ("00" * 8, "01" * 8), 8: ("00" * 8, "02" * 8), 16: ("", "")}


def test_sections_and_files_are_apart():
    where = [place(), place(section=".data"), place(file=CACHE)]
    state = book(run("a", *map(write, where)), run("b", number=1))
    assert len(state.statics) == 3


# --- what is not known --------------------------------------------------------------------------------------------


def test_tests_without_an_account_are_lost():
    state = book(run("a"), begun=("dies",))
    assert (state.tests, state.lost) == (1, ("t.py::dies",))


def test_an_image_that_was_there_before_in_one_process_was_not_imported_by_a_test():
    late = dataclasses.replace(IMAGES[0], imported_by="t.py::a")
    state = book(run("a", images=[late]), run("b", images=[IMAGES[0]], process="q"))
    assert [one.imported_by for one in state.images] == [""]
    alone = book(run("a", images=[late]))
    assert [one.imported_by for one in alone.images] == ["t.py::a"]


def test_what_matches_nothing_is_said():
    state = book(run("a", images=IMAGES), chosen=("shop.*", "shap.*", "shop._fast", "all"))
    assert state.unmatched == ("shap.*",)

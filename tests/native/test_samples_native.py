"""The sample extensions from the inside: built with ftcheck-cc, each data race is reported at the lines that are marked.

Each sample is run on its own, 20 rounds with one seed: an unsafe one has a race between its two marked lines reported, and
no race at other lines; its twin has none. How often that is so, with many seeds and with both compilers, is measured by
``bench/native_samples.py``; the worst that was seen is a miss in one of five runs. Here an unsafe sample has twenty seeds to
be found with: if each were missed as often as that, all would be with a probability of 1e-14.
"""

import shutil
from pathlib import Path

import pytest
from bench.native_samples import NAMES, OUTSIDE, SAMPLES, Marks, build, marks, races, seen

from ftcheck import _core, interpreter

needs_all = pytest.mark.skipif(
    interpreter.gil_enabled() or not hasattr(_core, "native_watch") or shutil.which("gcc") is None,
    reason="extensions are watched without the GIL, on Linux, and need a compiler",
)


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("samples")
    build("gcc", folder)
    return folder


@needs_all
@pytest.mark.parametrize("name", NAMES)
def test_unsafe_sample_is_reported_at_its_marks(built, name):
    said = marks(SAMPLES / "unsafe" / name)
    wrong = []
    for seed in range(1, 21):
        judged = said.judge(seen(built, "unsafe", seed, [name])[name])
        if not judged:
            return
        wrong.append(judged)
        assert not said.none, judged
    raise AssertionError(wrong)


@needs_all
@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_reported_of_safe_sample(built, name):
    assert seen(built, "safe", 1, [name])[name] == []


@pytest.mark.parametrize("name", NAMES)
def test_unsafe_sample_is_marked(name):
    said = marks(SAMPLES / "unsafe" / name)
    assert bool(said.first and said.second) != said.none


@pytest.mark.parametrize("name", NAMES)
def test_safe_sample_has_no_marks(name):
    said = marks(SAMPLES / "safe" / name)
    assert said == Marks(frozenset(), frozenset(), frozenset(), none=False)


@pytest.mark.parametrize("name", NAMES)
def test_tests_of_twins_differ_in_the_import_only(name):
    one, other = (
        (SAMPLES / kind / name / f"test_{kind}_{name}.py").read_text().replace(f"{kind}_{name}", name)
        for kind in ("unsafe", "safe")
    )
    assert one == other


def pair(*places):
    return frozenset(places)


class TestMarks:
    """What counts as found, and what does not."""

    MARKS = Marks(pair("a.c:1"), pair("a.c:2"), pair("a.c:3"), False)

    def test_the_two_lines(self):
        assert self.MARKS.judge([pair("a.c:1", "a.c:2")]) == ""

    def test_a_consequence_beside_them(self):
        assert self.MARKS.judge([pair("a.c:1", "a.c:2"), pair("a.c:3")]) == ""

    def test_nothing(self):
        assert self.MARKS.judge([]) == "nothing is reported"

    def test_consequences_alone(self):
        assert self.MARKS.judge([pair("a.c:3", "a.c:2")]) == "not between the marked lines: a.c:2 and a.c:3"

    def test_one_line_twice(self):
        assert self.MARKS.judge([pair("a.c:1")]).startswith("not between")

    def test_another_line(self):
        assert self.MARKS.judge([pair("a.c:1", "a.c:2"), pair("a.c:1", "a.c:9")]) == "at other lines: a.c:1 and a.c:9"

    def test_none(self):
        nothing = Marks(frozenset(), frozenset(), frozenset(), True)
        assert nothing.judge([]) == ""
        assert nothing.judge([pair("a.c:1")]) == "there is none, and reported is a.c:1"

    def test_one_mark_for_both(self):
        both = Marks(pair("a.c:1"), pair("a.c:1"), frozenset(), False)
        assert both.judge([pair("a.c:1")]) == ""

    def test_are_read(self, tmp_path: Path):
        (tmp_path / "a.c").write_text("x;  /* race: 1 */\ny;  /* race: too */\nz;  /* a race */\n")
        (tmp_path / "b.cpp").write_text("x;  // race\n")
        (tmp_path / "c.pyx").write_text("x  # race: 2\n")
        assert marks(tmp_path) == Marks(pair("a.c:1", "b.cpp:1"), pair("b.cpp:1", "c.pyx:1"), pair("a.c:2"), False)

    def test_with_python_code_as_the_other_side(self, tmp_path: Path):
        (tmp_path / "a.c").write_text("x;  /* race: 1; 2 is in Python */\n")
        assert marks(tmp_path) == Marks(pair("a.c:1"), pair(OUTSIDE), frozenset(), False)

    def test_with_python_code_as_the_other_side_of_a_consequence(self, tmp_path: Path):
        (tmp_path / "a.c").write_text("x;  // race\ny;  // race: too; 2 is in Python\n")
        assert marks(tmp_path) == Marks(pair("a.c:1"), pair("a.c:1"), pair("a.c:2", OUTSIDE), False)


def test_races_are_read_from_a_report():
    text = """\
some text
data race of x, seen 2 times:
  body 0: write
    object.h:9 in Py_INCREF    x
    a.c:18 in next     x++;
    a.c:30 in outer
    test_a.py:16 in take  (Python)
  body 1: atomic read before
    a.c:18 in next     x++;

data race, seen once:
  body 0: free
    test_a.py:16 in take  (Python)
  body 1: read before
    b.c:7 in get

other text
"""
    assert races(text, frozenset({"a.c", "b.c"})) == [pair("a.c:18"), pair("b.c:7", OUTSIDE)]

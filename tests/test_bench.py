"""The measuring itself: the figures of bench/ against slow and obvious ways to get them."""

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench import explore_peers, overlap  # noqa: E402  # the folder is no installed package
from bench.real_world import native, native_page, packages, page  # noqa: E402
from bench.real_world.catalog import Explored, Suite, load  # noqa: E402
from bench.real_world.native_catalog import CASES, Extension  # noqa: E402
from bench.real_world.native_catalog import load as load_extensions  # noqa: E402
from bench.run import fill  # noqa: E402

executions = st.builds(
    lambda thread, began, length: (thread, began, began + length), st.integers(0, 3), st.integers(0, 60), st.integers(1, 15)
)


@given(st.lists(executions, max_size=25))
def test_executions_that_overlapped_another_thread(stamps):
    ordered = sorted(stamps, key=lambda one: one[1])
    expected = sum(
        any(other[0] != one[0] and one[1] < other[2] and other[1] < one[2] for other in ordered) for one in ordered
    )
    assert overlap._together(ordered) == expected


def test_rounds_are_told_apart():
    apart = [
        (thread, 100 * round_ + 20 * thread, 100 * round_ + 20 * thread + 10) for round_ in range(200) for thread in (0, 1)
    ]
    together = [(thread, 100 * round_ + thread, 100 * round_ + 10) for round_ in range(200) for thread in (0, 1)]
    assert overlap.figures(apart) == {"executions": 400, "together": 0.0, "rounds": 0.0}
    assert overlap.figures(together) == {"executions": 400, "together": 1.0, "rounds": 1.0}


JUNIT = """<testsuites><testsuite>
<testcase classname="a" name="one"><properties><property name="ftcheck_verdict" value="passed"/></properties></testcase>
<testcase classname="a" name="two"><properties><property name="ftcheck_verdict" value="crash"/></properties>
  <failure message="crash: SIGSEGV&#10;more">text</failure></testcase>
<testcase classname="a" name="three"><skipped message="no"/></testcase>
<testcase classname="a" name="four"><properties><property name="ftcheck_verdict" value="passed"/></properties>
  <error message="teardown">text</error></testcase>
<testcase classname="a" name="five"/>
</testsuite></testsuites>"""


def test_junit_file_is_read(tmp_path):
    file = tmp_path / "report.xml"
    file.write_text(JUNIT)
    counts, findings = packages.read_junit(file)
    assert counts == {"passed": 2, "crash": 1, "skipped": 1, "error": 1}
    assert findings == {"a::two": ("crash", "crash: SIGSEGV"), "a::four": ("error", "teardown")}


def test_table_goes_between_the_marks(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- bench:overlap -->\nold\n<!-- /bench -->\nafter\n")
    fill(readme, "| new |")
    assert readme.read_text() == "before\n<!-- bench:overlap -->\n| new |\n<!-- /bench -->\nafter\n"


BUGS, EXPLORED, SUITES = load()


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_each_bug_has_a_test_and_a_reason(bug):
    assert list((ROOT / "bench" / "real_world" / "cases" / bug.name).glob("test_*.py"))
    assert bug.why
    assert bug.verdicts


@pytest.mark.parametrize("bug", EXPLORED, ids=lambda bug: bug.name)
def test_each_explored_bug_has_a_test_a_scope_and_a_reason(bug):
    assert list((ROOT / "bench" / "real_world" / "explored" / bug.name).glob("test_*.py"))
    assert bug.why
    assert bug.scope
    assert bug.verdicts


def test_each_explored_case_is_in_the_catalogue():
    folders = {path.parent.name for path in (ROOT / "bench" / "real_world" / "explored").glob("*/test_*.py")}
    assert folders == {bug.name for bug in EXPLORED}


def test_each_case_is_in_the_catalogue():
    folders = {path.parent.name for path in (ROOT / "bench" / "real_world" / "cases").glob("*/test_*.py")}
    assert folders == {bug.name for bug in BUGS}


def test_names_in_the_catalogue_are_unique():
    for entries in ([*BUGS, *SUITES], EXPLORED):
        names = [entry.name for entry in entries]
        assert len(names) == len(set(names))


def test_page_says_what_was_explored_and_what_did_not_come_back():
    entries = [
        Explored("lost", "a==1", ("a",), "It counts.", upstream="a issue 1", fixed="a==2"),
        Explored("gone", "b==1", ("b", "c"), "It forgets."),
        Explored("hidden", "d==1", ("d",), "It hides."),
    ]
    found = {"found": True, "verdict": "failure", "headline": "AssertionError", "schedules": 3, "preemptions": 1}
    rows = {
        "explored/lost": {**found, "replayed": True, "clean": True, "fixed": "passed", "coverage": "all 2"},
        "explored/gone": {**found, "replayed": False, "clean": None},
        "explored/hidden": {"found": False, "verdict": "passed", "replayed": None, "clean": None},
    }
    text = page.render({"interpreter": "Python", "rows": rows}, [], entries, [])
    assert "2 of 3 were found, and 1 of 2 came back" in text
    assert "1 of 1 passed." in text
    assert "| [lost](#lost-explored) | a==1 | a | failure | 3 | 1 | yes | 2: passed (all 2) |" in text
    assert "| [gone](#gone-explored) | b==1 | b, c | failure | 3 | 1 | **no** | no such release |" in text
    assert "| [hidden](#hidden-explored) | d==1 | d | **not found**: passed | | | | no such release |" in text
    assert "Upstream: a issue 1." in text


def row(tests, findings=()):
    return {
        "verdicts": {"passed": tests - len(findings), "failure": len(findings)},
        "findings": {name: {"verdict": "failure"} for name in findings},
        "seconds": {"ftcheck": 60.0, "plain": 1.0},
    }


def test_page_says_how_much_was_run_and_what_is_not_explained():
    few = ("--ftcheck-rounds=20",)
    suites = [
        Suite("large", "1", "C", limits=few, explained={"test_a": "Its own."}),
        Suite("usual", "2", "Python"),
        Suite("tried", "3", "Python", left_out="patches modules.", big=True),
    ]
    outcome = {"interpreter": "Python", "rows": {"large": row(4000, ["x::test_a", "x::test_b"]), "usual": row(10)}}
    text = page.render(outcome, [], [], suites)
    tables = text[text.index("At default settings:") :]
    assert tables.index("| usual 2 |") < tables.index("With `--ftcheck-rounds=20`") < tables.index("| large 1 |")
    assert "Together: 2 suites, 4,010 tests, 2 findings, 2 minutes." in text
    assert "- **large**: Its own. `x::test_a` (failure)" in text
    assert "- **large**: **not explained yet** `x::test_b` (failure)" in text
    assert "- tried: patches modules." in text


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ([[3, "found"], [9, "found, but raised KeyError"], [5, "found"]], "5 (3/3)"),
        ([[3, "found"], [9, "found"], [2, "cut"]], "9 (2/3)"),
        ([[3, "found"], [300, "cut"], [200, "cut"]], "> 200 (1/3)"),
        ([[3, "found"], [20, "hang"]], "**hang** (1/2)"),
        ([[6, "holds"]], "**holds** after 6"),
        ([[2, "found, but raised KeyError"]], "2, raised"),
        ([[80, "cut"]], "> 80"),
    ],
)
def test_peer_that_was_cut_short_is_not_said_to_have_found(outcomes, expected):
    assert explore_peers.cell({"outcomes": outcomes}) == expected


def test_peer_that_is_missing_and_an_aim_that_is_not_reached_are_said():
    result = {
        "releases": {"frontrun": "0", "interleave-test": "0"},
        "missing": {"frontrun": "frontrun 0 cannot be had here: no wheel"},
        "bugs": [],
        "speed": [
            {"what": "frontrun random", "error": "frontrun 0 cannot be had here: no wheel"},
            {"what": "interleave-test PCT", "schedules": 100.0, "wall": 90.0},
            {"what": explore_peers.COARSE, "schedules": 500.0, "wall": 400.0},
            {"what": "ftcheck, the engine alone, PCT", "schedules": 18_000.0, "wall": 19_000.0},
            {"what": "ftcheck, pytest and @given", "schedules": 2_000.0, "wall": 2_000.0},
        ],
    }
    text = explore_peers.table(result)
    assert "Not measured: frontrun 0 cannot be had here" in text
    assert "| ftcheck, the engine alone, PCT | 19,000 | 211.1 | 18,000 | 180.0 |" in text
    assert (
        "the engine alone: 200 times the fastest peer; reached by the clock (211), **not** reached by CPU time (180)" in text
    )
    assert "pytest: 50 times the fastest peer; **not** reached by the clock (22), **not** reached by CPU time (20)" in text


EXTENSIONS = load_extensions()


@pytest.mark.parametrize("one", EXTENSIONS, ids=lambda one: one.key)
def test_each_extension_has_tests_and_a_reason(one):
    assert one.why
    assert one.expect in ("nothing", "races")
    assert one.tests or list((CASES / (one.case or one.name)).glob("test_*.py"))
    assert not one.header or (CASES / one.header).exists()


def test_each_case_of_an_extension_is_in_the_catalogue():
    folders = {path.parent.name for path in CASES.glob("*/test_*.py")}
    assert folders == {one.case or one.name for one in EXTENSIONS if not one.tests}
    assert {path.name for path in CASES.glob("*.h")} == {one.header for one in EXTENSIONS if one.header}


def test_each_mutant_has_its_original_under_the_same_tests():
    kept = {
        (one.name, one.version, one.case or one.name, one.tests, one.words) for one in EXTENSIONS if one.expect == "nothing"
    }
    for one in EXTENSIONS:
        assert not one.header or (one.name, one.version, one.case or one.name, one.tests, one.words) in kept


DETAIL = """\
Traceback of something

data race of count, seen 3 times:
  body 0: write
    a.c:4 in bump                   count++;
    a.c:9 in call                   bump();
    test_a.py:3 in body  (Python)
  body 1: atomic read before
    a.c:5 in look                   return count;

data race, seen once:
  body 1: atomic read
    a.c:5 in look                   return count;
  body 0: write before
    a.c:4 in bump                   count++;

data race, seen once:
  main thread: read
    a.c:7 in use                    return *p;
  body 1: free before
    test_a.py:3 in body  (Python)

2 more were seen when there was no room for them
"""


def test_races_are_counted_by_their_two_lines():
    found = native.distinct(DETAIL)
    assert [headline for headline, _ in found] == [
        "atomic read at a.c:5 in look, write at a.c:4 in bump",
        "free at test_a.py:3 in body, read at a.c:7 in use",
    ]
    assert found[0][1].startswith("data race of count, seen 3 times:\n  body 0: write\n    a.c:4 in bump")
    assert native.distinct("nothing of the kind, data race, seen once:") == []


def _report(verdict, detail=""):
    finding = {"verdict": verdict, "headline": "a headline\nand more", "detail": detail}
    tests = [{"verdict": verdict, "coverage": {"rounds": 5, "overlapped": 4}}, {"verdict": "skipped", "coverage": None}]
    return {"tests": tests, "findings": [] if verdict == "passed" else [finding]}


def test_what_an_extension_must_come_to():
    kept = Extension("a", "a", "1", "C", why="It locks.", explained={"read at a.c:7": "It is so."})
    bug = Extension("b", "a", "1", "C", expect="races", why="It does not lock.")
    nothing, races = native.read(_report("passed")), native.read(_report("data race", DETAIL))
    assert (nothing["rounds"], nothing["overlapped"], nothing["races"]) == (5, 4, {})
    assert nothing["verdicts"] == {"passed": 1, "skipped": 1}
    assert native.as_expected(kept, nothing)
    assert not native.as_expected(bug, nothing)
    assert len(races["races"]) == 2
    assert races["others"] == []
    assert native.as_expected(bug, races)
    assert not native.as_expected(kept, races)  # only one of the two is explained
    crash = native.read(_report("crash"))
    assert crash["others"] == ["crash: a headline"]
    assert not native.as_expected(kept, crash)
    assert not native.as_expected(bug, crash)  # of a race nothing was seen
    assert not native.as_expected(kept, native.read({"tests": [], "findings": []}))
    assert not native.as_expected(bug, {"unavailable": "no compiler"})


def test_section_of_extensions():
    kept = Extension("a", "a", "1", "C", why="It locks.", explained={"read at a.c:7": "It is so."})
    mutant = Extension("a-mutant", "a", "1", "C", expect="races", header="none.h", why="All locks are gone.")
    bug = Extension("b", "b", "2", "C++", expect="races", why="It does not lock.", upstream="b issue 1")
    lost = Extension("c", "c", "3", "C", why="It locks.")
    row = native.read(_report("data race", DETAIL)) | {"seconds": 1.0, "compiler": "gcc 12", "modules": 1}
    rows = {"a": row, "a-mutant": row, "b": row, "c": {"unavailable": "no such version"}}
    text = native_page.section({"interpreter": "CPython", "rows": rows}, [kept, mutant, bug, lost])
    assert "1 extensions, 5 rounds, 2 reports" in text
    assert "- free at test_a.py:3 in body, read at a.c:7 in use: It is so." in text
    assert "- atomic read at a.c:5 in look, write at a.c:4 in bump: **not explained yet**" in text
    assert "| a 1 | All locks are gone. | `none.h` | 1 data race, 1 skipped | 2 |" in text
    assert "Upstream: b issue 1." in text
    assert "- c: no such version" in text
    assert native_page.section({"interpreter": "CPython", "rows": {}}, [kept]) == ""

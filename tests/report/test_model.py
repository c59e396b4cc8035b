"""model.py: what is seen of a test adds up, the worst wins, and a finding is shown once."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftcheck.coverage import Coverage
from ftcheck.report.model import Book, RunReport, Share
from ftcheck.verdicts import FailureGroup, Finding, TestVerdict, Verdict, worst

SOME = Coverage(threads=2, rounds=10, overlapped=9, failed=0, calls=20, seconds=0.1, limit="rounds")
MORE = Coverage(threads=2, rounds=99, overlapped=9, failed=0, calls=20, seconds=0.1, limit="rounds")
GROUP = FailureGroup("KeyError", "'x'", "body", 3, (0, 1), (2, 4))


def finding(verdict=Verdict.FAILURE, tests=("a",), headline="it fails", **rest):
    return Finding(verdict, tests, headline, **rest)


def report(book, general=()):
    return RunReport("CPython", True, 0, "--ftcheck", book.verdicts(), general)


class TestBook:
    @given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(Verdict)), min_size=1))
    def test_the_worst_of_each_test_wins_in_the_order_they_came(self, seen):
        book = Book()
        for test, verdict in seen:
            book.see(test, verdict)
        expected = {test: worst(verdict for other, verdict in seen if other == test) for test, _ in seen}
        assert {one.test: one.verdict for one in book.verdicts()} == expected
        assert [one.test for one in book.verdicts()] == list(dict.fromkeys(test for test, _ in seen))

    def test_is_empty_at_first(self):
        book = Book()
        assert not book
        assert book.verdicts() == ()
        book.see("a", Verdict.PASSED)
        assert book

    def test_a_finding_accuses_every_test_it_names(self):
        """A shared fixture's teardown that fails makes no pass of any test that used it, seen so far or not."""
        book, accusing = Book(), finding(Verdict.ERROR, ("a", "b"), phase="teardown")
        book.see("a", Verdict.PASSED)
        book.see("c", Verdict.PASSED, findings=[accusing])
        assert [(one.test, one.verdict, one.findings) for one in book.verdicts()] == [
            ("a", Verdict.ERROR, (accusing,)),
            ("c", Verdict.PASSED, ()),
            ("b", Verdict.ERROR, (accusing,)),
        ]

    def test_the_last_coverage_and_the_first_reason_stay(self):
        book = Book()
        book.see("a", Verdict.PASSED, coverage=SOME, reason="first")
        book.see("a", Verdict.PASSED, coverage=MORE, reason="second")
        book.see("a", Verdict.PASSED)
        (one,) = book.verdicts()
        assert (one.coverage, one.reason) == (MORE, "first")

    @pytest.mark.parametrize(("phase", "own", "shown"), [("call", None, SOME), ("call", MORE, MORE), ("setup", None, None)])
    def test_a_finding_of_the_call_shows_what_was_run(self, phase, own, shown):
        book = Book()
        book.see("a", Verdict.FAILURE, coverage=SOME, findings=[finding(phase=phase, coverage=own)])
        assert book.verdicts()[0].findings[0].coverage == shown


class TestRunReport:
    def test_the_worst_finding_comes_first_and_general_ones_count(self):
        book = Book()
        book.see("a", Verdict.FAILURE, findings=[finding()])
        book.see("b", Verdict.CRASH, findings=[finding(Verdict.CRASH, ("b",), "it died")])
        general = finding(Verdict.GIL_ENABLED, ("conftest.py",), "the GIL", phase="collection")
        assert [one.verdict for one in report(book, (general,)).findings] == [
            Verdict.CRASH, Verdict.FAILURE, Verdict.GIL_ENABLED,
        ]  # fmt: skip

    def test_findings_of_one_verdict_keep_their_order(self):
        book = Book()
        for name in "abc":
            book.see(name, Verdict.FAILURE, findings=[finding(tests=(name,))])
        assert [one.tests for one in report(book).findings] == [("a",), ("b",), ("c",)]

    @pytest.mark.parametrize("phase", ["teardown", "call"])
    def test_one_that_accuses_several_tests_comes_once(self, phase):
        """Also where these tests have run differently much."""
        book = Book()
        book.see("a", Verdict.PASSED, coverage=SOME)
        book.see("b", Verdict.PASSED, coverage=MORE, findings=[finding(tests=("a", "b"), phase=phase)])
        assert len(report(book).findings) == 1

    def test_counts(self):
        book = Book()
        for name, verdict in (("a", Verdict.PASSED), ("b", Verdict.PASSED), ("c", Verdict.CRASH)):
            book.see(name, verdict)
        counted = report(book)
        assert [counted.count(verdict) for verdict in (Verdict.PASSED, Verdict.CRASH, Verdict.HANG)] == [2, 1, 0]


def verdict_on(verdict, coverage=SOME, findings=(), **rest):
    return TestVerdict("t.py::a", verdict, coverage, findings=tuple(findings), **rest)


DIED = Finding(Verdict.CRASH, ("t.py::a",), "SIGSEGV in round 3", round=3)


class TestConcurrent:
    @pytest.mark.parametrize(
        ("test", "expected"),
        [
            (verdict_on(Verdict.PASSED), True),
            (verdict_on(Verdict.PASSED, None), False),  # not rerun: nobody has seen it in threads
            (verdict_on(Verdict.NOT_CHECKED), False),  # overlapped, but with the GIL on
            (verdict_on(Verdict.NOT_CHECKED, None), False),
            (verdict_on(Verdict.FAILURE, replace(SOME, overlapped=0, failed=1)), True),
            (verdict_on(Verdict.FAILURE, None, [finding()]), False),  # it failed alone
            (verdict_on(Verdict.CRASH, None, [DIED]), True),
            (verdict_on(Verdict.CRASH, None, [replace(DIED, round=0)]), False),  # in the set-up, or alone
            (verdict_on(Verdict.HANG, replace(SOME, overlapped=0), [replace(DIED, verdict=Verdict.HANG)]), True),
            (verdict_on(Verdict.EXPECTED_FAILURE), True),
        ],
    )
    def test_it_ran_at_the_same_time_or_was_found_in_its_rounds(self, test, expected):
        assert test.concurrent is expected

    @pytest.mark.parametrize(
        ("test", "expected"),
        [
            (verdict_on(Verdict.PASSED), True),
            (verdict_on(Verdict.NOT_CHECKED, replace(SOME, overlapped=0)), True),
            (verdict_on(Verdict.NOT_CHECKED, replace(SOME, threads=1)), False),
            (verdict_on(Verdict.SKIPPED), False),
            (verdict_on(Verdict.NOT_CHECKED, None), False),
            (verdict_on(Verdict.CRASH, None, [DIED]), True),
            (verdict_on(Verdict.CRASH, None, [replace(DIED, round=0)]), False),
        ],
    )
    def test_rerun_needs_no_luck(self, test, expected):
        assert test.rerun is expected

    def test_share_is_of_what_was_asked_for_and_not_skipped(self):
        counted = replace(
            report(Book()),
            tests=(
                verdict_on(Verdict.PASSED),
                verdict_on(Verdict.CRASH, None, [DIED]),
                verdict_on(Verdict.NOT_CHECKED, None),
                verdict_on(Verdict.ERROR, None),
                verdict_on(Verdict.SKIPPED, None),
                verdict_on(Verdict.SKIPPED),
                verdict_on(Verdict.FAILURE, None, asked=False),
            ),
        )
        assert counted.concurrent == Share(2, 4)

    @pytest.mark.parametrize(
        ("part", "whole", "percent", "value"),
        [
            (0, 0, "0%", None),
            (0, 9, "0%", 0),
            (1, 1000, "<1%", 0.001),
            (812, 1000, "81%", 0.812),
            (999, 1000, "99%", 0.999),
            (7, 7, "100%", 1),
        ],
    )
    def test_percent_is_rounded_down(self, part, whole, percent, value):
        assert (Share(part, whole).percent, Share(part, whole).value) == (percent, value)

    def test_what_is_only_accused_was_not_asked_for(self):
        book = Book()
        book.see("a", Verdict.PASSED, coverage=SOME, findings=[finding(tests=("a", "b"), phase="teardown")])
        book.see("c", Verdict.GIL_ENABLED, asked=False)
        book.see("d", Verdict.PASSED, asked=False)
        book.see("d", Verdict.PASSED, asked=True)
        assert {one.test: one.asked for one in book.verdicts()} == {"a": True, "b": False, "c": False, "d": True}


class TestAgain:
    def test_is_for_a_shell(self):
        assert report(Book()).again("t.py::test[it's $HOME]") == "pytest 't.py::test[it'\"'\"'s $HOME]' --ftcheck"

    def test_what_is_no_test_has_none(self):
        assert report(Book()).again("tests/conftest.py") == ""


@pytest.mark.parametrize(
    ("found", "rate"),
    [
        (DIED, "died in round 3"),
        (replace(DIED, verdict=Verdict.HANG), "did not end in round 3"),
        (replace(DIED, verdict=Verdict.DEADLOCK), "deadlocked in round 3"),
        (replace(DIED, round=0), ""),
        (finding(groups=(GROUP,), coverage=MORE), "failed in 2 of 99 rounds"),
        (finding(groups=(GROUP, replace(GROUP, kind="OSError", rounds=(4, 5))), coverage=MORE), "failed in 3 of 99 rounds"),
        (finding(groups=(replace(GROUP, rounds=(1,)),), coverage=replace(MORE, rounds=1)), "failed in 1 of 1 round"),
        (finding(groups=(replace(GROUP, rounds=(0,)),), coverage=MORE), ""),
        (finding(groups=(GROUP,)), ""),
    ],
)
def test_rate(found, rate):
    """How often a finding showed, in words."""
    assert found.rate == rate

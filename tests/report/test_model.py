"""model.py: what is seen of a test adds up, the worst wins, and a finding is shown once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftcheck.report.model import Book, RunReport
from ftcheck.verdicts import Coverage, Finding, Verdict, worst

SOME = Coverage(threads=2, rounds=10, overlapped=9, failed=0, calls=20, seconds=0.1, limit="rounds")
MORE = Coverage(threads=2, rounds=99, overlapped=9, failed=0, calls=20, seconds=0.1, limit="rounds")


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

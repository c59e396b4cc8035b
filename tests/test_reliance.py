"""reliance.py: from the rates of three reruns to a kind, for every combination of what a rerun can say."""

import dataclasses
import itertools
import json
import math

import pytest

from ftcheck.reliance import ALONE, LUCK, WITH, WITHOUT, decide, failed_alone, luck, not_classified
from ftcheck.verdicts import Finding, Reliance, RelianceKind, Rerun, Verdict, finding_from_plain, to_plain

FAILS, PASSES, UNKNOWN, NO_OVERLAP = "fails", "passes", "unknown", "no overlap"


def rerun(mode, state):
    return {
        FAILS: Rerun(mode, failed=20, rounds=20, overlapped=20),
        PASSES: Rerun(mode, failed=0, rounds=200, overlapped=0 if mode == ALONE else 150),
        UNKNOWN: Rerun(mode, note="no time was left"),
        NO_OVERLAP: Rerun(mode, failed=0, rounds=200, overlapped=0),
    }[state]


def kind(alone, without, with_gil, **about):
    states = {ALONE: alone, WITHOUT: without, WITH: with_gil}
    return decide([rerun(mode, state) for mode, state in states.items() if state is not None], **about).kind.value


THREADED = (FAILS, PASSES, UNKNOWN, NO_OVERLAP)


@pytest.mark.parametrize(("without", "with_gil"), list(itertools.product((*THREADED, None), (*THREADED, None))))
def test_what_fails_alone_is_nothing_else(without, with_gil):
    assert kind(FAILS, without, with_gil) == "fails alone"


@pytest.mark.parametrize(("without", "with_gil"), list(itertools.product(THREADED, THREADED)))
def test_without_alone_nothing_is_known(without, with_gil):
    """An unknown is no pass. But where a test needs a second body, threads are all there is."""
    assert kind(UNKNOWN, without, with_gil) == "not classified"
    assert kind(UNKNOWN, without, with_gil, needs_company=True) == kind(PASSES, without, with_gil)


EXPECTED = {
    (FAILS, FAILS): "thread-unsafe with or without the GIL",
    (FAILS, PASSES): "GIL-reliant",
    (FAILS, UNKNOWN): "thread-unsafe without the GIL",
    (FAILS, NO_OVERLAP): "thread-unsafe without the GIL",
    (PASSES, FAILS): "thread-unsafe with or without the GIL",
    (PASSES, PASSES): "not reproduced",
    (PASSES, UNKNOWN): "not reproduced",
    (PASSES, NO_OVERLAP): "not reproduced",
    (UNKNOWN, FAILS): "thread-unsafe with or without the GIL",
    (UNKNOWN, PASSES): "not classified",
    (UNKNOWN, UNKNOWN): "not classified",
    (UNKNOWN, NO_OVERLAP): "not classified",
    (NO_OVERLAP, FAILS): "thread-unsafe with or without the GIL",
    (NO_OVERLAP, PASSES): "not classified",
    (NO_OVERLAP, UNKNOWN): "not classified",
    (NO_OVERLAP, NO_OVERLAP): "not classified",
}


@pytest.mark.parametrize(("without", "with_gil"), list(itertools.product(THREADED, THREADED)))
def test_what_passes_alone(without, with_gil):
    assert kind(PASSES, without, with_gil) == EXPECTED[without, with_gil]


@pytest.mark.parametrize("without", THREADED)
def test_a_run_that_had_the_gil_has_not_seen_it_fail_without(without):
    known = without == FAILS
    expected = "thread-unsafe with or without the GIL" if known else "thread-unsafe with the GIL"
    assert kind(PASSES, without, FAILS, had_gil=True) == expected


@pytest.mark.parametrize(
    ("alone", "with_gil", "expected"),
    [
        (FAILS, None, "fails alone"),
        (PASSES, FAILS, "thread-unsafe with the GIL"),
        (PASSES, PASSES, "not reproduced"),
        (PASSES, UNKNOWN, "not classified"),
        (PASSES, NO_OVERLAP, "not classified"),
        (UNKNOWN, FAILS, "not classified"),
        (PASSES, None, "not reproduced"),  # a test that is not rerun in threads at all
    ],
)
def test_a_build_that_always_has_the_gil(alone, with_gil, expected):
    assert kind(alone, None, with_gil, had_gil=True) == expected


class TestText:
    def test_gil_reliant(self):
        found = decide([rerun(ALONE, PASSES), rerun(WITHOUT, FAILS), rerun(WITH, PASSES)])
        assert found.text == "GIL-reliant"
        assert found.rates == (
            "alone 0 of 200 rounds, without the GIL 20 of 20 rounds, with the GIL 0 of 200 rounds (150 overlapped)"
        )

    def test_not_reproduced_counts_what_was_run(self):
        found = decide([rerun(ALONE, PASSES), rerun(WITHOUT, PASSES), rerun(WITH, UNKNOWN)])
        assert found.text == "not reproduced (0 of 400 rounds)"
        assert found.rates.endswith(", with the GIL not known (no time was left)")

    def test_what_is_not_known_is_said(self):
        assert "alone not known (no time was left)" in decide([rerun(ALONE, UNKNOWN)]).text
        found = decide([rerun(ALONE, PASSES), rerun(WITHOUT, NO_OVERLAP), rerun(WITH, UNKNOWN)])
        assert found.text == (
            "not classified: without the GIL no two threads overlapped; with the GIL not known (no time was left)"
        )
        found = decide([rerun(ALONE, PASSES), rerun(WITHOUT, FAILS), rerun(WITH, NO_OVERLAP)])
        assert found.text == "thread-unsafe without the GIL, with the GIL it is not known"
        assert found.rates.endswith("with the GIL 0 of 200 rounds (0 overlapped)")

    def test_notes(self):
        assert Rerun(ALONE, 3, 20, note="a note").text == "alone 3 of 20 rounds (a note)"
        assert Rerun(WITH, 0, 1, 0, "a note").text == "with the GIL 0 of 1 round (0 overlapped; a note)"
        assert Rerun(WITH).text == "with the GIL not known (not run)"

    def test_without_any_rerun(self):
        assert failed_alone("uses capsys").text == "fails alone: it did not run concurrently (uses capsys)"
        assert failed_alone("uses capsys").rates == ""
        assert not_classified("interrupted").text == "not classified: interrupted"


class TestLuck:
    def reliant(self, failed, rounds, passed):
        without = Rerun(WITHOUT, failed, rounds, rounds)
        return decide([rerun(ALONE, PASSES), without, Rerun(WITH, 0, passed, passed)])

    @pytest.mark.parametrize(("failed", "rounds", "passed"), [(20, 20, 61), (1, 1, 200), (20, 200, 200)])
    def test_enough(self, failed, rounds, passed):
        assert self.reliant(failed, rounds, passed).text == "GIL-reliant"

    @pytest.mark.parametrize(
        ("failed", "rounds", "passed", "percent"), [(1, 50, 61, "45%"), (1, 1, 1, "50%"), (1, 1, 61, "1.6%")]
    )
    def test_too_few(self, failed, rounds, passed, percent):
        found = self.reliant(failed, rounds, passed)
        assert found.kind is RelianceKind.GIL_RELIANT
        assert found.text.startswith("GIL-reliant, but the passes with the GIL may be luck: ")
        assert f"{failed} of {rounds} and 0 of {passed} overlapped rounds" in found.text
        assert percent in found.text

    def test_rounds_that_did_not_overlap_are_no_evidence(self):
        without = Rerun(WITHOUT, 5, 200, 50)
        assert "luck" not in decide([rerun(ALONE, PASSES), without, Rerun(WITH, 0, 200, 200)]).text
        assert "luck" in decide([rerun(ALONE, PASSES), without, Rerun(WITH, 0, 200, 20)]).text

    @pytest.mark.parametrize(("failed", "rounds", "passed"), [(1, 1, 1), (2, 3, 4), (3, 5, 4), (1, 4, 5)])
    def test_against_counting(self, failed, rounds, passed):
        """All ways to deal the failures out to the rounds; how many leave the second group without any?"""
        ways = list(itertools.combinations(range(rounds + passed), failed))
        clean = sum(all(place < rounds for place in way) for way in ways)
        assert math.isclose(luck(failed, rounds, passed), clean / len(ways))

    def test_more_passes_are_less_luck(self):
        chances = [luck(1, 10, passed) for passed in range(0, 2000, 100)]
        assert chances == sorted(chances, reverse=True)
        assert chances[0] == 1
        assert chances[-1] < LUCK


def test_it_survives_the_way_to_another_process():
    plain = Finding(Verdict.CRASH, ("a.py::test",), "SIGSEGV")
    for known in (None, not_classified("interrupted"), decide([rerun(ALONE, PASSES), rerun(WITHOUT, FAILS)])):
        finding = dataclasses.replace(plain, reliance=known)
        assert finding_from_plain(json.loads(json.dumps(to_plain(finding)))) == finding
        assert known is None or isinstance(known, Reliance)


@pytest.mark.parametrize("verdict", Verdict)
def test_what_can_be_classified(verdict):
    worth = verdict.value in ("crash", "hang", "deadlock", "failure", "error")
    assert Finding(verdict, ("a.py::test",), "").can_be_classified is worth
    assert not Finding(verdict, ("a.py::test", "a.py::other"), "").can_be_classified
    assert not Finding(verdict, ("a.py",), "", phase="collection").can_be_classified

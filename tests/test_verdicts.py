"""verdicts.py: the order of verdicts, the way to plain data and back, and how failures are grouped and located."""

import dataclasses
import json
import os
from collections import Counter

import execnet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftcheck.coverage import Coverage, coverage_from_plain
from ftcheck.verdicts import (
    FailureGroup,
    Finding,
    Location,
    ThreadFailure,
    Verdict,
    finding_from_plain,
    group_failures,
    location_of,
    to_plain,
    worst,
)

WORST_FIRST = [
    "crash", "hang", "deadlock", "failure", "error", "data race", "GIL re-enabled",
    "skipped", "expected failure", "not checked", "passed",
]  # fmt: skip

numbers = st.integers(0, 2**40)
texts = st.text()
locations = st.builds(Location, file=texts, line=numbers, function=texts, source=texts)
groups = st.builds(
    FailureGroup,
    kind=texts,
    message=texts,
    phase=st.sampled_from(["set-up", "body", "teardown", "background"]),
    count=numbers,
    threads=st.lists(numbers, max_size=3).map(tuple),
    rounds=st.lists(numbers, max_size=3).map(tuple),
    location=st.none() | locations,
)
coverages = st.builds(
    Coverage,
    threads=numbers,
    rounds=numbers,
    overlapped=numbers,
    failed=numbers,
    calls=numbers,
    seconds=st.floats(0, 1e6),
    limit=st.sampled_from(["rounds", "seconds", "failures", "settled", "hang"]),
    gil=st.booleans(),
)
findings = st.builds(
    Finding,
    verdict=st.sampled_from(Verdict),
    tests=st.lists(texts, min_size=1, max_size=3).map(tuple),
    headline=texts,
    phase=st.sampled_from(["setup", "call", "teardown", "collection"]),
    groups=st.lists(groups, max_size=3).map(tuple),
    coverage=st.none() | coverages,
    detail=texts,
)


def failing(raiser, *, thread=0, round=1, phase="body"):
    """A ThreadFailure with a real traceback."""
    try:
        raiser()
    except BaseException as exception:
        return ThreadFailure(thread, round, phase, exception)
    raise AssertionError("it did not raise")


def raise_value(value="x"):
    raise ValueError(value)


def raise_key():
    raise KeyError("k")


class TestOrder:
    def test_the_order_is_the_documented_one(self):
        assert [verdict.value for verdict in Verdict] == WORST_FIRST
        assert [verdict.rank for verdict in Verdict] == list(range(len(WORST_FIRST)))

    @given(st.lists(st.sampled_from(Verdict), min_size=1))
    def test_worst_is_the_first_in_that_order(self, several):
        assert worst(iter(several)).value == min((one.value for one in several), key=WORST_FIRST.index)

    def test_nothing_has_no_worst(self):
        with pytest.raises(ValueError, match=r".+"):
            worst([])

    @pytest.mark.parametrize("verdict", Verdict)
    def test_only_what_went_wrong_fails_a_run(self, verdict):
        assert verdict.is_finding == (verdict.value in WORST_FIRST[:7])


class TestPlain:
    @given(findings)
    def test_a_finding_survives_json(self, finding):
        assert finding_from_plain(json.loads(json.dumps(to_plain(finding)))) == finding

    @given(findings)
    def test_a_finding_survives_the_channel_of_xdist(self, finding):
        assert finding_from_plain(execnet.loads(execnet.dumps(to_plain(finding)))) == finding

    @given(st.none() | coverages)
    def test_a_coverage_survives_json(self, coverage):
        assert coverage_from_plain(json.loads(json.dumps(to_plain(coverage)))) == coverage

    def test_a_message_that_is_no_valid_unicode_survives_the_channel_of_xdist(self):
        """The name of a file need not be UTF-8; os.fsdecode() makes lone surrogates of it, and messages quote names."""
        failure = failing(lambda: raise_value(os.fsdecode(b"caf\xe9")))
        ((group, _),) = group_failures([failure])
        sent = Finding(Verdict.FAILURE, ("test.py::test",), group.headline, groups=(group,))
        received = finding_from_plain(execnet.loads(execnet.dumps(to_plain(sent))))
        assert "caf" in received.headline

    @given(findings, st.data())
    def test_a_missing_key_is_an_error(self, finding, data):
        plain = to_plain(finding)
        del plain[data.draw(st.sampled_from(sorted(plain)))]
        with pytest.raises(KeyError):
            finding_from_plain(plain)


class TestCoverageText:
    BASE = Coverage(threads=2, rounds=200, overlapped=198, failed=0, calls=400, seconds=0.5, limit="rounds")

    @pytest.mark.parametrize(
        ("changes", "text"),
        [
            ({}, "2 threads, 200 rounds, 198 overlapped"),
            ({"threads": 1, "rounds": 1, "overlapped": 0}, "1 thread, 1 round, 0 overlapped"),
            ({"limit": "seconds"}, "2 threads, 200 rounds, 198 overlapped, time budget reached"),
            ({"gil": True}, "2 threads, 200 rounds, 198 overlapped, GIL on"),
        ],
    )
    def test_says_what_was_run(self, changes, text):
        assert dataclasses.replace(self.BASE, **changes).text == text


class TestHeadline:
    @pytest.mark.parametrize(("message", "headline"), [("", "E"), ("one", "E: one"), ("one\ntwo", "E: one"), ("\ntwo", "E")])
    def test_is_the_type_and_the_first_line(self, message, headline):
        assert FailureGroup("E", message, "body", 1, (0,), (1,)).headline == headline


class TestGrouping:
    def test_the_same_place_and_type_is_one_group_whatever_the_message(self):
        """A lost update gives another wrong number each time."""
        failures = [failing(lambda n=n: raise_value(n), thread=n % 2, round=n) for n in (3, 1, 2)]
        ((group, first),) = group_failures(failures)
        assert (group.count, group.threads, group.rounds) == (3, (0, 1), (1, 2, 3))
        assert (group.kind, group.message, first) == ("ValueError", "3", failures[0])

    @pytest.mark.parametrize(
        "others",
        [
            pytest.param([failing(raise_key)], id="type"),
            pytest.param([failing(raise_value, phase="set-up")], id="phase"),
            pytest.param([failing(lambda: raise_value())], id="call path"),
        ],
    )
    def test_another_type_phase_or_path_is_another_group(self, others):
        assert len(group_failures([failing(raise_value), *others])) == 2

    def test_groups_of_exceptions_differ_by_what_they_hold(self):
        def many(kind):
            raise ExceptionGroup("several", [kind()])

        one, other = failing(lambda: many(KeyError)), failing(lambda: many(ValueError))
        assert len(group_failures([one, other])) == len(group_failures([one, one, other])) == 2

    @given(st.lists(st.tuples(st.sampled_from([raise_value, raise_key]), st.integers(0, 3), st.integers(1, 5))))
    def test_no_failure_is_lost_and_the_most_frequent_comes_first(self, drawn):
        failures = [failing(raiser, thread=thread, round=round) for raiser, thread, round in drawn]
        grouped = [group for group, _ in group_failures(failures)]
        expected = Counter("ValueError" if raiser is raise_value else "KeyError" for raiser, _, _ in drawn)
        assert {group.kind: group.count for group in grouped} == expected
        assert [group.count for group in grouped] == sorted(expected.values(), reverse=True)
        for group in grouped:
            own = [one for one in failures if type(one.exception).__name__ == group.kind]
            assert set(group.threads) == {one.thread for one in own}
            assert set(group.rounds) == {one.round for one in own}

    def test_a_message_that_cannot_be_made_is_said(self):
        class Broken(Exception):
            def __str__(self):
                raise RuntimeError

        def raise_broken():
            raise Broken

        ((group, _),) = group_failures([failing(raise_broken)])
        assert group.message == "<its message cannot be shown: RuntimeError>"
        assert group.kind.endswith("Broken")
        assert group.kind.startswith(__name__)

    def test_a_long_message_is_cut_to_its_first_lines(self):
        ((group, _),) = group_failures([failing(lambda: raise_value("\n".join(map(str, range(1000)))))])
        assert group.message.splitlines() == [str(n) for n in range(12)]


class TestLocation:
    def test_is_the_innermost_line_of_ones_own_code(self):
        location = location_of(failing(raise_value).exception)
        assert (location.file, location.function) == (__file__, "raise_value")
        assert location.source == "raise ValueError(value)"
        assert str(location) == f"{__file__}:{raise_value.__code__.co_firstlineno + 1}"

    def test_code_of_the_harness_is_never_it(self):
        assert location_of(failing(raise_value).exception, [os.path.dirname(__file__)]) is None

    def test_installed_code_only_where_there_is_nothing_else(self):
        location = location_of(failing(lambda: json.loads("{")).exception)
        assert location.file == __file__
        namespace = {}
        exec(compile("def f(): 1/0", "/x/lib/python3.14/site-packages/y/z.py", "exec"), namespace)
        failure = failing(namespace["f"])
        assert location_of(failure.exception).file == __file__
        assert location_of(failure.exception, [__file__]).file.endswith("z.py")

    def test_looks_into_exception_groups(self):
        inner = failing(raise_key).exception
        group = ExceptionGroup("outer", [ExceptionGroup("inner", [inner, ValueError()]), ValueError()])
        assert location_of(group).function == "raise_key"

    def test_an_exception_that_was_never_raised_has_none(self):
        assert location_of(ValueError()) is None

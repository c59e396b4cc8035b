"""settings.py: what each option accepts, how layers combine, and that a command line gives the same run again."""

import dataclasses
import math
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftcheck import settings
from ftcheck.option_table import OPTIONS, SettingsError, auto_threads, parse
from ftcheck.settings import Settings, resolve

whole_or_more = st.integers(1, 10**9)
positive = st.floats(0, 1e9, exclude_min=True)
names = st.from_regex(r"[a-z_][a-z_0-9]{0,8}", fullmatch=True)
layers = st.fixed_dictionaries(
    {},
    optional={
        "threads": st.integers(2, 1000),
        "rounds": whole_or_more,
        "seconds": positive,
        "timeout": positive,
        "share": st.just(True) | st.lists(names, max_size=3).map(tuple),
        "noise": st.floats(0, 1),
        "native": st.sampled_from(("overlap", "strict", "off")),
    },
)


def value_of(name, given):
    return parse({name: given}, "here", marker=True)[name]


class TestValues:
    @pytest.mark.parametrize(
        ("name", "given", "value"),
        [
            ("threads", 2, 2),
            ("threads", "16", 16),
            ("threads", 4.0, 4),
            ("rounds", 1, 1),
            ("rounds", "50", 50),
            ("seconds", 0.25, 0.25),
            ("seconds", "30", 30.0),
            ("timeout", "1e3", 1000.0),
            ("noise", 0, 0.0),
            ("noise", "0.5", 0.5),
            ("noise", 1, 1.0),
            ("share", True, True),
            ("share", "all", True),
            ("share", False, ()),
            ("share", "", ()),
            ("share", "queue, table", ("queue", "table")),
            ("share", ["queue"], ("queue",)),
            ("interpreters", 2, 2),
            ("interpreters", "64", 64),
            ("skip", "drives a global logger", "drives a global logger"),
        ],
    )
    def test_accepted(self, name, given, value):
        assert value_of(name, given) == value
        assert type(value_of(name, given)) is type(value)

    @pytest.mark.parametrize(
        ("name", "given"),
        [
            *(("threads", bad) for bad in (1, 0, -2, 2.5, "two", True, None, [], math.inf, "")),
            *(("rounds", bad) for bad in (0, -1, 1.5, "x", True, None, math.nan)),
            *((name, bad) for name in ("seconds", "timeout") for bad in (0, -1, "x", True, None, math.nan, math.inf)),
            *(("noise", bad) for bad in (-0.1, 1.1, "x", True, None, math.nan)),
            *(("share", bad) for bad in (1, None, ["not a name"], [1], {"a": 1}, b"x", "a-b")),
            *(("interpreters", bad) for bad in (0, 1, 65, "auto", True, 2.5)),
            *(("skip", bad) for bad in (True, "", "  ", 1, None)),
        ],
    )
    def test_refused_with_what_is_allowed(self, name, given):
        with pytest.raises(SettingsError) as caught:
            parse({name: given}, "@pytest.mark.ftcheck", marker=True)
        message = str(caught.value)
        assert message.startswith(f"@pytest.mark.ftcheck: {name} must be ")
        assert message.endswith(f", not {given!r}.")

    @pytest.mark.parametrize(("cpus", "threads"), [(1, 2), (2, 2), (5, 5), (8, 8), (64, 8)])
    def test_auto_is_one_thread_per_cpu_within_bounds(self, monkeypatch, cpus, threads):
        monkeypatch.setattr(os, "process_cpu_count", lambda: cpus)
        assert value_of("threads", "auto") == threads


class TestParse:
    def test_an_unknown_option_is_refused_with_a_guess_and_the_list(self):
        wanted = r"here: there is no option 'round'\. Did you mean 'rounds'\?.*noise"
        with pytest.raises(SettingsError, match=wanted) as caught:
            parse({"round": 1}, "here")
        assert "skip" not in str(caught.value)

    def test_skip_belongs_to_the_marker_only(self):
        with pytest.raises(SettingsError, match="no option 'skip'"):
            parse({"skip": "why"}, "here")

    def test_skip_goes_with_nothing_else(self):
        with pytest.raises(SettingsError, match="skip contradicts rounds, threads"):
            parse({"skip": "why", "threads": 2, "rounds": 1}, "here", marker=True)

    @given(layers)
    def test_values_that_are_parsed_already_stay_as_they_are(self, layer):
        assert parse(layer, "here") == layer


class TestResolve:
    def test_without_any_layer_the_documented_defaults_hold(self):
        found = resolve([])
        assert found == Settings(auto_threads(), 200, 1.0, 60.0, (), 0.0, (), None)

    @given(st.lists(layers, max_size=4))
    def test_the_nearest_layer_wins_key_by_key(self, several):
        found = resolve(several)
        defaults = {"threads": auto_threads(), "timeout": 60.0, "share": (), "noise": 0.0}
        for name in ("threads", "rounds", "seconds", "timeout", "share", "noise"):
            said = [layer[name] for layer in several if name in layer]
            if said:
                assert getattr(found, name) == said[-1]
            elif name in defaults:
                assert getattr(found, name) == defaults[name]

    @given(st.lists(layers, max_size=4))
    def test_a_limit_nobody_asked_for_never_cuts_one_short_that_was(self, several):
        found = resolve(several)
        asked = {name for layer in several for name in layer} & {"rounds", "seconds"}
        if asked:
            assert {name for name in ("rounds", "seconds") if getattr(found, name) is not None} == asked
        else:
            assert (found.rounds, found.seconds) == (settings.DEFAULT_ROUNDS, settings.DEFAULT_SECONDS)

    @given(st.lists(layers, max_size=4))
    def test_settings_hold_what_the_option_table_has(self, several):
        assert set(dataclasses.asdict(resolve(several))) == {option.name for option in OPTIONS}


class TestCommandLine:
    @given(st.lists(layers, max_size=3))
    def test_gives_a_run_with_exactly_these_settings(self, several):
        found = resolve(several)
        typed = {}
        for word in settings.command_line(found):
            name, _, value = word.removeprefix("--ftcheck-").partition("=")
            typed[name] = value
        assert resolve([parse(typed, "the command line")]) == found

    def test_undoes_what_the_ini_file_says(self):
        """A rerun reads it, too: what the command line has put back to the default must be typed again."""
        ini = {"noise": 0.5, "timeout": 9.0, "rounds": 7}
        found = resolve([{"threads": 2}, ini, {"noise": 0.0, "timeout": 60.0, "rounds": 200, "seconds": 1.0}])
        words = "threads=2 rounds=200 seconds=1 noise=0 timeout=60"
        assert settings.command_line(found, resolve([ini])) == [f"--ftcheck-{word}" for word in words.split()]

    def test_interpreters(self):
        found = resolve([{"interpreters": 4, "rounds": 5}])
        assert "--ftcheck-interpreters=4" in settings.command_line(found)
        assert settings.command_line(found, found).count("--ftcheck-interpreters=4") == 0

    def test_says_nothing_that_need_not_be_said(self):
        found = resolve([{"threads": 2, "rounds": 5}])
        assert settings.command_line(found) == ["--ftcheck-threads=2", "--ftcheck-rounds=5"]


class TestShares:
    @pytest.mark.parametrize(("share", "shared"), [(True, True), ((), False), (("queue",), True), (("table",), False)])
    def test_all_or_by_name(self, share, shared):
        assert resolve([{"share": share}]).shares("queue") is shared

"""Every option of a concurrent run: its name, its meaning, what it accepts. One table for marker, command line and ini.

Read at the start of every pytest run where this plugin is installed, asked for or not: so it imports next to nothing.
"""

import os
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

DEFAULT_ROUNDS = 200
DEFAULT_SECONDS = 1.0
DEFAULT_TIMEOUT = 60.0
DEFAULT_SCHEDULES = 400


class SettingsError(ValueError):
    """An option that does not exist, has a value it cannot have, or contradicts another one.

    The message names what is allowed instead.
    """


class Option(NamedTuple):
    """One row of the table: an option wherever it can be set.

    :param parse: turns the text of the command line or the ini file, or the value given to the marker, into the value
        that :class:`Settings` holds; raises ValueError with what is allowed.
    :param flag: on the command line its name alone means yes.
    """

    name: str
    metavar: str
    default: Any
    help: str
    parse: Callable[[Any], Any]
    only_marker: bool = False
    flag: bool = False


def _threads(value: Any) -> int:
    if value == "auto":
        return auto_threads()
    number = _whole(value)
    if number < 2:
        raise ValueError("a whole number from 2 up, or 'auto' (to leave a test out, use skip='reason')")
    return number


def auto_threads() -> int:
    """One thread per CPU that this process may use, but 2 at the least and 8 at the most."""
    return max(2, min(8, os.process_cpu_count() or 1))


def _whole(value: Any) -> int:
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise ValueError("a whole number")
    try:
        return int(value)
    except TypeError, ValueError:
        raise ValueError("a whole number") from None


def _interpreters(value: Any) -> int:
    number = _whole(value)
    if not 2 <= number <= 64:
        raise ValueError("a whole number from 2 to 64")
    return number


def _rounds(value: Any) -> int:
    number = _whole(value)
    if number < 1:
        raise ValueError("a whole number from 1 up")
    return number


def _seconds(value: Any) -> float:
    try:
        number = float(value)
    except TypeError, ValueError:
        number = -1.0
    if isinstance(value, bool) or not 0 < number < float("inf"):
        raise ValueError("a number of seconds above 0")
    return number


def _probability(value: Any) -> float:
    try:
        number = float(value)
    except TypeError, ValueError:
        number = -1.0
    if isinstance(value, bool) or not 0 <= number <= 1:
        raise ValueError("a probability from 0 (none) to 1 (a delay at every line)")
    return number


def _share(value: Any) -> Literal[True] | tuple[str, ...]:
    names = _names(value)
    if names is None or (names is not True and not all(map(str.isidentifier, names))):
        raise ValueError("True (all), or the names of function-scoped fixtures and of parameters, such as ['queue']")
    return names


def _allow(value: Any) -> Literal[True] | tuple[str, ...]:
    names = _names(value)
    if names is None:
        raise ValueError("True (all), or the names of calls as 'not checked' shows them, such as ['os.chdir']")
    return names


def _names(value: Any) -> Literal[True] | tuple[str, ...] | None:
    if value is True or value == "all":
        return True
    if value is False or value == "":
        return ()
    names = value.replace(",", " ").split() if isinstance(value, str) else value
    if not isinstance(names, (list, tuple, set, frozenset)) or not all(isinstance(name, str) for name in names):
        return None
    return tuple(names)


def _reason(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("a text that says why, such as skip='drives a global logger'")
    return value


FLAG_WORDS = {"1": True, "yes": True, "true": True, "on": True, "0": False, "no": False, "false": False, "off": False}
"""What can be written for yes and no."""


def _flag(value: Any) -> bool:
    read = value if isinstance(value, bool) else FLAG_WORDS.get(str(value).lower())
    if read is None:
        raise ValueError("True or False")
    return read


POINTS = ("accesses", "instructions", "lines")


def _points(value: Any) -> str:
    if value not in POINTS:
        raise ValueError(f"one of {', '.join(POINTS)}")
    return str(value)


NATIVE = ("overlap", "strict", "off")


def _native(value: Any) -> str:
    if value not in NATIVE:
        raise ValueError(f"one of {', '.join(NATIVE)}")
    return str(value)


def _packages(value: Any) -> tuple[str, ...]:
    names = _names(value)
    if names is None or names is True or not all(name.replace(".", "_").isidentifier() for name in names):
        raise ValueError("names of packages, such as ['cachetools']")
    return names


def _token(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("a replay token, as the report of a failing interleaving shows it")
    return value.strip()


OPTIONS: tuple[Option, ...] = (
    Option("threads", "N|auto", "auto", "how many threads run the test at the same time; auto: one per CPU, 2 to 8",
           _threads),
    Option("rounds", "N", None, f"stop after N rounds (default {DEFAULT_ROUNDS}, unless seconds is set)", _rounds),
    Option("seconds", "S", None, f"stop after S seconds (default {DEFAULT_SECONDS:g}, unless rounds is set); "
           "rare races need more time, not more threads", _seconds),
    Option("timeout", "S", DEFAULT_TIMEOUT, "a round, a set-up or a teardown that takes longer than S seconds is a hang "
           "(default 60; a deadlock of all threads is noticed sooner)", _seconds),
    Option("share", "NAMES|all", (), "function-scoped fixtures and parameters that the threads of a round share, instead of "
           "one each", _share),
    Option("noise", "P", 0.0, "probability of a short random delay at each line of Python code under test "
           "(0 to 1, default 0; seeded)", _probability),
    Option("allow", "NAMES|all", (), "calls that change the whole process and yet do not make a test run alone, such as "
           "os.chdir", _allow),
    Option("explore", "yes|no", False, "run the test under controlled interleavings, one after the other, instead of "
           "really in parallel: what fails is shown step by step and can be replayed", _flag, flag=True),
    Option("schedules", "N", DEFAULT_SCHEDULES, f"with explore: run at most N interleavings (default {DEFAULT_SCHEDULES})",
           _rounds),
    Option("points", "|".join(POINTS), "accesses", "with explore: where threads may be stopped (default: before accesses to "
           "what may be shared)", _points),
    Option("scope", "PACKAGES", (), "with explore: installed packages whose code is explored besides the project's own",
           _packages),
    Option("races", "yes|no", False, "explore, and list the pairs of accesses that nothing orders (candidates for races), "
           "and whether reversing them broke the test's check", _flag, flag=True),
    Option("replay", "TOKEN", None, "run the one interleaving that this token stands for", _token),
    Option("interpreters", "N", None, "run the test in N interpreters of one process at the same time, instead of in "
           "threads: which modules refuse, what leaks from one to another, what crashes", _interpreters),
    Option("native", "|".join(NATIVE), "overlap", "extensions built with ftcheck-cc: report accesses that nothing can have "
           "ordered (overlap), list besides as possible what no explicit synchronisation orders (strict; with explore: as "
           "overlap), or do not look (off)", _native),
    Option("skip", "REASON", None, "leave this test out, and say why", _reason, only_marker=True),
)  # fmt: skip
_BY_NAME = {option.name: option for option in OPTIONS}


def parse(values: Mapping[str, Any], where: str, *, marker: bool = False) -> dict[str, Any]:
    """The values of one layer (a marker, the command line, the ini file), checked.

    :param where: how an error names the place: ``"@pytest.mark.ftcheck"``, ``"--ftcheck-threads"``.
    :raises SettingsError: an unknown option, a value that it cannot have, or a contradiction.
    """
    allowed = [option.name for option in OPTIONS if marker or not option.only_marker]
    parsed: dict[str, Any] = {}
    for name, value in values.items():
        if name not in allowed:
            import difflib

            near = difflib.get_close_matches(name, allowed, 1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise SettingsError(f"{where}: there is no option {name!r}.{hint} The options are: {', '.join(allowed)}.")
        try:
            parsed[name] = _BY_NAME[name].parse(value)
        except ValueError as error:
            raise SettingsError(f"{where}: {name} must be {error}, not {value!r}.") from None
    refuse_contradictions(parsed, where)
    return parsed


def refuse_contradictions(values: Mapping[str, Any], where: str) -> None:
    """Options of one layer that cannot both have their effect.

    :raises SettingsError: two of them contradict each other.
    """
    if values.get("skip") is not None and len(values) > 1:
        others = ", ".join(sorted(set(values) - {"skip"}))
        raise SettingsError(f"{where}: skip contradicts {others}: a test that is left out takes no other option.")
    if values.get("races") and values.get("explore") is False:
        raise SettingsError(f"{where}: races contradicts explore=no: what is listed is seen while exploring.")
    if values.get("races") and values.get("replay") is not None:
        raise SettingsError(f"{where}: races contradicts replay: one interleaving shows one order of each pair. Explore.")
    if values.get("races") and values.get("points") == "lines":
        raise SettingsError(f"{where}: races contradicts points=lines: accesses are not seen there. Use points=accesses.")
    if values.get("interpreters"):
        wrong = [name for name in ("explore", "races", "replay", "threads", "share", "noise") if values.get(name)]
        if wrong:
            raise SettingsError(
                f"{where}: interpreters contradicts {', '.join(wrong)}: in each interpreter one thread runs the test, and "
                "they share no Python object."
            )
    controlled = next((name for name in ("explore", "races", "replay") if values.get(name)), "")
    if controlled and values.get("noise"):
        raise SettingsError(f"{where}: {controlled} contradicts noise: a controlled interleaving has no random delays.")
    if controlled and values.get("rounds") is not None:
        raise SettingsError(f"{where}: {controlled} contradicts rounds: the limit for interleavings is schedules.")

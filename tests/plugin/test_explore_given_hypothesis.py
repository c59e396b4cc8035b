"""What a ``@given`` test may ask of Hypothesis, explored: each of it works, though an example is run many times."""

import re

import pytest

SUITE = """
import threading
import ftcheck
import pytest
from hypothesis import Phase, assume, event, example, given, note, reproduce_failure, settings, strategies as st, target

lock = threading.Lock()


class Account:
    def __init__(self):
        self.total = 0

    def add(self, amount):
        if amount > 10:
            total = self.total
            self.total = total + amount
        else:
            with lock:
                self.total += amount


def check(first, second):
    account = Account()
    ftcheck.concurrently(lambda: account.add(first), lambda: account.add(second))
    assert account.total == first + second


amounts = st.integers(0, 1000)
quick = settings(max_examples=25, database=None)
pytestmark = pytest.mark.ftcheck(explore=True, threads=2)
examples = {}


def seen(name, value):
    examples.setdefault(name, []).append(value)


@quick
@given(amounts, amounts)
def test_note_event_target_assume(first, second):
    assume(first != 5)
    note(f"noted: {first}")
    event("an event")
    target(first)
    check(first, second)


shared = Account()


@quick
@given(amounts)
def test_in_copies(amount):
    assume(amount != 5)
    note(f"noted: {amount}")
    event("an event")
    target(amount)
    before = shared.total
    shared.add(amount)
    assert shared.total == before + amount


@quick
@given(amounts)
def test_everything_is_rejected(amount):
    assume(False)


@quick
@given(amounts)
def test_what_is_rejected_does_not_fail(amount):
    assume(amount % 3)
    check(amount % 10, 1)


@quick
@example(3, 20)
@given(amounts, amounts)
def test_example(first, second):
    check(first, second)


@quick
@example(3, 4)
@example(5, 6)
@given(st.just(1), st.just(2))
def test_examples_that_hold(first, second):
    seen("explicit", (first, second))
    check(first, second)


@quick
@given(st.data())
def test_data(data):
    first = data.draw(amounts, label="first")
    check(first, data.draw(amounts))


@settings(quick, max_examples=7)
@given(amounts)
def test_max_examples(amount):
    seen("max", amount)
    check(1, 2)


@settings(quick, derandomize=True)
@given(amounts)
def test_derandomize(amount):
    seen("derandomize", amount)
    check(1, 2)


@settings(quick, phases=[Phase.explicit])
@example(1)
@given(amounts)
def test_phases(amount):
    seen("phases", amount)
    check(amount, 2)


@settings(quick, phases=[Phase.generate])
@given(amounts, amounts)
def test_not_shrunk(first, second):
    check(first, second)


@settings(quick, print_blob=True)
@given(amounts, amounts)
def test_print_blob(first, second):
    check(first, second)


@quick
@reproduce_failure("VERSION", b"AEELQQA=")
@given(amounts, amounts)
def test_reproduce(first, second):
    "Of a run without us: 11 and 0, and no seed."
    check(first, second)


@pytest.mark.ftcheck(explore=False)
def test_what_was_seen():
    import json
    with open("seen.json", "w") as file:
        json.dump({name: sorted(set(map(str, values))) for name, values in examples.items()}, file)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("mini")


@pytest.fixture(scope="module")
def run(mini, folder):
    import hypothesis

    suite = SUITE.replace("VERSION", hypothesis.__version__)
    options = ("--ftcheck-seed=3", "-p", "hypothesispytest", "--hypothesis-show-statistics", "-p", "no:randomly")
    return mini({"test_data.py": suite}, *options, folder=folder)


@pytest.fixture(scope="module")
def seen(run):
    import json

    return json.loads((run.folder / "seen.json").read_text(encoding="utf-8"))


FOUND = (
    "test_note_event_target_assume", "test_in_copies", "test_example", "test_data", "test_not_shrunk", "test_print_blob",
    "test_reproduce",
)  # fmt: skip


@pytest.mark.parametrize("name", FOUND)
def test_the_race_is_found(run, name):
    assert run.verdict(name) == "failure"
    finding = run.finding(name)
    assert finding["headline"].startswith("AssertionError: assert ")
    assert "1 preemption" in finding["headline"]
    assert "switch to thread" in finding["detail"]
    assert "Flaky" not in run.text(name)
    if name != "test_reproduce":  # whose traceback Hypothesis shows whole
        shown = run.text(name).partition("interleaving")[0]
        assert not [part for part in ("ftcheck/explore", "ftcheck/plugin", "ftcheck/workload") if part in shown]


@pytest.mark.parametrize("name", FOUND[:2])
def test_a_note_is_shown_once(run, name):
    assert len(re.findall(r"noted: \d+", run.text(name).partition("--- interleaving")[0])) <= 2
    assert re.search(r"^E +noted: \d+$", run.text(name), re.MULTILINE)


def test_events_and_scores_are_those_of_the_examples(run):
    assert "an event" in run.out
    assert "Highest target score" in run.out


def test_what_the_test_rejects_is_no_failure(run):
    assert "FailedHealthCheck" in run.text("test_everything_is_rejected")  # Hypothesis' own word on that
    assert run.verdict("test_what_is_rejected_does_not_fail") == "passed"


def test_explicit_examples(run, seen):
    assert seen["explicit"] == ["(1, 2)", "(3, 4)", "(5, 6)"]
    assert run.verdict("test_examples_that_hold") == "passed"
    assert "first=3" in run.text("test_example")
    assert run.finding("test_example")["replay"].count("~") == 2  # no data


def test_settings_are_kept(run, seen):
    assert len(seen["max"]) <= 7
    assert seen["phases"] == ["1"]
    assert run.verdict("test_phases") == "passed"


def test_the_blob_is_shown_where_it_was_asked_for(run):
    assert "@reproduce_failure" in run.text("test_print_blob")
    assert "@reproduce_failure" not in run.text("test_data")


def test_derandomize_draws_the_same_again(run, seen, mini, folder):
    import json

    again = mini({}, "--ftcheck-seed=4", "-p", "hypothesispytest", "-k", "derandomize or seen", folder=folder)
    assert again.verdict("test_derandomize") == "passed"
    assert json.loads((folder / "seen.json").read_text())["derandomize"] == seen["derandomize"]


# --- again -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FOUND[:-1])
def test_one_command_brings_data_and_interleaving_back(run, mini, folder, name):
    """In a fresh process, with other hashes."""
    token = run.finding(name)["replay"]
    again = mini({}, f"test_data.py::{name}", f"--ftcheck-replay={token}", folder=folder, PYTHONHASHSEED="7")
    assert again.status == 1
    finding = again.finding(name)
    assert finding["headline"].endswith("(replayed)")
    assert finding["replay"] == token
    assert "switch to thread" in finding["detail"]
    assert finding["coverage"]["rounds"] == finding["coverage"]["overlapped"] == 1


STORED = """
import ftcheck, pytest
from hypothesis import given, settings, strategies as st

class Box:
    total = 0

    def add(self, amount):
        if amount > 10:
            total = self.total
            self.total = total + amount

@pytest.mark.ftcheck(explore=True)
@given(st.integers(0, 1000))
def test_stored(amount):
    with open("drawn.txt", "a") as file:
        print(amount, file=file)
    box = Box()
    ftcheck.concurrently(lambda: box.add(amount), lambda: box.add(amount))
    assert box.total == (2 * amount if amount > 10 else 0)
"""


def test_the_database_of_hypothesis_brings_it_back_at_once(mini, tmp_path):
    """With another seed: the first example of the second run is what the first has found; and a worker has it, too."""
    files = {"test_stored.py": STORED, "drawn.txt": ""}
    for options in (("--ftcheck-seed=3",), ("--ftcheck-seed=4", "--ftcheck")):
        run = mini(files, "-p", "hypothesispytest", *options, folder=tmp_path)
        assert run.verdict("test_stored") == "failure"
    assert (tmp_path / "drawn.txt").read_text().split()[0] == "11"


@pytest.fixture(scope="module")
def unfit(run, mini_many, folder):
    """Tokens that do not fit: of changed code, of another Hypothesis, with data of another test, with none at all."""
    import hypothesis

    token = run.finding("test_data")["replay"]
    head, *middle, version, blob = token.split("~")
    schedule, changed = "~".join(middle), f"{head.removesuffix('.x')[:-8]}01234567.x"
    calls = {
        "code": ("test_data", f"{changed}~{schedule}~{version}~{blob}"),
        "version": ("test_data", f"{head}~{schedule}~1.2.3~{blob}"),
        "data": ("test_data", f"{head}~{schedule}~{version}~AA=="),
        "none": ("test_data", f"{head}~{schedule}"),
        "passes": ("test_what_is_rejected_does_not_fail", f"{head}~{schedule}~{version}~{blob}"),
    }
    marker = f'@pytest.mark.ftcheck(replay="{changed}~{schedule}")'
    suite = SUITE.replace("VERSION", hypothesis.__version__)
    pinned = suite.replace("@quick\n@given(st.data())", f"{marker}\n@quick\n@given(st.data())")
    options = ("--ftcheck-isolate=no", "-p", "no:randomly")
    lines = [[f"test_data.py::{name}", f"--ftcheck-replay={text}", *options] for name, text in calls.values()]
    lines.append(["test_pinned.py::test_data", *options])
    done = mini_many({"test_data.py": suite, "test_pinned.py": pinned}, lines)
    return dict(zip([*calls, "pinned"], done, strict=True))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("code", "does not fit: the code under test has changed since it was made. Explore again for a new one"),
        ("version", "does not fit: its data was written by Hypothesis 1.2.3, and this is "),
        ("data", "does not fit: the strategies of the test draw other data than when it was made. Explore"),
        ("none", "does not fit: it has no data in it, and neither an @example() nor Hypothesis' database had any"),
    ],
)
def test_a_token_that_does_not_fit_is_refused(unfit, name, words):
    assert unfit[name].status == 1
    assert words in " ".join(unfit[name].out.split())


def test_one_that_is_pinned_is_explored_instead(unfit):
    text = " ".join(unfit["pinned"].out.split())
    assert "StaleTokenWarning" in text
    assert "1 preemption" in text


# --- what is not deterministic ------------------------------------------------------------------------------------------

CHANCE = """
import datetime, random, threading
import ftcheck, pytest
from hypothesis import given, settings, strategies as st

amounts = st.integers(0, 1000)
quick = settings(max_examples=40, database=None, derandomize=True)
pytestmark = pytest.mark.ftcheck(explore=True, threads=2)


class Box:
    value = 0

    def put(self, value):
        self.value = value


def meet():
    box = Box()
    ftcheck.concurrently(lambda: box.put(1), lambda: box.put(2))
    return box


COUNT = 0


@quick
@given(amounts)
def test_counts(amount):
    global COUNT

    def work():
        global COUNT
        COUNT += 1

    ftcheck.concurrently(work, work)
    assert not 40 < COUNT < 60


LEFT = []


@quick
@given(amounts)
def test_once(amount):
    meet()
    if amount > 100 and not LEFT:
        LEFT.append(1)
        pytest.fail("only once")


@quick
@given(amounts)
def test_random_is_held_still(amount):
    meet()
    assert amount < 100 or random.random() != 0.8444218515250481  # the first one there is with seed 0


@quick
@given(amounts)
def test_entropy(amount):
    box = Box()
    box.entropy = 0

    def work():
        box.entropy = random.SystemRandom().getrandbits(64)
        if box.entropy % 2:
            box.put(1)

    ftcheck.concurrently(work, work)
    ENTROPIES.append(1)
    assert len(ENTROPIES) % 50


ENTROPIES = []


@quick
@given(amounts)
def test_time(amount):
    box = Box()
    box.now = 0

    def work():
        box.now = datetime.datetime.now().timestamp()

    ftcheck.concurrently(work, work)
    TIMES.append(1)
    assert len(TIMES) % 50


TIMES = []


class Thing:
    pass


@quick
@given(amounts)
def test_order_of_addresses(amount):
    things = {Thing() for _ in range(20)}
    box = Box()

    def work():
        for one in things:
            if id(one) // 16 % 3:
                box.put(one)

    ftcheck.concurrently(work, work)
    KEPT.append(things)
    assert len(KEPT) != 90


KEPT = []


def test_plain():
    meet()
    COUNTS.append(1)
    assert len(COUNTS) % 3


COUNTS = []
"""


@pytest.fixture(scope="module")
def chance(mini):
    return mini({"test_chance.py": CHANCE}, "--ftcheck-seed=3", plugins=True)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("test_counts", r"COUNT → \d+ the one time, → \d+ the other"),
        ("test_once", "something that an earlier schedule has left behind, or the real time"),
        ("test_entropy", r"box\.entropy = .* the one time, = .* the other"),
        ("test_time", r"box\.now = .* the one time, = .* the other"),
        ("test_order_of_addresses", "the one time .*, the other time "),
    ],
)
def test_it_says_what_differed(chance, name, words):
    headline = " ".join(chance.finding(name)["headline"].split())
    assert "did not come back when the same schedule was run again: " in headline
    assert re.search(words, headline)
    assert chance.finding(name)["replay"] == ""
    assert "the data, which is not made small: amount=" in chance.text(name)


def test_random_is_held_still(chance):
    """Each run begins with the same state of it, so it fails always, and comes back."""
    finding = chance.finding("test_random_is_held_still")
    assert "did not come back" not in finding["headline"]
    assert finding["replay"]


def test_of_a_plain_test_as_well(chance):
    headline = " ".join(chance.finding("test_plain")["headline"].split())
    assert "did not come back when the same schedule was run again: " in headline


def test_nothing_is_called_flaky(chance, run):
    assert "flaky" not in (chance.out + run.out).lower().replace("pytest-rerunfailures", "")

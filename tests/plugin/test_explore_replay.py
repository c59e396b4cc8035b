"""Replay tokens end to end: what was found comes back in fresh processes, and a token that does not fit is never a pass."""

import re
import shlex

import pytest

BODY = """
import concurrent.futures
import threading

import pytest

import ftcheck

class Counter:
    def __init__(self):
        self.value = 0

    def increment(self):
        self.value += 1

SHARED = Counter()

def test_race():
    counter = Counter()
    ftcheck.concurrently(counter.increment, counter.increment)
    assert counter.value == 2

@pytest.mark.parametrize("text", ["it's [two]"])
def test_copies(text, tmp_path):
    before = SHARED.value
    SHARED.increment()
    assert SHARED.value == before + 1

def test_threads():
    counter = Counter()
    threads = [threading.Thread(target=counter.increment) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counter.value == 2

def test_pool():
    counter = Counter()
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for future in [pool.submit(counter.increment) for _ in range(2)]:
            future.result()
    assert counter.value == 2

def test_deadlock():
    first, second = threading.Lock(), threading.Lock()
    def one():
        with first, second:
            pass
    def two():
        with second, first:
            pass
    ftcheck.concurrently(one, two)
"""
OTHER = """
import ftcheck

def helper():
    return 1

def test_other():
    ftcheck.concurrently(helper, helper)
"""
ALL = ("test_race", "test_copies[it's [two]]", "test_threads", "test_pool", "test_deadlock")
HERE = ("--ftcheck-isolate=no", "-p", "no:randomly")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("mini")


@pytest.fixture(scope="module")
def found(mini, folder):
    """The run that finds them; there are more files in it than one needs to replay."""
    files = {"test_body.py": BODY, "test_other.py": OTHER}
    options = ("--ftcheck", "--ftcheck-explore", "--ftcheck-threads=2", "--ftcheck-seed=5", "--ftcheck-schedules=5000")
    return mini(files, *options, *HERE, folder=folder)


def command(run, name):
    """The arguments of the command that the report of a finding ends with, and the token alone."""
    finding = run.finding(name)
    [line] = re.findall(r"^run it again:  pytest (.*)$", finding["detail"], re.MULTILINE)
    node, option = shlex.split(line)
    assert option == f"--ftcheck-replay={finding['replay']}"
    return [node, option], finding["replay"]


def outcome(run, name):
    """What happened, without what belongs to one process: numbers of threads and addresses."""
    finding = run.finding(name)
    groups = [(one["kind"], one["phase"], one["location"]) for one in finding["groups"]]
    story = re.sub(r"0x[0-9a-f]+|Thread-\d+|assert \d+ == \(\d+ \+ 1\)|\b\d+$", "N", finding["detail"], flags=re.MULTILINE)
    return finding["verdict"], groups, story


def test_it_was_found(found):
    assert {name.partition("::")[2] for name, verdict in found.verdicts().items() if verdict != "passed"} == set(ALL)


@pytest.mark.parametrize("hash_seed", range(5))
def test_five_fresh_processes(found, mini, folder, hash_seed):
    """Five of five, as the report says it is done: in a worker of its own, with other hashes."""
    arguments, token = command(found, "test_race")
    run = mini({}, *arguments, folder=folder, PYTHONHASHSEED=str(hash_seed))
    assert run.status == 1
    assert outcome(run, "test_race") == outcome(found, "test_race")
    finding = run.finding("test_race")
    assert (finding["headline"], finding["replay"]) == ("AssertionError: assert 1 == 2 (replayed)", token)
    assert (finding["coverage"]["limit"], finding["coverage"]["rounds"]) == ("replay", 1)
    assert finding["coverage"]["threads"] == 2
    run.lines.fnmatch_lines(["ftcheck: *, one interleaving again, *isolated in a worker process", "--- replayed ---"])


@pytest.mark.parametrize("name", ALL[1:])
def test_every_kind_comes_back(found, mini, folder, name):
    """Of a test that runs in copies, one with its own threads, and one that ends in a deadlock."""
    arguments, _ = command(found, name)
    run = mini({}, *arguments, *HERE, folder=folder)
    assert run.status == 1
    assert list(run.verdicts()) == [f"test_body.py::{name}"]
    verdict, groups, _ = outcome(run, name)
    assert (verdict, groups) == outcome(found, name)[:2]


# --- what does not fit ----------------------------------------------------------------------------------------------

REPAIRED = BODY.replace("self.value += 1", "with self.lock: self.value += 1").replace(
    "self.value = 0", "self.value, self.lock = 0, threading.Lock()"
)


@pytest.fixture(scope="module")
def unfit(found, mini_many):
    """Tokens of another Python, of code that has changed, of decisions that there are not; and of more tests than one."""
    _, token = command(found, "test_race")
    head, _, _ = token.partition("~")
    node = "test_body.py::test_race"
    calls = {
        "python": [node, f"--ftcheck-replay={token.replace('.314t.', '.313t.')}"],
        "code": ["repaired/test_body.py::test_race", f"--ftcheck-replay={token}"],
        "decisions": [node, f"--ftcheck-replay={head}~1p999-2~"],
        "nothing": [node, f"--ftcheck-replay={head}~~"],
        "several": ["test_body.py", f"--ftcheck-replay={token}"],
        "none": ["test_body.py", "-k", "no_such_test", f"--ftcheck-replay={token}"],
        "cannot": ["test_alone.py", f"--ftcheck-replay={token}"],
    }
    files = {
        "test_body.py": BODY,
        "repaired/test_body.py": REPAIRED,
        "repaired/__init__.py": "",
        "test_alone.py": "def test_alone(capsys): pass\n",
    }
    return dict(zip(calls, mini_many(files, [[*call, *HERE] for call in calls.values()]), strict=True))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("python", "the replay token does not fit: it was made with Python 3.13t, and this is 3.14t. Explore again"),
        ("code", "the replay token does not fit: the code under test has changed since it was made. Explore again"),
    ],
)
def test_a_token_that_does_not_fit(unfit, name, words):
    """An error that says what has changed; it is not classified, and the command for exploring again is given."""
    run = unfit[name]
    assert run.status == 1
    assert words in " ".join(run.out.split())
    assert "Traceback" not in run.out
    assert "passed" not in run.out.rpartition("= ftcheck =")[2]
    run.lines.re_match_lines([r"1  error  .*", r" *again  pytest \S*test_body.py::test_race .*--ftcheck-explore .*"])


def test_decisions_that_there_are_not(unfit):
    """Nothing failed, and it was another interleaving: that is no pass, and whoever looks at the status sees it."""
    run = unfit["decisions"]
    assert run.status == 1
    run.lines.re_match_lines([r"1  error  .*"])
    words = "the replay token does not fit: not every decision could be followed, and nothing failed. Explore again"
    assert words in " ".join(run.out.split())
    assert "passed" not in run.out.rpartition("= ftcheck =")[2]


def test_an_interleaving_that_holds(unfit):
    run = unfit["nothing"]
    assert run.status == 0
    run.lines.re_match_lines([r"1  passed  nothing found: one interleaving replayed"])


def test_several_tests_are_refused(unfit):
    run = unfit["several"]
    assert run.status == 4
    assert "--ftcheck-replay runs one test, and 5 are selected." in run.err
    assert "passed" not in run.out


def test_several_tests_are_refused_in_a_worker(found, mini, folder):
    _, token = command(found, "test_race")
    run = mini({}, "test_body.py", f"--ftcheck-replay={token}", folder=folder)
    assert run.status == 4
    assert "--ftcheck-replay runs one test, and 5 are selected." in run.out + run.err
    assert run.verdicts() == {}


def test_no_test_at_all(unfit):
    assert unfit["none"].status == 5


def test_a_test_that_cannot_be_explored(unfit):
    """It has run alone, and that is said."""
    assert "uses capsys" in unfit["cannot"].out
    unfit["cannot"].lines.re_match_lines([r"1  not checked  .*"])


# --- pinned by a marker -----------------------------------------------------------------------------------------------

PINNED = """
import threading
import pytest
import ftcheck
from product import Counter

@pytest.mark.ftcheck(replay="{token}")
def test_pinned():
    counter = Counter()
    ftcheck.concurrently(counter.increment, counter.increment)
    assert counter.value == 2
"""
PRODUCT = """
import threading

class Counter:
    def __init__(self):
        self.value = 0
        self.lock = threading.Lock()

    def increment(self):
        {}
"""
BROKEN = PRODUCT.format("self.value += 1")
FIXED = PRODUCT.format("with self.lock: self.value += 1")


@pytest.fixture(scope="module")
def pinned(mini, tmp_path_factory):
    """A test whose interleaving is pinned: with the bug, after it is repaired, and with the bug in other words."""
    folder = tmp_path_factory.mktemp("mini")
    files = {"product.py": BROKEN, "test_pin.py": PINNED.replace('replay="{token}"', "explore=True")}
    token = mini(files, "--ftcheck-seed=1", folder=folder).finding("test_pinned")["replay"]
    files["test_pin.py"] = PINNED.format(token=token)
    runs = {"broken": mini(files, folder=folder)}
    runs["isolated"] = mini(files, "--ftcheck", folder=folder)
    runs["fixed"] = mini({**files, "product.py": FIXED}, folder=folder)
    files["test_pin.py"] = PINNED.format(token=f"{token.partition('~')[0]}~1p999-2~")
    runs["unmet"] = mini({**files, "product.py": BROKEN}, folder=folder)
    files["test_pin.py"] = PINNED.format(token=token)
    other = PRODUCT.format("before = self.value; self.value = before + 1")
    runs["other"] = mini({**files, "product.py": other}, folder=folder)
    stale = files["test_pin.py"].replace(token, f"{token.partition('.a.')[0]}.a.0.01234567.x~~")
    runs["typed"] = mini({"product.py": BROKEN, "test_pin.py": stale}, f"--ftcheck-replay={token}", *HERE, folder=folder)
    return token, runs


@pytest.mark.parametrize("name", ["broken", "isolated"])
def test_a_pinned_interleaving_fails_while_the_bug_is_there(pinned, name):
    token, runs = pinned
    finding = runs[name].finding("test_pinned")
    assert runs[name].status == 1
    assert (finding["verdict"], finding["replay"], finding["coverage"]["rounds"]) == ("failure", token, 1)
    assert "StaleTokenWarning" not in runs[name].out


def test_a_pinned_interleaving_of_repaired_code(pinned):
    """It is explored, so the test is still worth something; a warning says so."""
    run = pinned[1]["fixed"]
    assert run.status == 0
    assert run.verdict("test_pinned") == "passed"
    assert run.test("test_pinned")["coverage"]["interleavings"]["complete"]
    words = "the replay token does not fit: the code under test has changed since it was made. Explore again for a new one"
    run.lines.fnmatch_lines([f"*StaleTokenWarning: test_pin.py::test_pinned: {words}. This time it was explored instead"])


def test_a_pass_says_that_the_pinned_schedule_no_longer_fits(pinned):
    run = pinned[1]["fixed"]
    assert run.test("test_pinned")["coverage"]["interleavings"]["stale"]
    assert "2 threads, all 2 inequivalent interleavings, the pinned schedule no longer fits" in run.out
    assert not pinned[1]["broken"].test("test_pinned")["coverage"]["interleavings"]["stale"]


def test_a_pinned_interleaving_that_cannot_be_followed(pinned):
    """It has the digest of this code, and decisions that do not come up: the test is explored."""
    run = pinned[1]["unmet"]
    assert run.finding("test_pinned")["coverage"]["limit"] == "found"
    words = "the replay token does not fit: not every decision could be followed, and nothing failed"
    run.lines.fnmatch_lines([f"*StaleTokenWarning: test_pin.py::test_pinned: {words}. Explore again*explored instead"])


def test_a_pinned_interleaving_of_code_that_is_still_wrong(pinned):
    """Found again, with a token that fits."""
    token, runs = pinned
    finding = runs["other"].finding("test_pinned")
    assert runs["other"].status == 1
    assert finding["replay"] not in ("", token)
    assert finding["coverage"]["limit"] == "found"
    assert "During handling of the above exception" not in runs["other"].out
    runs["other"].lines.fnmatch_lines(["*StaleTokenWarning: *explored instead"])


def test_what_is_typed_wins_over_the_marker(pinned):
    token, runs = pinned
    assert runs["typed"].finding("test_pinned")["replay"] == token
    assert "StaleTokenWarning" not in runs["typed"].out

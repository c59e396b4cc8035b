"""A mini project of tests that other tools call green, hide or get wrong, and what each of them should be called.

The tools are named by their PyPI names, and what they do was seen with CPython 3.14t and the versions at hand:
pytest-run-parallel 0.10 (``--parallel-threads=4``), pytest-freethreaded 0.1, hypothesis 6.170. Every body that overlaps
meets the three others first, so what it does is no matter of luck; the file ``test_races.py`` is the exception.
"""

from typing import NamedTuple

CONFTEST = """
import pytest

@pytest.fixture(autouse=True)
def once():
    '''So a body is called exactly once per thread and round.'''

def pytest_collect_file(file_path, parent):
    if file_path.suffix == ".page":
        return Page.from_parent(parent, path=file_path)

class Page(pytest.File):
    def collect(self): yield Line.from_parent(self, name="line")

class Line(pytest.Item):
    def runtest(self): pass
    def reportinfo(self): return self.path, 0, self.name
"""

VERDICTS = """
import asyncio, os, sys, threading, unittest, warnings
from unittest import mock
import pytest
import meeting

FLAG = True

def meet(): return meeting.meet(sys._getframe(1).f_code, 4)

# --- an outcome that hides another one
def test_skip_hides_failure():
    if meet() == 0: pytest.skip("one thread skips")
    assert False

def test_raised_warning():
    meet()
    raise RuntimeWarning("raised")

def test_warning_as_error():
    meet()
    warnings.simplefilter("error")
    warnings.warn("as an error", UserWarning)

def test_sys_exit():
    if meet() == 0: sys.exit(3)

def test_keyboard_interrupt():
    if meet() == 0: raise KeyboardInterrupt

def test_two_kinds():
    raise KeyError("kind A") if meet() % 2 else ValueError("kind B")

@pytest.mark.xfail(strict=True)
def test_strict_xfail_fails_in_half():
    assert meet() % 2

@pytest.mark.xfail(strict=True)
def test_strict_xfail_passes(): meet()

@pytest.mark.xfail
def test_xfail_passes(): meet()

def test_prints_and_fails():
    meet()
    print("hello of", threading.current_thread().name)
    assert False

@pytest.mark.skipif("FLAG")
def test_flag_is_set(): meet()

# --- never run
class TestIsolated(unittest.IsolatedAsyncioTestCase):
    async def test_isolated_fails(self): assert False
    async def test_isolated_passes(self): meet()

@pytest.mark.asyncio
async def test_asyncio_fails():
    await asyncio.sleep(0)
    assert meet() is None

@pytest.mark.asyncio
async def test_asyncio_passes():
    await asyncio.sleep(0)
    meet()

# --- a suite's own sharing
@pytest.fixture
def items(): return []

@pytest.fixture
def local():
    place = threading.local()
    place.value = 1
    return place

@pytest.fixture
def folder(tmp_path):
    (tmp_path / "data").mkdir()
    return tmp_path / "data"

@pytest.fixture
def made(tmp_path_factory): return tmp_path_factory.mktemp("made", numbered=False)

def test_fixture_list(items):
    items.append(1)
    meet()
    assert items == [1]

def test_fixture_local(local):
    meet()
    assert getattr(local, "value", None) == 1

@pytest.mark.parametrize("values", [[1]], ids=["list"])
def test_parameter(values):
    values.append(2)
    meet()
    assert values == [1, 2]

class TestSetupMethod:
    def setup_method(self): self.seen = []
    def test_method(self):
        self.seen.append(1)
        meet()
        assert self.seen == [1]

class TestCase(unittest.TestCase):
    def setUp(self): self.seen = []
    def test_set_up(self):
        self.seen.append(1)
        meet()
        self.assertEqual(self.seen, [1])
    def test_subtest(self):
        meet()
        for number in range(3):
            with self.subTest(number=number):
                self.assertNotEqual(number, 1)

def test_subtests(subtests):
    meet()
    for number in range(3):
        with subtests.test(number=number):
            assert number != 1

def test_tmp_path(tmp_path):
    meet()
    (tmp_path / "made").mkdir()

def test_tmp_path_of_a_fixture(folder):
    meet()
    (folder / "made").mkdir()

def test_tmp_path_factory(made):
    meet()
    (made / "made").mkdir()

# --- what belongs to the process
def test_chdir(tmp_path):
    before = os.getcwd()
    os.chdir(tmp_path)
    assert os.path.samefile(os.getcwd(), tmp_path)
    os.chdir(before)

def patches():
    with mock.patch("os.getppid", lambda: -5):
        assert os.getppid() == -5

def calls(): patches()
def calls_what_calls(): calls()
def calls_it_all(): calls_what_calls()
def test_patch_four_calls_deep(): calls_it_all()
def test_monkeypatch(monkeypatch): monkeypatch.setattr(os, "getppid", lambda: -6)
def test_monkeypatch_fails(monkeypatch): assert False
def test_capsys(capsys):
    print("seen")
    assert capsys.readouterr().out == "seen\\n"

def adds(a, b):
    '''
    >>> adds(1, 2)
    3
    '''
    return a + b
"""

OTHER_FLAG = """
import meeting, pytest

FLAG = False

@pytest.mark.skipif("FLAG")
def test_flag_is_not_set(): meeting.meet("flag", 4)
"""

RACES = """
import threading
import pytest

class Counter: value = 0

@pytest.fixture(scope="module")
def counter(): return Counter()

@pytest.fixture(scope="module")
def start(): return threading.Barrier(2)

@pytest.mark.ftcheck(threads=2, rounds=300)
def test_lost_update(counter, start):
    if start.wait(60) == 0: counter.value = 0
    start.wait(60)
    for _ in range(150_000): counter.value += 1
    start.wait(60)
    assert counter.value == 2 * 150_000

@pytest.mark.ftcheck(threads=2, rounds=300)
def test_dict_changes_while_iterated(shared={}):
    for _ in range(30_000):
        key = object()
        shared[key] = 1
        for _ in shared: pass
        del shared[key]
"""

# The first two examples of a thread meet the others'; what Hypothesis calls again afterwards meets nobody.
HYPOTHESIS = """
import threading
from hypothesis import given, settings, strategies
import meeting

issued = {"last": 0, "all": []}
here = threading.local()

def first_time_meet():
    here.met = getattr(here, "met", 0) + 1
    if here.met <= 2: meeting.meet("ticket", 4)

@settings(max_examples=20, database=None)
@given(strategies.integers())
def test_tickets(number):
    ticket = issued["last"] + 1
    first_time_meet()
    issued["last"] = ticket
    issued["all"].append(ticket)
    first_time_meet()
    assert issued["all"].count(ticket) == 1
"""

FILES = {
    "conftest.py": CONFTEST,
    "test_verdicts.py": VERDICTS,
    "test_z_flag.py": OTHER_FLAG,
    "some.page": "",
}
ONLY_OURS = {"test_races.py": RACES, "test_given.py": HYPOTHESIS}


class Row(NamedTuple):
    """One test of the mini project.

    :param verdict: what it has to be called, and is by ftcheck.
    :param theirs: the outcome of its call under pytest-run-parallel 0.10; empty where that is not the point.
    :param words: in the headline of our finding, or in our reason why it is not checked.
    """

    verdict: str
    theirs: str
    words: str = ""


ROWS = {
    # A skip in one thread hides the failure of three others (pytest-freethreaded: skipped, too).
    "test_skip_hides_failure": Row("failure", "skipped", " of 4 threads, 3 of 3 rounds: AssertionError"),
    # `except Warning: pass` around the test's body.
    "test_raised_warning": Row("failure", "passed", "4 of 4 threads, 3 of 3 rounds: RuntimeWarning: raised"),
    "test_warning_as_error": Row("failure", "passed", "4 of 4 threads, 3 of 3 rounds: UserWarning: as an error"),
    # Only `Exception` is caught: the thread ends, and nobody looks. With --iterations=2 the others wait for it for ever.
    "test_sys_exit": Row("failure", "passed", "3 of 3 rounds: SystemExit: 3"),
    "test_keyboard_interrupt": Row("failure", "passed", "3 of 3 rounds: KeyboardInterrupt"),
    # One failure of four is shown, and it is another one each time.
    "test_two_kinds": Row("failure", "failed", "4 of 4 threads, 3 of 3 rounds: "),
    # A test has failed if a thread of it has; the mark says that it does. So both agree.
    "test_strict_xfail_fails_in_half": Row("expected failure", "skipped"),
    "test_strict_xfail_passes": Row("failure", "failed", "XPASS(strict)"),
    # Shown as a pass by pytest-run-parallel for long (its issue 180).
    "test_xfail_passes": Row("passed", "passed"),
    # `hellohello\n\nhello\nhello`: interleaved, and nobody knows whose it is.
    "test_prints_and_fails": Row("failure", "failed", "AssertionError"),
    # One namespace for the string conditions of all modules: the second module's tests are skipped as well.
    "test_flag_is_set": Row("skipped", ""),
    "test_flag_is_not_set": Row("passed", ""),
    # The coroutine is never awaited.
    "TestIsolated::test_isolated_fails": Row("failure", "passed", "4 of 4 threads, 3 of 3 rounds: AssertionError"),
    "TestIsolated::test_isolated_passes": Row("passed", "passed"),
    # `TypeError: An asyncio.Future, a coroutine or an awaitable is required`, whatever the body does.
    "test_asyncio_fails": Row("failure", "failed", "4 of 4 threads, 3 of 3 rounds: AssertionError"),
    "test_asyncio_passes": Row("passed", "failed"),
    # Set up once for all threads: failures of the suite, not of what it tests.
    "test_fixture_list": Row("passed", "failed"),
    "test_fixture_local": Row("passed", "failed"),
    "test_parameter[list]": Row("passed", "failed"),
    "TestSetupMethod::test_method": Row("passed", "failed"),
    # pytest-freethreaded: AttributeError, 'T' object has no attribute 'test_u'.
    "TestCase::test_set_up": Row("passed", "failed"),
    # Reported several times, failed and passed, under one node id: the JUnit file counts 53 tests where there are 29.
    "TestCase::test_subtest": Row("failure", "", "4 of 4 threads, 3 of 3 rounds: AssertionError"),
    "test_subtests": Row("failure", "", "4 of 4 threads, 3 of 3 rounds: AssertionError"),
    "test_tmp_path": Row("passed", "passed"),
    "test_tmp_path_of_a_fixture": Row("passed", "failed"),
    "test_tmp_path_factory": Row("passed", "failed"),
    # Run by four threads nevertheless, which see each other's; looked for in the source, and no deeper than two calls.
    "test_chdir": Row("not checked", "", "changes the working directory (os.chdir)"),
    "test_patch_four_calls_deep": Row("not checked", "", "patches an object that all threads see (unittest.mock.patch)"),
    # Right there, too: one thread, with the reason.
    "test_monkeypatch": Row("not checked", "passed", "uses monkeypatch"),
    "test_capsys": Row("not checked", "passed", "uses capsys"),
    "test_verdicts.adds": Row("not checked", "passed", "DoctestItem"),
    "line": Row("not checked", "passed", "Line"),
    # Status 1, and all tests were said to have passed (its issues 70 and 71).
    "test_monkeypatch_fails": Row("failure", "failed", "assert False"),
}

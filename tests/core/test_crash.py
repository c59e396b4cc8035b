"""crash.c, deadman.c: what a process says at its end. Each test kills a child interpreter and reads what it left."""

import signal
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads the evidence of Linux signals")

PREAMBLE = """\
import ctypes, faulthandler, os, signal, sys, threading, time
from ftcheck import _core

evidence = open(EVIDENCE, "a")
idle, registered = threading.Event(), threading.Barrier(4)


def waits_for_ever(label):
    _core.enter_thread(label)
    registered.wait()
    idle.wait()


def in_the_body_of_round_7():
    registered.wait()
    while True:
        for number in range(1000):
            pass


def runs_for_ever(label):
    _core.enter_thread(label)
    _core.StartLine(1).run(0, 7, in_the_body_of_round_7, 1)


def others():
    for target, label in ((waits_for_ever, "waiting"), (waits_for_ever, "also waiting"), (runs_for_ever, "running")):
        threading.Thread(target=target, args=(label,), daemon=True).start()
    registered.wait()


def the_culprit(how):
    _core.enter_thread("culprit")
    how()


def in_a_thread(how):
    thread = threading.Thread(target=the_culprit, args=(how,), daemon=True)
    thread.start()
    thread.join()


def overflow_the_c_stack():
    libc = ctypes.CDLL(None)  # glibc's regular expressions recurse for each parenthesis
    libc.regcomp(ctypes.create_string_buffer(4096), b"(" * 2_000_000, 1)

"""
WATCH = "faulthandler.enable(file=evidence)\n_core.watch_fatal_signals(evidence)\n"
WAYS = {
    "read of address 0": ("lambda: ctypes.string_at(0)", signal.SIGSEGV),
    "SIGSEGV": ("faulthandler._sigsegv", signal.SIGSEGV),
    "SIGABRT": ("faulthandler._sigabrt", signal.SIGABRT),
    "SIGFPE": ("faulthandler._sigfpe", signal.SIGFPE),
    "SIGBUS": ("lambda: signal.raise_signal(signal.SIGBUS)", signal.SIGBUS),
    "SIGILL": ("lambda: signal.raise_signal(signal.SIGILL)", signal.SIGILL),
    "abort": ("os.abort", signal.SIGABRT),
    "C stack overflow": ("overflow_the_c_stack", signal.SIGSEGV),
}
all_ways = pytest.mark.parametrize("way", WAYS)
some_ways = pytest.mark.parametrize("way", ["read of address 0", "abort", "C stack overflow"])


@pytest.fixture
def dying(child, tmp_path):
    """Runs a program behind PREAMBLE; gives the completed process and the evidence."""

    def run(program, **options):
        done = child(PREAMBLE + program, **options)
        return done, (tmp_path / "evidence").read_text(errors="replace")

    return run


def stacks(evidence):
    """What each thread wrote: label, round and place to the lines of its stack."""
    found, block = {}, None
    for line in evidence.splitlines():
        if line.startswith("thread-begin: "):
            block = found[line.removeprefix("thread-begin: ")] = []
        elif line == "thread-end":
            block = None
        elif block is not None:
            block.append(line)
    return found


def assert_others_answered(found):
    """Every registered thread, wherever it was, with its own Python stack."""
    for label, function in (
        ("running, round 7, in the body", "in_the_body_of_round_7"),
        ("waiting", "waits_for_ever"),
        ("also waiting", "waits_for_ever"),
    ):
        assert any(line.endswith(f"in {function}") for line in found[label])
        assert found[label][-1].endswith("in Thread._bootstrap")


class TestFatalSignal:
    @all_ways
    def test_every_registered_thread_writes_its_stack_and_the_status_is_kept(self, dying, way):
        how, number = WAYS[way]
        done, evidence = dying(f"{WATCH}others()\nin_a_thread({how})\nprint('survived')")
        assert (done.returncode, done.stdout) == (-number, ""), done.stderr
        assert evidence.startswith(f"fatal-signal: {number.value} {number.name}\n")
        found = stacks(evidence)
        assert len(found) == 4
        assert any("in the_culprit" in line for line in found["culprit: got the signal here"])
        assert_others_answered(found)
        # Where a process has sent the signal (raise), what the kernel gives is no address.
        faulted = number in (signal.SIGSEGV, signal.SIGBUS) and "raise_signal" not in how and "_sigsegv" not in how
        assert ("fault-address: 0x" in evidence) == faulted

    @some_ways
    def test_the_handler_that_was_there_before_comes_after(self, dying, way):
        """faulthandler adds its own dump, with the C stack."""
        _, evidence = dying(f"{WATCH}others()\nin_a_thread({WAYS[way][0]})")
        assert "thread-end" in evidence.partition("faulthandler-begin\n")[0]
        assert "Fatal Python error: " in evidence.partition("faulthandler-begin\n")[2]

    @some_ways
    def test_without_faulthandler(self, dying, way):
        how, number = WAYS[way]
        done, evidence = dying(f"_core.watch_fatal_signals(evidence)\nothers()\nin_a_thread({how})")
        assert done.returncode == -number
        assert_others_answered(stacks(evidence))
        assert "Fatal Python error" not in evidence

    @some_ways
    def test_on_a_thread_that_is_not_registered(self, dying, way):
        how, number = WAYS[way]
        done, evidence = dying(f"{WATCH}others()\n({how})()")
        assert done.returncode == -number
        found = stacks(evidence)
        assert len(found) == 3
        assert_others_answered(found)

    def test_a_fatal_error_of_the_interpreter_on_a_thread_it_does_not_know(self, dying):
        done, evidence = dying(f"{WATCH}others()\nfaulthandler._fatal_error_c_thread()\nidle.wait()")
        assert done.returncode == -signal.SIGABRT
        assert_others_answered(stacks(evidence))

    def test_two_threads_fault_at_the_same_moment(self, dying):
        """One reports, the other is asked like any thread or waits for the end; nothing is mixed up or lost."""
        done, evidence = dying(f"""{WATCH}
both = threading.Barrier(2)
def faults():
    both.wait()
    ctypes.string_at(0)
def other_culprit():
    _core.enter_thread("culprit 2")
    faults()
others()
threading.Thread(target=other_culprit, daemon=True).start()
in_a_thread(faults)
""")
        assert done.returncode == -signal.SIGSEGV
        assert evidence.count("fatal-signal: ") == 1
        found = stacks(evidence)
        assert sum("got the signal here" in label for label in found) == 1
        assert {label.partition(",")[0].partition(":")[0] for label in found} == {
            "culprit", "culprit 2", "waiting", "also waiting", "running",
        }  # fmt: skip
        assert_others_answered(found)

    def test_threads_that_left_are_not_asked(self, dying):
        done, evidence = dying(f"""{WATCH}
def comes_and_goes():
    _core.enter_thread("gone"); _core.leave_thread()
for _ in range(5):
    thread = threading.Thread(target=comes_and_goes); thread.start(); thread.join()
others()
in_a_thread(os.abort)
""")
        assert done.returncode == -signal.SIGABRT
        assert "gone" not in evidence

    def test_a_thread_that_cannot_answer_is_named_and_the_others_are_asked(self, dying):
        done, evidence = dying(f"""{WATCH}
def deaf():
    _core.enter_thread("deaf")
    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, signal.NSIG))
    ready.set()
    idle.wait()
ready = threading.Event()
threading.Thread(target=deaf, daemon=True).start()
ready.wait()
others()
in_a_thread(os.abort)
""")
        assert done.returncode == -signal.SIGABRT
        found = stacks(evidence)
        assert found["deaf: did not answer"] == []
        assert_others_answered(found)

    def test_what_the_process_had_printed_is_copied_where_it_went_to_a_file(self, dying, tmp_path):
        """As under pytest's capture; a pipe or a terminal has it already."""
        _, evidence = dying(f"""{WATCH}
for fd, text in ((1, "on stdout"), (2, "on stderr")):
    file = os.open(f"{tmp_path}/{{fd}}", os.O_RDWR | os.O_CREAT)
    os.dup2(file, fd)
    os.write(fd, b"x" * 10_000 + text.encode())
os.abort()
""")
        for name in ("stdout", "stderr"):
            part = evidence.partition(f"{name}-begin\n")[2].partition(f"\n{name}-end\n")[0]
            assert part.endswith(f"on {name}")
            assert 100 < len(part) <= 4096

    def test_after_unwatch_nothing_is_written(self, dying):
        done, evidence = dying(
            "_core.watch_fatal_signals(evidence)\n_core.unwatch_fatal_signals()\n_core.unwatch_fatal_signals()\nos.abort()"
        )
        assert (done.returncode, evidence) == (-signal.SIGABRT, "")

    def test_watching_again_writes_to_the_new_file(self, dying, tmp_path):
        done, evidence = dying(f"""
_core.watch_fatal_signals(open("{tmp_path}/first", "w"))
_core.watch_fatal_signals(evidence)
in_a_thread(os.abort)
""")
        assert done.returncode == -signal.SIGABRT
        assert (tmp_path / "first").read_text() == ""
        assert "culprit: got the signal here" in evidence

    @pytest.mark.parametrize("fd", ["-1", "None", "'x'"])
    def test_a_file_descriptor_is_needed(self, dying, fd):
        done, _ = dying(f"_core.watch_fatal_signals({fd})")
        assert done.returncode == 1
        assert "ValueError" in done.stderr or "TypeError" in done.stderr


class TestForkedChild:
    @pytest.mark.parametrize("watch", ["_core.watch_fatal_signals(evidence)", WATCH], ids=["alone", "with faulthandler"])
    @some_ways
    def test_does_not_write_and_dies_of_its_signal(self, dying, watch, way):
        """Its end is not the watched process's; the evidence file is that of the parent."""
        how, number = WAYS[way]
        done, evidence = dying(f"""{watch}
pid = os.fork()
if pid == 0:
    ({how})()
    os._exit(99)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
""")
        assert done.stdout == f"{-number}\n", done.stderr
        assert evidence == ""

    def test_the_parent_still_reports(self, dying):
        done, evidence = dying(f"""{WATCH}
pid = os.fork()
if pid == 0:
    signal.signal(signal.SIGABRT, signal.SIG_DFL)
    os.abort()
os.waitpid(pid, 0)
others()
in_a_thread(os.abort)
""")
        assert done.returncode == -signal.SIGABRT
        assert_others_answered(stacks(evidence))


class TestDeadMan:
    def test_a_process_in_which_no_python_code_can_run_is_ended(self, dying):
        """One thread is in C and never detaches; the next garbage collection waits for it, and all others for that.
        With the GIL on, the C code alone is enough.
        """
        done, evidence = dying(f"""{WATCH}
def in_c_for_ever():
    ctypes.PyDLL(None).pause()
others()
_core.dead_man(1.0, 70)
threading.Thread(target=the_culprit, args=(in_c_for_ever,), daemon=True).start()
import gc
while True:
    gc.collect()
""")
        assert (done.returncode, done.stdout) == (70, ""), done.stderr
        assert evidence.startswith("hang: no Python code could run any more\n")
        found = stacks(evidence)
        assert "in in_c_for_ever" in found["culprit"][0]
        assert_others_answered(found)

    def test_without_a_file_it_still_ends_the_process(self, dying):
        done, evidence = dying("_core.dead_man(0.1, 71)\nctypes.PyDLL(None).pause()")
        assert (done.returncode, evidence) == (71, "")

    def test_a_deadline_that_is_moved_or_taken_away_does_not_come(self, dying):
        """The thread looks every half second, so within 2 s it has looked with a deadline of 60 s, and with none."""
        done, evidence = dying(f"""{WATCH}
_core.dead_man(0.6, 72)
_core.dead_man(60.0, 73)
time.sleep(1.0)
_core.dead_man(0.0, 74)
time.sleep(1.0)
""")
        assert (done.returncode, evidence) == (0, "")

    def test_says_which_thread_watches(self, dying):
        done, _ = dying("""
first, second = _core.dead_man(0.0, 70), _core.dead_man(0.0, 70)
print(first == second, str(first) in os.listdir("/proc/self/task"), first != threading.get_native_id())
""")
        assert done.stdout == "True True True\n", done.stderr

    @pytest.mark.parametrize("arguments", ["", "1.0", "'x', 1", "1.0, 'x'"])
    def test_wrong_arguments(self, dying, arguments):
        done, _ = dying(f"_core.dead_man({arguments})")
        assert "TypeError" in done.stderr

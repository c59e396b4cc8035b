"""What does it cost to watch an extension from the inside? Plain, with ftcheck, and with the compilers' ThreadSanitizer.

One extension (``bench/native_work.c``) is built by gcc and by clang, each time plain, with ``ftcheck-cc``, and with
``-fsanitize=thread`` as it comes with the compiler, whose runtime is then preloaded into the same interpreter, which was not
built for it. All have ``-O2``. Two threads run each workload; no memory that one writes is used by the other, so that nobody
has a race to report (``report_bugs=0`` keeps ThreadSanitizer from reporting what it takes for one in the interpreter).

All six processes are there at once and take turns, of a few milliseconds each. CPU seconds are those of both threads.
What else the machine does, and how fast it lets its processors be, is much the same for the turns of a round: so each
ratio is the median of those of single rounds. And where things come to lie in memory makes a process some percent slower
or faster than the next one of the same program, for as long as it lives: so all six are begun afresh a few times. *loop*:
in C, with hardly a call of the interpreter; *atomic*: the same with atomic operations; *call*: each step is a call from
Python. The figures are CPU times over those of the plain build by the same compiler, without delays. The delays, which a
test run has, are not for speed: they make threads meet. The second table has the same with them, by the median of a run
in each process, which begins with all its delays again. What they add is bounded: an instruction has at most 255 waits of
at most 100 microseconds (25.5 ms, whatever the number of threads), each of which costs a call of the system, and after
that hardly any.

Memory: what the peak of the process grows by where each word of 16 MiB is written once, over what it grows by when plain.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).with_suffix("").parent / "native_work.c"
THREADS = 2
TOUCHED = 16 << 20
"""Bytes of the measurement of memory."""
WORKLOADS: dict[str, tuple[str, str, int]] = {
    "read a shared array": ("loop", "read_shared", 4_000_000),
    "write own memory": ("loop", "write_own", 4_000_000),
    "update fields of structs": ("loop", "update_fields", 2_000_000),
    "hash bytes": ("loop", "hash_bytes", 4_000_000),
    "walk a hash table": ("loop", "walk_table", 600_000),
    "chase pointers": ("loop", "chase", 2_000_000),
    "copy blocks of 4 KiB": ("loop", "copy_blocks", 8_000),
    "call small functions": ("loop", "call_functions", 25_000),
    "count references": ("atomic", "count_references", 1_000_000),
    "relaxed, release, acquire": ("atomic", "add_atomically", 400_000),
    "self.inc()": ("call", "inc", 60_000),
    "self.plus(a, b), which makes a tuple": ("call", "plus", 30_000),
    "make, set an attribute, free": ("call", "objects", 20_000),
}
"""Name to: kind, what :func:`work` is to do, and how often each thread does it in a turn."""
AIMS = {"call": 1.0, "loop": 2.0}
"""What the median of ftcheck over TSan shall be at most."""
PROCESSES = 9
"""Of each build, one after the other."""
COMPILERS = ("gcc", "clang")
BUILDS = ("plain", "ftcheck", "TSan")
OPTIONS = "report_bugs=0:exitcode=0:symbolize=0"


# --- the process that runs the workloads -------------------------------------------------------------------------------


def work(module: Any, name: str, count: int) -> Callable[[], object]:
    """What one thread does in one turn; its objects are made now."""
    if name == "objects":

        def objects() -> None:
            kept, make = module.Node(), module.Node
            for _ in range(count):
                one = make()
                one.other = kept

        return objects
    one = module.Work(object())
    if name == "inc":

        def inc() -> None:
            call = one.inc
            for _ in range(count):
                call()

        return inc
    if name == "plus":

        def plus() -> None:
            call = one.plus
            for number in range(count):
                call(number, 3)

        return plus
    loop = getattr(one, name)
    return lambda: loop(count)


def turn(module: Any, name: str, count: int) -> tuple[float, float]:
    """CPU and wall-clock seconds of the threads' work, without their start and end."""
    barrier = threading.Barrier(THREADS)
    times: list[tuple[float, float, float]] = []
    stopped: list[BaseException] = []

    def body() -> None:
        try:
            job = work(module, name, count)
            barrier.wait()
            began, cpu = time.perf_counter(), time.thread_time()
            job()
            times.append((time.thread_time() - cpu, began, time.perf_counter()))
        except BaseException as error:
            stopped.append(error)
            raise

    threads = [threading.Thread(target=body, name=f"worker {number}") for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if stopped:
        raise stopped[0]
    return sum(one[0] for one in times), max(one[2] for one in times) - min(one[1] for one in times)


def peak() -> int:
    """Bytes: the most that this process has had in memory."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def child(build: str) -> None:
    """Answer the commands that come: one JSON value a line."""
    native: Any = contextlib.nullcontext
    if build == "ftcheck":
        from ftcheck.native import watch

        watch.begin()
        native = watch.watched
    import native_work

    for line in sys.stdin:
        name, count, delays = json.loads(line)
        context = native(1, delays) if build == "ftcheck" else contextlib.nullcontext()
        with context as found:
            if name == "touch":
                before = peak()
                native_work.Work(None).touch(count)
                answer: Any = peak() - before
            elif name == "peak":
                answer = peak()
            else:
                answer = turn(native_work, name, count)
        if found is not None and found().races:
            raise RuntimeError(f"{name}: {found().headline}")
        print(json.dumps(answer), flush=True)


# --- the builds --------------------------------------------------------------------------------------------------------


def compile_all(folder: Path) -> dict[tuple[str, str], dict[str, str]]:
    """Build the extension in every way; to each its environment.

    :raises RuntimeError: a compiler or its ThreadSanitizer is missing.
    """
    environments = {}
    wrapper = str(Path(sys.executable).with_name("ftcheck-cc"))
    for compiler in COMPILERS:
        real, runtime = toolchain(compiler)
        for build in BUILDS:
            target = folder / f"{compiler}-{build}"
            target.mkdir()
            command = [wrapper if build == "ftcheck" else real, "-O2", "-g", "-fPIC", "-shared", str(SOURCE)]
            if build == "TSan":
                command += ["-fsanitize=thread", *(["-shared-libsan"] if compiler == "clang" else [])]
            command += [f"-I{sysconfig.get_path('include')}", "-o", str(target / "native_work.so")]
            subprocess.run(command, check=True, env={**os.environ, "FTCHECK_CC": real})
            path = os.pathsep.join([str(target), *filter(None, [os.environ.get("PYTHONPATH")])])
            environment = {**os.environ, "PYTHONPATH": path}
            if build == "TSan":
                environment |= {"LD_PRELOAD": runtime, "TSAN_OPTIONS": OPTIONS}
            environments[compiler, build] = environment
    return environments


@functools.cache
def toolchain(compiler: str) -> tuple[str, str]:
    """The newest one of this kind whose ThreadSanitizer lives with this interpreter, and the library that it is.

    That of clang 14 dies at the start of every program where glibc is 2.36.

    :raises RuntimeError: there is none.
    """
    library = {"gcc": "libtsan.so", "clang": f"libclang_rt.tsan-{platform.machine()}.so"}[compiler]
    for real in (*(f"{compiler}-{number}" for number in range(30, 10, -1)), compiler):
        if shutil.which(real) is None:
            continue
        words = [real, f"-print-file-name={library}"]
        path = subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
        environment = {**os.environ, "LD_PRELOAD": path}
        if os.path.isabs(path) and subprocess.run([sys.executable, "-c", ""], env=environment, check=False).returncode == 0:
            return real, path
    raise RuntimeError(f"{compiler}: none is there whose {library} works here; see the distribution's packages")


class Running:
    """One build, in a process of its own."""

    def __init__(self, build: str, environment: dict[str, str]) -> None:
        words = [sys.executable, __file__, "--child", build]
        self._process = subprocess.Popen(words, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, name: str, count: int = 0, delays: float = 0.0) -> Any:
        """What :func:`child` answers.

        :raises RuntimeError: the process has ended.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([name, count, delays]) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the process has ended with {self._process.wait()}")
        return json.loads(answer)

    def end(self) -> None:
        """It goes when nobody asks any more."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


# --- the measurement ---------------------------------------------------------------------------------------------------


Times = dict[tuple[str, str], list[tuple[float, float]]]
"""Of each build, which may be ``"delays"``: CPU and wall-clock seconds of each turn, in the order of turns."""


def run(turns: int = 6, chosen: str = "") -> dict[str, Any]:
    """All workloads.

    :param turns: per process.
    :param chosen: only the workloads with this in their names.
    """
    times: dict[str, Times] = {name: {} for name in WORKLOADS if chosen in name}
    with tempfile.TemporaryDirectory() as folder:
        environments = compile_all(Path(folder))
        memory = _memory(environments)
        for number in range(PROCESSES):
            running = {key: Running(key[1], environment) for key, environment in environments.items()}
            try:
                for name, row in times.items():
                    _measure(row, name, running, turns)
                    print(f"processes {number + 1} of {PROCESSES}: {name}", file=sys.stderr)
                for key, process in running.items():
                    memory[" ".join(key)]["peak MiB after all"] = round(process.ask("peak") / 2**20, 1)
            finally:
                for process in running.values():
                    process.end()
    rows = [_row(name, row) for name, row in times.items()]
    measured = {"turns": turns, "processes": PROCESSES, "threads": THREADS}
    return {**measured, "rows": rows, "memory": memory, "compilers": _versions()}


def _measure(times: Times, name: str, running: dict[tuple[str, str], Running], turns: int) -> None:
    _kind, what, count = WORKLOADS[name]
    from ftcheck.native.watch import DELAYS

    for compiler in COMPILERS:
        times.setdefault((compiler, "delays"), []).append(running[compiler, "ftcheck"].ask(what, count, DELAYS))
    for number in range(turns + 1):
        for key, process in list(running.items())[:: 1 if number % 2 else -1]:
            spent = process.ask(what, count)
            if number:  # the first one warms up
                times.setdefault(key, []).append(spent)


def _row(name: str, times: Times) -> dict[str, Any]:
    row: dict[str, Any] = {"workload": name, "kind": WORKLOADS[name][0]}
    for key, spent in times.items():
        cpu, wall = (statistics.median(one) * 1e3 for one in zip(*spent, strict=True))
        row[" ".join(key)] = {"CPU ms": round(cpu, 3), "wall ms": round(wall, 3)}
    for compiler in COMPILERS:
        for build, other in (("ftcheck", "plain"), ("TSan", "plain"), ("ftcheck", "TSan")):
            pairs = zip(times[compiler, build], times[compiler, other], strict=True)
            row[f"{compiler} {build} / {other}"] = round(statistics.median(one[0] / two[0] for one, two in pairs), 3)
    return row


def _memory(environments: dict[tuple[str, str], dict[str, str]]) -> dict[str, dict[str, float]]:
    """In fresh processes: what 16 MiB cost that are written once."""
    found = {}
    for key, environment in environments.items():
        process = Running(key[1], environment)
        before, grown = process.ask("peak"), process.ask("touch", TOUCHED)
        process.end()
        found[" ".join(key)] = {"peak MiB at the start": round(before / 2**20, 1), "times": round(grown / TOUCHED, 2)}
    return found


def _versions() -> dict[str, str]:
    def first(words: list[str]) -> str:
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()[0]

    return {compiler: first([toolchain(compiler)[0], "--version"]) for compiler in COMPILERS}


def table(result: dict[str, Any]) -> str:
    """The result as Markdown: a table, whether the aims are reached, delays, and memory."""
    rows = result["rows"]
    compilers = "; ".join(result["compilers"].values())
    return "\n\n".join(
        [_ratios(rows), f"Aims, by the median: {'; '.join(_aims(rows))}.", _delays(rows), _bytes(result), compilers + "."]
    )


def _ratios(rows: list[dict[str, Any]]) -> str:
    lines = [
        "| | | gcc: ftcheck | TSan | ftcheck / TSan | clang: ftcheck | TSan | ftcheck / TSan |",
        "|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        cells = []
        for compiler in COMPILERS:
            cells += [f"{row[f'{compiler} {build} / plain']:.1f}" for build in ("ftcheck", "TSan")]
            cells += [f"{row[f'{compiler} ftcheck / TSan']:.2f}"]
        lines.append(f"| {row['kind']} | {row['workload']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _delays(rows: list[dict[str, Any]]) -> str:
    columns = "CPU ms | over TSan | wall ms | without: wall ms"
    lines = [f"| with the delays of a test run | gcc: {columns} | clang: {columns} |", "|---|" + "--:|" * 8]
    for row in rows:
        cells = []
        for compiler in COMPILERS:
            delayed, without, tsan = (row[f"{compiler} {build}"] for build in ("delays", "ftcheck", "TSan"))
            cells += [f"{delayed['CPU ms']:.1f}", f"{delayed['CPU ms'] / tsan['CPU ms']:.2f}"]
            cells += [f"{delayed['wall ms']:.1f}", f"{without['wall ms']:.1f}"]
        lines.append(f"| {row['workload']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _bytes(result: dict[str, Any]) -> str:
    lines = [
        "| memory | peak at the start, MiB | after all workloads | for a byte that is written, bytes |",
        "|---|--:|--:|--:|",
    ]
    for name, figures in result["memory"].items():
        cells = [f"{figures[key]}" for key in ("peak MiB at the start", "peak MiB after all", "times")]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _aims(rows: list[dict[str, Any]]) -> list[str]:
    said = []
    for kind, limit in AIMS.items():
        for compiler in COMPILERS:
            ratios = [row[f"{compiler} ftcheck / TSan"] for row in rows if row["kind"] == kind]
            if ratios:
                middle = statistics.median(ratios)
                verdict = "reached" if middle <= limit else "not reached"
                extremes = f"{min(ratios):.2f} to {max(ratios):.2f}"
                said.append(f"{kind}s at most {limit:g} x TSan with {compiler}: {verdict}, {middle:.2f} ({extremes})")
    return said


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2])
    else:
        print(table(run(int(sys.argv[1]) if sys.argv[1:] else 6, sys.argv[2] if sys.argv[2:] else "")))

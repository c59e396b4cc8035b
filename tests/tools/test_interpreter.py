"""tools/interpreter.py: which interpreter it chooses, why it rejects others, and how getting one can fail.

Interpreters are played by shell scripts that answer the probe.  Nothing here uses the network; a real
assembly is tried when FTCHECK_TEST_ASSEMBLE is set.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / "tools"
FAKE = """\
#!/bin/sh
echo "$*" | /usr/bin/head -1 >> {log}
case "$*" in
*"-m venv"*) {venv} for folder; do :; done; /bin/mkdir -p "$folder/bin"; /bin/cp "$0" "$folder/bin/python" ;;
*"-m ensurepip"*) {pip} ;;
*) {probe} ;;
esac
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the tools are for Linux")


class Machine:
    """A machine of our own: an empty PATH, home and cache, to be filled by a test."""

    def __init__(self, folder):
        self.folder = folder
        self.bin, self.home, self.cache = (folder / name for name in ("bin", "home", "cache"))
        for made in (self.bin, self.home):
            made.mkdir()
        self.env = {"PATH": str(self.bin), "HOME": str(self.home), "FTCHECK_CACHE": str(self.cache)}

    def fake(
        self,
        path,
        version=(3, 14, 9),
        *,
        free_threaded=True,
        headers=True,
        venv="",
        pip=":",
        executable="",
        probe="",
    ):
        """Put a fake interpreter at `path` and return it; it notes its calls in `path`.log."""
        path = self.bin / path
        path.parent.mkdir(parents=True, exist_ok=True)
        facts = {
            "version": list(version),
            "implementation": "cpython",
            "free_threaded": free_threaded,
            "executable": str(executable or path),
            "include": "/usr/include/fake",
            "headers": headers,
        }
        answer = probe or f"echo 'ftcheck-probe {json.dumps(facts)}'"
        path.write_text(FAKE.format(log=f"{path}.log", venv=venv, pip=pip, probe=answer))
        path.chmod(0o755)
        return path

    def calls(self, path):
        return Path(f"{path}.log").read_text().splitlines()

    def link(self, *names):
        for name in names:
            (self.bin / name).symlink_to(shutil.which(name))

    def start(self, *arguments, script="", before=()):
        """Start the finder; `script` is Python to run first in it, `before` a command to run it with."""
        program = f"import sys; sys.path.insert(0, {str(TOOLS)!r})\n{script}\n"
        program += "import interpreter; sys.exit(interpreter.main(lambda: interpreter.find(interpreter.parse())))"
        command = [*before, sys.executable, "-c", program] if script else [*before, sys.executable, TOOLS / "interpreter.py"]
        return subprocess.Popen(
            [*command, *arguments], env=self.env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def find(self, *arguments, **how):
        process = self.start(*arguments, **how)
        out, err = process.communicate(timeout=120)
        return subprocess.CompletedProcess(process.args, process.returncode, out.strip(), err)


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


@pytest.fixture
def tools(monkeypatch):
    """Imports a module of tools/ into this process."""
    monkeypatch.syspath_prepend(TOOLS)
    yield __import__
    for name in ("interpreter", "assemble_python", "workshop", "console"):
        sys.modules.pop(name, None)


# -- which one -------------------------------------------------------------------------------------


def test_places_are_searched_in_order(machine):
    uv = machine.home / ".local/share/uv/python"
    in_order = [
        machine.fake("python3.14t"),
        machine.fake("python3.15t", (3, 15, 0)),
        machine.fake("python3.14"),
        machine.fake("python3"),
        machine.fake(machine.home / ".pyenv/versions/3.14.10t/bin/python3.14t", (3, 14, 10)),
        machine.fake(machine.home / ".pyenv/versions/3.14.2t/bin/python3.14t", (3, 14, 2)),
        machine.fake(machine.home / ".pyenv/versions/3.15t-dev/bin/python3.15t", (3, 15, 0)),
        machine.fake(uv / "cpython-3.14.9+freethreaded-linux-x86_64-gnu/bin/python3.14t"),
        machine.fake(machine.cache / "uv/cpython-3.14.9+freethreaded-linux-x86_64-gnu/bin/python3.14t"),
        machine.fake(machine.cache / "python3.14t/bin/python3.14t"),
    ]
    for expected in in_order:
        found = machine.find("--fresh", "--no-install")
        assert (found.stdout, found.returncode) == (str(expected), 0), found.stderr
        expected.unlink()
    assert machine.find("--no-install").returncode == 3


def test_only_the_path_is_on_stdout(machine):
    good = machine.fake("python3.14t")
    found = machine.find("--verbose")
    assert found.stdout == str(good)
    assert "good, 3.14.9" in found.stderr


def test_a_named_interpreter_comes_first(machine):
    machine.fake("python3.14t")
    named = machine.fake(machine.folder / "elsewhere/python", (3, 14, 1))
    machine.env["FTCHECK_PYTHON"] = str(named)
    assert machine.find().stdout == str(named)
    machine.fake("mine")
    machine.env["FTCHECK_PYTHON"] = "mine"
    assert machine.find().stdout == str(machine.bin / "mine")


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ({"free_threaded": False}, "it is a 3.14.9 with the GIL"),
        ({"version": (3, 13, 5)}, "its version is 3.13.5; 3.14 or later is needed"),
        ({"headers": False}, "its C headers are missing: no Python.h in /usr/include/fake"),
        ({"probe": "echo 'Segmentation fault' >&2; exit 139"}, "(exit code 139): Segmentation fault"),
        ({"probe": "echo 'Python 3.14.9'"}, "it does not run as Python"),
        (
            {"venv": "echo 'No module named venv' >&2; exit 1;"},
            "cannot make a virtual environment: No module named venv",
        ),
        (
            {"pip": "echo 'No module named ensurepip'; exit 1"},
            "put pip into a virtual environment: No module",
        ),
        ({"executable": "/gone/python3.14t"}, "the interpreter it was made from is gone: /gone/python3.14t"),
    ],
)
def test_rejections_say_why(machine, tools, how, reason):
    bad = machine.fake("python3.14t", **how)
    interpreter = tools("interpreter")
    verdict = interpreter.judge(interpreter.Candidate("PATH", str(bad)), interpreter.Memory(machine.cache))
    assert not verdict.good
    assert reason in verdict.reason


def test_a_rejected_one_is_passed_over(machine):
    bad = machine.fake("python3.14t", free_threaded=False)
    good = machine.fake("python3")
    found = machine.find("-v")
    assert found.stdout == str(good)
    assert f"PATH: {bad}: no, it is a 3.14.9 with the GIL" in found.stderr


def test_a_rejected_named_one_is_an_error(machine):
    bad = machine.fake("bad", free_threaded=False)
    machine.fake("python3.14t")
    machine.env["FTCHECK_PYTHON"] = str(bad)
    refused = machine.find()
    assert (refused.stdout, refused.returncode) == ("", 2)
    assert refused.stderr.startswith(f"error: FTCHECK_PYTHON={bad} cannot be used: it is a 3.14.9 with the GIL")


def test_a_missing_named_interpreter_is_an_error(machine):
    machine.fake("python3.14t")
    machine.env["FTCHECK_PYTHON"] = "/nowhere/python"
    refused = machine.find()
    assert refused.returncode == 2
    assert "there is no such program" in refused.stderr


def test_a_candidate_that_hangs_is_left_with_its_children(machine, tools, monkeypatch):
    interpreter = tools("interpreter")
    monkeypatch.setattr(interpreter, "PROBE_SECONDS", 0.3)
    note = machine.folder / "pid"
    # The child keeps the pipes open: killing only the shell would leave us reading for a minute.
    hanging = machine.fake("python3.14t", probe=f"/bin/sleep 60 & echo $! > {note}; wait")
    started = time.monotonic()
    verdict = interpreter.judge(interpreter.Candidate("PATH", str(hanging)), interpreter.Memory(machine.cache))
    assert verdict.reason == "it did not answer in 0.3 s"
    assert time.monotonic() - started < 5
    assert is_gone(int(note.read_text()))


def test_a_virtual_environment_stands_for_its_base(machine):
    base = machine.fake(machine.folder / "base/python3.14t")
    machine.fake("python3", executable=base)
    assert machine.find().stdout == str(base)


def test_list_shows_every_verdict(machine):
    machine.fake("python3.14t", free_threaded=False)
    good = machine.fake("python3.15t", (3, 15, 0))
    machine.fake("python3", (3, 14, 1))
    listed = machine.find("--list")
    assert listed.returncode == 0
    assert [line.split()[0] for line in listed.stdout.splitlines()] == ["no", "this", "good", "the"]
    assert listed.stdout.endswith(f"the answer would be {good}")


# -- the second time -------------------------------------------------------------------------------


def test_the_answer_is_kept_and_only_tried(machine):
    machine.fake("python3", (3, 12, 0))
    good = machine.fake(machine.home / ".pyenv/versions/3.14.9t/bin/python3.14t")
    machine.find()
    first = machine.calls(good)
    assert [call.split()[:2] for call in first] == [["-I", "-c"], ["-m", "venv"], ["-m", "ensurepip"]]
    started = time.monotonic()
    assert machine.find().stdout == str(good)
    assert time.monotonic() - started < 1
    assert len(machine.calls(good)) == len(first) + 1
    assert len(machine.calls(machine.bin / "python3")) == 1


def test_a_kept_answer_that_is_gone_or_changed_is_found_out(machine):
    first, second = machine.fake("python3.14t"), machine.fake("python3")
    assert machine.find().stdout == str(first)
    first.unlink()
    assert machine.find().stdout == str(second)
    machine.fake("python3", free_threaded=False)
    assert machine.find("--no-install").returncode == 3


def test_a_damaged_memory_is_no_obstacle(machine):
    good = machine.fake("python3.14t")
    machine.cache.mkdir()
    (machine.cache / "interpreter.json").write_text('{"answers": [1')
    assert machine.find().stdout == str(good)


def test_an_unwritable_cache_is_no_obstacle_to_looking(machine):
    good = machine.fake("python3.14t")
    machine.env["FTCHECK_CACHE"] = "/proc/ftcheck"
    assert machine.find().stdout == str(good)
    good.unlink()
    failed = machine.find("--no-uv")
    assert failed.returncode == 3
    assert failed.stderr.startswith("error: the cache folder /proc/ftcheck cannot be written: ")


# -- getting one -----------------------------------------------------------------------------------


@pytest.mark.parametrize("offline", [True, False], ids=["FTCHECK_OFFLINE", "--no-install"])
def test_looking_only(machine, offline):
    if offline:
        machine.env["FTCHECK_OFFLINE"] = "1"
    found = machine.find(*([] if offline else ["--no-install"]))
    assert (found.stdout, found.returncode) == ("", 3)
    assert "FTCHECK_PYTHON=/path/to/python3.14t" in found.stderr
    assert not (machine.cache / "python3.14t").exists()


def test_uv_is_asked_before_assembling(machine):
    python = machine.fake(machine.folder / "python")
    installed = "$UV_PYTHON_INSTALL_DIR/cpython-3.14.9+freethreaded-linux-x86_64-gnu/bin"
    uv = machine.bin / "uv"
    install = f'/bin/mkdir -p "{installed}" && /bin/cp {python} "{installed}/python3.14t"'
    uv.write_text(f'#!/bin/sh\ncase "$*" in *install*) {install} ;; *) exit 2 ;; esac\n')
    uv.chmod(0o755)
    found = machine.find()
    assert found.returncode == 0, found.stderr
    assert "assembling" not in found.stderr


def test_without_uvs_source_it_goes_on(machine):
    uv = machine.bin / "uv"
    uv.write_text("#!/bin/sh\necho 'error: dns error' >&2\nexit 1\n")
    uv.chmod(0o755)
    found = machine.find(script="import assemble_python, interpreter; interpreter.assemble = " + ASSEMBLED)
    assert found.stdout == str(machine.cache / "python3.14t/bin/python3.14t"), found.stderr
    assert "==> uv's downloads are not reachable; going on without\n" in found.stderr
    assert "dns error" not in found.stderr


def test_no_compiler(machine):
    machine.link("apt-get", "dpkg")
    failed = machine.find("--assemble-only")
    assert failed.returncode == 3
    assert "error: no C compiler was found" in failed.stderr
    assert "apt install gcc libc6-dev" in failed.stderr


def test_no_apt(machine):
    failed = machine.find("--assemble-only")
    assert failed.returncode == 3
    assert "cannot be assembled without apt-get" in failed.stderr


def test_other_platforms_are_told_what_to_do(machine):
    failed = machine.find("--assemble-only", script="import platform; platform.machine = lambda: 'riscv64'")
    assert failed.returncode == 3
    assert "cannot be assembled on Linux riscv64" in failed.stderr
    assert "pyenv install 3.14t" in failed.stderr


def test_no_venv_module(machine):
    python = machine.fake("no-venv", venv="echo 'The virtual environment was not created: no ensurepip'; exit 1;")
    machine.link("apt-get", "dpkg", "gcc", "as", "ld")
    failed = machine.find("--assemble-only", script=f"sys.executable = {str(python)!r}")
    assert failed.returncode == 3
    assert "making a private virtual environment failed: " in failed.stderr
    assert "apt install python3-venv" in failed.stderr


def test_no_network(machine):
    machine.link("apt-get", "dpkg", "gcc", "as", "ld")
    machine.env |= {
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_RETRIES": "0",
    }
    failed = machine.find("--assemble-only", script=QUICK_PIP)
    assert failed.returncode == 3
    error = failed.stderr[failed.stderr.index("error: ") :].splitlines()
    assert error[0].startswith("error: pip download freeze-core==")
    assert "Connection refused" in error[0]
    assert "Is the package index reachable?" in error[1]
    assert sorted(os.listdir(machine.cache)) == ["lock"]


def test_a_full_disk(machine):
    """A cache on a tiny disk of our own: found out at once, and (with that check off) in the middle of it."""
    machine.cache.mkdir()
    machine.link("apt-get", "dpkg", "gcc", "as", "ld")
    mount = f'mount -t tmpfs -o size=1m tmpfs {machine.cache} && exec "$@"'
    unshare = shutil.which("unshare")
    before = [str(unshare), "-rm", "/bin/sh", "-c", f"PATH=/usr/bin:/bin:/usr/sbin:/sbin; {mount}", "sh"]
    if not unshare or subprocess.run([*before, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    for script in (
        "import workshop",
        "import workshop; workshop.shutil.disk_usage = lambda _: type('', (), {'free': 1 << 40})",
    ):
        failed = machine.find("--assemble-only", script=script, before=before)
        assert failed.returncode == 3
        assert f"error: the disk is full at {machine.cache}: about 400 MB are needed there" in failed.stderr, failed.stderr
        assert "set FTCHECK_CACHE to a folder" in failed.stderr


def test_a_full_disk_is_recognised(tools):
    with pytest.raises(OSError, match="No space left") as caught, open("/dev/full", "w", buffering=1) as file:
        file.write("x\n")
    console = tools("console")
    assert console.is_disk_full(caught.value)
    assert console.is_disk_full("tar: write error: No space left on device\n")
    assert not console.is_disk_full(FileNotFoundError(2, "No such file or directory"))


# -- stopped, killed, twice at once ----------------------------------------------------------------

QUICK_PIP = """
import workshop
make = workshop.Workshop.command
def command(self, what, command, *rest, **more):  # share the pip that is here: a copy takes seconds
    if "venv" in command:
        command = [*command, "--system-site-packages"]
    if "ensurepip" in command:
        return ""
    return make(self, what, command, *rest, **more)
workshop.Workshop.command = command
"""
ASSEMBLED = """lambda shop, target: assembled(shop, target)
import pathlib, shutil, time
def assembled(shop, target):
    with open(target.parent / "assembled", "a") as log:
        log.write("once\\n")
    time.sleep(0.5)
    made = shop.folder / "prefix" / "bin" / "python3.14t"
    made.parent.mkdir(parents=True)
    answer = 'ftcheck-probe {"version": [3, 14, 9], "implementation": "cpython", "free_threaded": true, '
    answer += f'"executable": "{target}/bin/python3.14t", "include": "", "headers": true' + "}"
    made.write_text("#!/bin/sh\\ncase $* in *ensurepip*) ;; "
                    "*venv*) for f; do :; done; /bin/mkdir -p $f/bin; /bin/cp $0 $f/bin/python;; "
                    f"*) echo '{answer}';; esac\\n")
    made.chmod(0o755)
    made.parent.parent.rename(target)
"""
ENDLESS = """
import assemble_python
def fetch_core(shop, machine):
    (shop.folder / "prefix" / "bin").mkdir()
    (shop.folder / "prefix" / "bin" / "python3.14t").write_text("half-made")
    sleep = "/bin/sleep 60 & echo $! > \\"$0\\"; wait"
    shop.command("waiting", ["/bin/sh", "-c", sleep, str(shop.cache / "pid")], "")
assemble_python.fetch_core = fetch_core
"""


def is_gone(pid):
    """Has the process ended?  (A zombie that nobody waits for has.)"""
    for _ in range(3000):  # a busy machine takes its time
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except FileNotFoundError, ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


def assembling(machine):
    """A run in the middle of its assembly, and the process that it waits for."""
    machine.link("apt-get", "dpkg", "gcc", "as", "ld")
    process = machine.start("--assemble-only", script=ENDLESS)
    note = machine.cache / "pid"
    until = time.monotonic() + 20
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(FileNotFoundError, ValueError):
            return process, int(note.read_text())
        time.sleep(0.02)
    process.kill()
    pytest.fail(process.communicate()[1])


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_stopped_in_the_middle(machine, number, code):
    process, child = assembling(machine)
    process.send_signal(number)
    _, err = process.communicate(timeout=10)
    assert process.returncode == code, err
    assert "Traceback" not in err
    assert is_gone(child)
    assert sorted(os.listdir(machine.cache)) == ["lock", "pid"]
    assert machine.find("--no-install").returncode == 3


def test_killed_in_the_middle(machine):
    process, child = assembling(machine)
    process.kill()
    process.communicate(timeout=10)
    os.kill(child, signal.SIGKILL)
    left_over = list(machine.cache.glob("work-*"))
    assert left_over
    assert machine.find("--no-install").returncode == 3
    found = machine.find("--no-uv", script="import interpreter; interpreter.assemble = " + ASSEMBLED)
    assert found.returncode == 0, found.stderr
    assert not left_over[0].exists()


def test_two_runs_at_once_assemble_once(machine):
    script = "import interpreter; interpreter.assemble = " + ASSEMBLED
    runs = [machine.start("--no-uv", script=script) for _ in range(3)]
    results = [run.communicate(timeout=60) for run in runs]
    assert [run.returncode for run in runs] == [0, 0, 0], results
    assert {out.strip() for out, _ in results} == {str(machine.cache / "python3.14t/bin/python3.14t")}
    assert (machine.cache / "assembled").read_text() == "once\n"
    assert any("waiting for it" in err for _, err in results)


# -- the rest --------------------------------------------------------------------------------------


def test_help_teaches(machine):
    told = machine.find("--help")
    assert told.returncode == 0
    for word in ("FTCHECK_PYTHON", "FTCHECK_CACHE", "exit codes", "pyenv"):
        assert word in told.stdout


def test_quietly_is_quiet_only_when_all_is_well():
    def quietly(command):
        call = [TOOLS / "quietly", "Do this.", "sh", "-c", command]
        return subprocess.run(call, capture_output=True, text=True, check=False)

    fine = quietly("echo out; echo err >&2")
    assert (fine.returncode, fine.stdout, fine.stderr) == (0, "", "")
    failed = quietly("echo out; echo err >&2; exit 7")
    assert failed.returncode == 7
    assert failed.stderr.startswith("out\nerr\nerror: this failed (exit code 7): ")
    assert failed.stderr.endswith("Do this.\n")


@pytest.mark.skipif(not os.environ.get("FTCHECK_TEST_ASSEMBLE"), reason="set FTCHECK_TEST_ASSEMBLE=1 (network, 30 s)")
def test_a_real_assembly(machine):
    machine.env["PATH"] = "/usr/bin:/bin"
    machine.env |= {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "HTTP", "SSL_"))}
    found = machine.find("--assemble-only")
    assert found.returncode == 0, found.stderr
    told = subprocess.run([found.stdout, "-VV"], capture_output=True, text=True, check=True)
    assert "free-threading" in told.stdout
    assert sorted(os.listdir(machine.cache)) == ["interpreter.json", "lock", "python3.14t"]

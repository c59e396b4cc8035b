"""What docs/explore.md prints is what is printed: its examples are run, and each line of pasted output must come up.

An example is a block of the page whose first line names its file, or a file of ``tests/docs/explore`` where the page shows
only a part. Lines are compared without regard to white space; ``...`` stands for what was left out. Tokens depend on the
code and schedules on the seed, so both are those of the page or the page is wrong.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MORE = ROOT / "tests" / "docs" / "explore"
PAGE = (ROOT / "docs" / "explore.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE, re.DOTALL)
FILES = {
    found[1]: body.partition("\n")[2]
    for language, body in BLOCKS
    if language == "python" and (found := re.match(r"# (\S+\.py)\n", body)) is not None
}
COMMANDS = re.findall(r"^\$ pytest (.*)$", PAGE, re.MULTILINE)
OUTPUT = [body for language, body in BLOCKS if language in ("console", "text")]
BY_CHANCE = "it did not come back when"
"""The page shows what is said of a test that is not deterministic: that cannot be run to order."""
BY_HYPOTHESIS = "Failing test case: test_add("
"""Which arguments it comes to depends on its version: so those of the page are run."""


def printed(folder, *words):
    environment = {**os.environ, "COLUMNS": "100"}
    plain = ["-p", "no:randomly", "-p", "no:cacheprovider", "--hypothesis-profile=default"]  # "ci" has no database
    command = [sys.executable, "-m", "pytest", *plain, *words]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=120, env=environment
    ).stdout


def plain(line):
    """Without pytest's progress, and whatever version of Hypothesis a token with data names."""
    return re.sub(r"~\d+\.\d+\.\d+~", "~HYPOTHESIS~", re.sub(r" \[ ?\d+%\]$", "", " ".join(line.split())))


def shown(text):
    return {plain(line) for line in text.splitlines()}


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    """Every line that the page's commands print, and its examples that have no command."""
    folder = tmp_path_factory.mktemp("page")
    shutil.copytree(MORE, folder, dirs_exist_ok=True)
    for name, body in FILES.items():
        (folder / name).write_text(body, encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\n")
    lines = set()
    for command in COMMANDS:
        lines |= shown(printed(folder, *command.split(), *(["--ftcheck-seed=1"] if "replay" not in command else [])))
    for path in sorted(MORE.glob("test_*.py")):
        lines |= shown(printed(folder, "--ftcheck-seed=1", "--hypothesis-seed=1", path.name))
    for _ in range(2):  # without a seed: the second time from Hypothesis' database
        lines |= shown(printed(folder / "again", "test_counter.py"))
    token = next(word for word in COMMANDS[1].split() if "replay=" in word).partition("=")[2]
    pinned = FILES["test_stock.py"].replace("explore=True", f'replay="{token}"')
    repaired = folder / "repaired"
    (repaired / "pytest.ini").write_text("[pytest]\n")
    (repaired / "test_stock.py").write_text(pinned, encoding="utf-8")
    return lines | shown(printed(repaired, "-v", "-p", "no:xdist", "test_stock.py"))


@pytest.mark.parametrize("block", OUTPUT, ids=lambda body: " ".join(body.split())[:50])
def test_each_line_of_pasted_output_comes_up(everything, block):
    if BY_CHANCE in block or block.startswith("ft2."):
        return  # the second one is a token with its parts named: no output
    if BY_HYPOTHESIS in block:
        block = f"E {BY_HYPOTHESIS}"
    pasted = [line for line in block.splitlines() if line.strip() not in ("", "...") and not line.startswith("$ ")]
    missing = [line for line in pasted if plain(line) not in everything]
    assert pasted
    assert not missing


def test_what_hypothesis_is_shown_to_find_fails(tmp_path):
    (shown,) = [block for block in OUTPUT if BY_HYPOTHESIS in block]
    arguments = ", ".join(re.findall(r"(\w+=[^,\n]+),", shown))
    code = (MORE / "test_account.py").read_text(encoding="utf-8").replace("@given", f"@example({arguments})\n@given")
    (tmp_path / "test_account.py").write_text(code.replace("import given", "import example, given"), encoding="utf-8")
    lines = printed(tmp_path, "test_account.py")
    assert re.search(r"(Failing|Falsifying) explicit example: test_add\(", lines)
    assert re.search(r"The interleaving, from top to bottom \(1 preemption, ", lines)

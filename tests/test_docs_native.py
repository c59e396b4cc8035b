"""What docs/native.md prints of static state is what is printed, but for addresses, offsets and sizes: the compiler's."""

import re
import sys
import sysconfig

import pytest

from .test_docs import ROOT, printed, shown

PAGE = (ROOT / "docs" / "native.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("## Static state")[2].partition("\n## ")[0]
BUILT = ROOT / "ext_samples" / "_built" / sysconfig.get_config_var("EXT_SUFFIX").strip(".").rsplit(".", 1)[0]
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", SECTION, re.DOTALL)


def without_numbers(line):
    return re.sub(r"0x[0-9a-f]+", "0x", re.sub(r"[\d,]+ bytes", "bytes", " ".join(line.split())))


@pytest.mark.skipif(sys.platform != "linux", reason="only on Linux is it known where things are")
def test_the_pasted_list_of_static_state_comes_up(tmp_path):
    (example,) = [body for language, body in BLOCKS if language == "python"]
    (output,) = [body for language, body in BLOCKS if language == "console" and "static state of" in body]
    command = re.match(r"\$ pytest (.*)\n", output)[1].split()
    (tmp_path / "conftest.py").write_text(f"import sys\nsys.path.insert(0, {str(BUILT)!r})\n")
    (tmp_path / "test_samples.py").write_text(example, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    come_up = {without_numbers(line) for line in shown(printed(tmp_path, *command))}
    pasted = [line for line in output.splitlines()[1:] if line.strip()]
    assert len(pasted) > 10
    assert not [line for line in pasted if without_numbers(line) not in come_up]

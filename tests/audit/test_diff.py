"""audit/diff.py: what differs, and what of that breaks something."""

import dataclasses
import json

import pytest

from ftcheck import cli
from ftcheck.audit import record
from ftcheck.audit.diff import compare, plain, text
from ftcheck.audit.record import STDLIB, Distribution, Interpreter, Module, Needed, Record, System

LIBC, LIBSTDCXX = "/usr/lib/libc.so.6", "/usr/lib/libstdc++.so.6.0.30"
DEBIAN = System(
    "Debian 12", "x86_64", "glibc 2.36",
    {"libc.so.6": {"file": LIBC, "GLIBC": "2.36"}, "libstdc++.so.6": {"file": LIBSTDCXX, "GLIBCXX": "3.4.30"}},
)  # fmt: skip
UBUNTU = System("Ubuntu 20.04", "x86_64", "glibc 2.31", {"libc.so.6": {"file": LIBC, "GLIBC": "2.31"}})
GIL = Interpreter("cpython", "3.14.2", False, False, "", "cpython-314-x86_64-linux-gnu", "linux-x86_64", "GCC 13")
FREE = dataclasses.replace(GIL, free_threaded=True, abiflags="t", soabi="cpython-314t-x86_64-linux-gnu")
C = Needed("libc.so.6", LIBC)


def module(name="lxml.etree", of="lxml", needed=(C,), needs=None, abi="cpython-314-x86_64-linux-gnu", **more):
    return Module(name, of, abi, needed=needed, needs={"GLIBC": "2.17"} if needs is None else needs, **more)


A = Record(GIL, DEBIAN, (Distribution("lxml", "6.0", ("cp314-cp314-linux_x86_64",)),), (module(gil="always on"),), False)


def problems(a, b):
    return [(one.subjects, one.text, one.new) for one in compare(a, b).problems]


class TestTheSame:
    def test_nothing_differs(self):
        found = compare(A, A)
        assert (found.same, found.changes, found.problems) == (True, (), ())
        assert "nothing differs" in text(found, "a", "b")
        assert text(found, "a", "b").endswith("compared: 1 and 1 distributions, 1 and 1 extension modules and libraries")

    def test_it_says_what_was_not_looked_at(self):
        free = dataclasses.replace(A, interpreter=FREE)
        assert "not known of both" in compare(free, free).looked
        assert "not known of the first" in compare(free, dataclasses.replace(free, probed=True)).looked
        assert "not known of the second" in compare(A, free).looked
        assert "not known" not in compare(A, A).looked  # with the GIL there is nothing to know


class TestChanges:
    def change(self, b, a=A):
        return [(one.room, one.subjects, one.what, one.before, one.after) for one in compare(a, b).changes]

    def test_a_distribution(self):
        newer = dataclasses.replace(A, distributions=(Distribution("lxml", "6.1", A.distributions[0].tags),))
        assert self.change(newer) == [("distributions", ("lxml",), "", "6.0", "6.1")]
        assert self.change(dataclasses.replace(A, distributions=())) == [("distributions", ("lxml",), "", "6.0", "-")]

    def test_names_are_normalised(self):
        one = dataclasses.replace(A, distributions=(Distribution("Foo_Bar", "1", ()),))
        other = dataclasses.replace(A, distributions=(Distribution("foo-bar", "1", ()),))
        assert self.change(other, one) == []

    def test_the_same_change_of_many_is_one_row(self):
        modules = tuple(module(f"m{n}", gil="always on") for n in range(9))
        tagged = tuple(dataclasses.replace(one, abi="cpython-314t-x86_64-linux-gnu") for one in modules)
        a, b = dataclasses.replace(A, modules=modules), dataclasses.replace(A, modules=tagged)
        ((_, subjects, what, _, _),) = self.change(b, a)
        assert (len(subjects), what) == (9, "ABI tag")
        assert "  m0, m1, m2, m3 and 5 more: ABI tag\n" in text(compare(a, b), "a", "b")

    def test_the_standard_library_is_apart(self):
        of_python = dataclasses.replace(A, modules=(*A.modules, module("_ssl", STDLIB)))
        assert self.change(of_python) == [
            ("extension modules of the standard library", ("_ssl",), "", "-", "cpython-314-x86_64-linux-gnu")
        ]


class TestProblems:
    @pytest.mark.parametrize(
        ("one", "says"),
        [
            (module(gil="turns it on"), "turns the GIL on"),
            (module(gil="cannot be imported: ImportError: x"), "cannot be imported: ImportError: x"),
            (module(needed=(C, Needed("libx.so.1", ""))), "needs libx.so.1, which is not found"),
            (module(needs={"GLIBC": "2.38"}), "needs GLIBC 2.38, and libc.so.6 of the system has 2.36"),
            (
                module(needed=(Needed("libstdc++.so.6", LIBSTDCXX),), needs={"GLIBCXX": "3.4.32"}),
                "needs GLIBCXX 3.4.32, and libstdc++.so.6 of the system has 3.4.30",
            ),
            (module(problem="cannot be read: no ELF"), "cannot be read: no ELF"),
        ],
    )
    def test_each(self, one, says):
        broken = dataclasses.replace(A, modules=(one,))
        assert problems(A, broken) == [(("lxml.etree",), says, True)]
        assert problems(broken, broken) == [(("lxml.etree",), says, False)]
        assert problems(broken, A) == []

    @pytest.mark.parametrize(
        "one",
        [
            module(needs={"GLIBC": "2.36"}),
            module(needs={"GLIBC": "2.4"}),  # less than 2.36, as a number
            module(needed=(C, Needed("libstdc++.so.6", "lxml.libs/libstdc++.so.6")), needs={"GLIBCXX": "3.4.99"}),
            module(gil="keeps it off"),
            module(gil="not probed"),
        ],
    )
    def test_what_is_none(self, one):
        assert problems(A, dataclasses.replace(A, modules=(one,))) == []

    def test_of_a_system_that_is_older(self):
        modules = (module(needs={"GLIBC": "2.34"}), module("b", needs={"GLIBC": "2.34"}))
        a, b = dataclasses.replace(A, modules=modules), dataclasses.replace(A, modules=modules, system=UBUNTU)
        assert problems(a, b) == [(("b", "lxml.etree"), "needs GLIBC 2.34, and libc.so.6 of the system has 2.31", True)]


def test_the_text(golden):
    a = dataclasses.replace(
        A,
        distributions=(*A.distributions, Distribution("numpy", "2.3.0", ("cp314-cp314-manylinux_2_28_x86_64",))),
        modules=(*A.modules, module("numpy.core", "numpy", gil="always on"), module("_ssl", STDLIB, gil="always on")),
    )
    tag = {"abi": "cpython-314t-x86_64-linux-gnu"}
    b = Record(
        FREE,
        UBUNTU,
        (Distribution("lxml", "6.1", ("cp314-cp314t-linux_x86_64",)),),
        (
            module(gil="turns it on", needs={"GLIBC": "2.34"}, **tag),
            module("lxml.more", gil="turns it on", needed=(Needed("libxslt.so.1", ""),), **tag),
            module("_ssl", STDLIB, gil="keeps it off", **tag),
        ),
        True,
    )
    golden("diff", text(compare(a, b), "debian.json", "ubuntu.json"))


class TestCommand:
    @pytest.fixture
    def files(self, tmp_path):
        other = dataclasses.replace(A, interpreter=FREE)
        record.write(A, tmp_path / "a.json")
        record.write(other, tmp_path / "b.json")
        (tmp_path / "cut.json").write_text('{"schema": ')
        return lambda *names: [str(tmp_path / name) for name in names]

    @pytest.mark.parametrize(
        ("names", "status"),
        [(("a.json", "a.json"), 0), (("a.json", "b.json"), 1), (("a.json", "cut.json"), 3), (("none.json", "a.json"), 3)],
    )
    def test_status(self, files, capsys, names, status):
        assert cli.main(["diff", *files(*names)]) == status
        assert bool(capsys.readouterr().err) is (status == 3)

    def test_json(self, files, capsys):
        assert cli.main(["diff", "--json", *files("a.json", "b.json")]) == 1
        data = json.loads(capsys.readouterr().out)
        assert (data["schema"], data["version"], data["same"]) == ("ftcheck-diff", 1, False)
        assert data == json.loads(json.dumps(plain(compare(A, dataclasses.replace(A, interpreter=FREE)))))

    @pytest.mark.parametrize("words", [[], ["a.json"], ["a", "b", "c"]])
    def test_wrong_usage(self, words, capsys):
        with pytest.raises(SystemExit) as ended:
            cli.main(["diff", *words])
        assert ended.value.code == 2
        capsys.readouterr()

"""The audit as text: a table with a row for each distribution, what needs attention in full, and what was looked at.

It is read in a terminal of 80 columns, and by programs through a pipe. The table has what everybody wants to know; the
modules of a row are listed where they differ or need attention, or with ``--verbose``.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console, OverflowMethod
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ftcheck.audit import sources
from ftcheck.audit.model import Audit, Distribution, Module, Readiness, Remark
from ftcheck.coverage import counted

_STYLES = {
    Readiness.FAILED: "bold red",
    Readiness.NOT_INSTALLABLE: "red",
    Readiness.TURNS_GIL_ON: "red",
    Readiness.NOT_CHECKED: "yellow",
    Readiness.DECLARED: "cyan",
    Readiness.TESTED: "green",
    Readiness.PURE: "dim",
}
_GROUPS_SHOWN, _REMARKS_SHOWN, _NAMES_SHOWN = 8, 8, 40


def render(audit: Audit, *, width: int, colour: bool, verbose: bool) -> str:
    """The text.

    :param width: columns.
    :param verbose: every row, every module, every remark.
    """
    console = Console(
        file=io.StringIO(),
        width=max(60, width),
        force_terminal=colour,
        no_color=not colour,
        highlight=False,
    )
    console.print(_text(f"ftcheck audit: {audit.subject}"))
    if audit.interpreter is not None:
        console.print(_text(_about(audit)))
    console.print()
    shown = [
        row for row in audit.rows if verbose or row.readiness is not Readiness.PURE or row.needs_attention or row.sources
    ]
    if shown:
        console.print(_rows(shown))
    for row in shown:
        _details(console, row, audit, verbose)
    if shown:
        console.print()
    _summary(console, audit, verbose)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    return "\n".join(line.rstrip() for line in text.splitlines())


def _about(audit: Audit) -> str:
    one = audit.interpreter
    assert one is not None
    build = "free-threaded" if one.free_threaded else "with the GIL: this is not a free-threaded build"
    ran = f"{one.executable}, CPython {one.version} {build}" if one.executable else "nothing was run"
    return f"asked: is it ready for {one.target}?  ({ran})"


def _rows(rows: Sequence[Distribution]) -> Table:
    table = Table(box=None, show_header=True, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0), expand=False)
    table.add_column("distribution", overflow="fold", max_width=30)
    table.add_column("verdict", overflow="fold")
    table.add_column("evidence", overflow="fold", ratio=1)
    for row in rows:
        style = _STYLES[row.readiness]
        table.add_row(_text(_name(row)), _text(verdict(row), style=style), _text(_evidence(row)))
    return table


def verdict(row: Distribution | Module) -> str:
    """In words: the verdict, and what is behind it."""
    word = row.readiness.value
    if row.readiness is Readiness.NOT_INSTALLABLE:
        return f"{word} ({row.what})"
    return f"{word}: {row.what}" if row.what and row.readiness in (Readiness.FAILED, Readiness.NOT_CHECKED) else word


def _evidence(row: Distribution) -> str:
    parts = [_witnesses(row) if row.modules else "; ".join(row.evidence)]
    if row.readiness is Readiness.TESTED:
        parts.insert(0, row.what)
    own = {one.name for one in row.modules}
    through = {found.module for one in row.modules if one.imported is not None for found in one.imported.requires} - own
    if through:
        parts.insert(0, f"GIL on through {_some(sorted(through), 3)}")
    if row.classifier:
        parts.append(f"claims {row.classifier}")
    if row.sources is not None:
        parts.append(f"rules: {'not checked' if row.sources.problem else sources.findings(row.sources)}")
    return "; ".join(filter(None, parts))


def _witnesses(row: Distribution) -> str:
    """How many modules, and which of the three ways told about them."""
    ways = []
    imported = [one for one in row.modules if one.imported is not None and one.imported.gil is not None]
    called = [one for one in row.modules if one.called is not None and one.called.slots is not None]
    read = [one for one in row.modules if one.binary.reading(one.name).slots is not None]
    for word, some in (("import", imported), ("PyInit_", called), ("bytes", read)):
        if some:
            ways.append(word if len(some) == len(row.modules) else f"{word} {len(some)} of {len(row.modules)}")
    return f"{counted(len(row.modules), 'module')}" + (f" by {', '.join(ways)}" if ways else "")


def _details(console: Console, row: Distribution, audit: Audit, verbose: bool) -> None:
    mixed = len({(one.readiness, one.what) for one in row.modules}) > 1
    those = [one for one in row.modules if verbose or one.readiness.needs_attention
             or (mixed and one.readiness is not Readiness.DECLARED)]  # fmt: skip
    remarks = [one for one in _unique(row.all_remarks) if verbose or one.attention]
    whose = row.needed_by and (verbose or (audit.requirements and row.needs_attention))
    if not those and not remarks and not whose:
        return
    console.print()
    head = _text(_name(row), style="bold")
    if row.needed_by:
        head.append_text(_text(f"  needed by {_some(row.needed_by, 6)}", style="not bold"))
    console.print(head)
    groups: dict[str, list[Module]] = {}
    for one in those:
        groups.setdefault(_of_module(one, verbose, audit.subinterpreters), []).append(one)
    for number, (said, some) in enumerate(groups.items()):
        if number == _GROUPS_SHOWN and not verbose:
            console.print(_indented(f"and {len(groups) - number} more kinds: --verbose lists them", 2))
            break
        console.print(_indented(_some([one.name for one in some], len(some) if verbose else _NAMES_SHOWN), 2))
        console.print(_indented(said, 4))
        output = some[0].imported.output if some[0].imported is not None else ""
        for line in output.strip().splitlines()[-3:]:
            console.print(_indented(f"| {line}", 6))
    for remark in remarks[: None if verbose else _REMARKS_SHOWN]:
        console.print(_indented(_of_remark(remark, row), 2))
    if not verbose and len(remarks) > _REMARKS_SHOWN:
        console.print(_indented(f"and {len(remarks) - _REMARKS_SHOWN} more remarks: --verbose lists them", 2))
    for place in row.sources.places if verbose and row.sources is not None else ():
        where = f"{place.file}:{place.line}" + (f" in {place.function}" if place.function else "")
        console.print(_indented(f"{place.rule} {where}: {place.text}{' (fails the run)' if place.gates else ''}", 4))


def _of_remark(remark: Remark, row: Distribution) -> str:
    """In words; with the modules that it is about, where it is not about all."""
    names = [one.name for one in row.modules if remark in one.remarks]
    about = [remark.place, _some(names, 6) if 0 < len(names) < len(row.modules) else ""]
    return " ".join(filter(None, [remark.rule, f"{remark.kind}: {remark.text}", *(f"({one})" for one in about if one)]))


def _name(row: Distribution) -> str:
    return f"{row.name} {row.version}".strip() or f"{row.asked_for} (no distribution)"


def _of_module(one: Module, verbose: bool, subinterpreters: bool) -> str:
    ids = [remark.rule for remark in one.remarks if remark.rule in ("FT001", "FT005")]
    parts = [*(one.evidence if verbose else one.evidence[:2])]
    chain = next((found.chain for found in (one.imported.requires if one.imported else ()) if found.module == one.name), ())
    if chain and verbose:
        parts.append(f"imported by {' > '.join(chain)}")
    if subinterpreters and one.subinterpreter is not None:
        parts.append(f"in a subinterpreter: {_elsewhere(one)}")
    if verbose:
        made = [one.binary.made_with, one.binary.phase, ", ".join(one.binary.locking.locks) or "no lock seen"]
        parts.append(", ".join(filter(None, made)))
        if one.binary.needs:
            parts.append("needs " + ", ".join(f"{name} {version}" for name, version in one.binary.needs))
    said = verdict(one)
    known = f" ({', '.join(ids)})" if ids else ""
    return "; ".join(dict.fromkeys([said + known, *(part for part in parts if part.removeprefix("not run: ") not in said)]))


def _elsewhere(one: Module) -> str:
    seen = one.subinterpreter
    assert seen is not None
    if seen.died:
        return f"the process died: {seen.died}"
    if seen.refuses:
        return "refuses" if seen.refuses == one.name else f"{seen.refuses}, which it needs, refuses"
    return seen.problem or "imported, with a GIL of its own"


def _unique(remarks: Iterable[Remark]) -> list[Remark]:
    return list(dict.fromkeys(remarks))


def _indented(text: str, by: int) -> Padding:
    return Padding(_text(text, overflow="fold"), (0, 0, 0, by))


def _text(words: str, style: str = "", overflow: OverflowMethod | None = None) -> Text:
    """Words of others, which may hold anything: what would move a terminal's cursor is shown instead."""
    shown = "".join(one if one.isprintable() else one.encode("unicode_escape", "surrogatepass").decode() for one in words)
    return Text(shown, style=style, overflow=overflow)


def _some(names: Sequence[str], most: int) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _summary(console: Console, audit: Audit, verbose: bool) -> None:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(justify="right")
    table.add_column()
    for readiness in Readiness:
        if number := audit.count(readiness):
            table.add_row(str(number), _text(readiness.value, style=_STYLES[readiness]))
    console.print(table)
    for line in denominators(audit):
        console.print(_text(line))
    hidden = sum(not row.needs_attention and any(not one.attention for one in row.all_remarks) for row in audit.rows)
    if hidden and not verbose:
        console.print(_text(f"remarks on {counted(hidden, 'more row')}: --verbose lists them"))
    for text in (*audit.troubles, *audit.limits):
        console.print(_text(f"note: {text}", style="yellow"))
    if audit.count(Readiness.DECLARED):
        console.print(
            _text("A declaration is a claim: run tests in threads (pytest --ftcheck), and give --tested their report.")
        )


def denominators(audit: Audit) -> list[str]:
    """What was looked at, and how."""
    modules = audit.modules
    if audit.requirements:
        asked = f"asked the index for {counted(audit.asked, 'project')}" if audit.asked else "asked no index"
        listed = counted(len(audit.rows) - audit.followed, "requirement")
        more = f" and {audit.followed} that they require in turn" if audit.followed else ""
        how = "the names of files" + (" and the metadata of wheels" if audit.followed else "")
        return [f"looked at: {listed}{more}, by {how}; {asked}; nothing was installed"]
    called = sum(one.called is not None for one in modules)
    imported = sum(one.imported is not None for one in modules)
    undecided = sum(one.binary.phase == "single-phase" and one.readiness is Readiness.NOT_CHECKED for one in modules)
    lines = [
        f"looked at: {counted(len(audit.rows), 'distribution')}, {counted(len(modules), 'extension module')} "
        f"({imported} imported, {called} by PyInit_, {sum(not one.binary.problem for one in modules)} files read)"
        f" in {audit.seconds:.1f} s"
    ]
    if audit.asked:
        lines.append(f"asked the index for {counted(audit.asked, 'project')} that are built for another interpreter")
    guilty = [one.name for one in modules if one.readiness is Readiness.TURNS_GIL_ON]
    if guilty:
        lines.append(f"the GIL is turned on by {counted(len(guilty), 'module')}")
    lines += _read(audit)
    if undecided:
        lines.append(
            f"{counted(undecided, 'single-phase module')} not decided: only an import tells, and none was made to the end"
        )
    if audit.subinterpreters:
        seen = [one.subinterpreter for one in modules if one.subinterpreter is not None]
        good = sum(not (one.problem or one.died) for one in seen)
        lines.append(
            f"subinterpreters: {good} of {counted(len(seen), 'module')} can be imported in one with a GIL of its own"
        )
    return lines


def _read(audit: Audit) -> Iterator[str]:
    """What the source rules looked at, for each distribution that has sources."""
    rows = [(row, row.sources) for row in audit.rows if row.sources is not None]
    for row, seen in rows:
        done = f"not checked: {seen.problem}" if seen.problem else f"{sources.denominator(seen)} in {seen.seconds:.1f} s"
        left = f"; not looked for: {', '.join(seen.unchecked)} (ftcheck rules --clang)" if seen.unchecked else ""
        yield f"source rules{f', {_name(row)}' if len(rows) > 1 else ''}: {done}{left}"

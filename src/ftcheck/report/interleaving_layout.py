"""Rows of several threads side by side, or below each other where there are too many threads or too few columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from ftcheck.report.interleaving_rows import Row
from ftcheck.report.interleaving_words import Signs

_NARROWEST = 28
_MOST_COLUMNS = 4


def side_by_side(rows: Sequence[Row], titles: Mapping[int, str], width: int, signs: Signs) -> Iterator[Text]:
    """One column for each thread, time runs down.

    :param titles: of the threads that get a column, from left to right.
    """
    column = (width - 1 - 3 * (len(titles) - 1)) // len(titles)
    places = {thread: number for number, thread in enumerate(titles)}

    def line(texts: Mapping[int, tuple[str, str]]) -> Text:
        parts: list[str | tuple[str, str]] = [" "]
        for number in range(len(titles)):
            text, style = texts.get(number, ("", ""))
            parts += [(set_cell_size(text, column), style), f" {signs.bar} " if number + 1 < len(titles) else ""]
        return Text.assemble(*parts)

    heads = [_wrapped(title, column) for title in titles.values()]
    for height in range(max(map(len, heads))):
        yield line({number: (head[height] if height < len(head) else "", "bold") for number, head in enumerate(heads)})
    between = f"{signs.line}{signs.cross}{signs.line}"
    yield Text(signs.line + between.join(signs.line * column for _ in titles))
    previous = None
    for row in rows:
        if previous is not None and previous != row.thread:
            yield line({})
        previous = row.thread
        if row.thread not in places:
            yield Text(f" {row.text}", style=row.style)
            continue
        for text in _lines(row, column, signs):
            yield line({places[row.thread]: (text, row.style)})


def one_below_the_other(rows: Sequence[Row], titles: Mapping[int, str], width: int, signs: Signs) -> Iterator[Text]:
    """One column, with the number of the thread in front of each row."""
    digits = max(len(str(thread)) for thread in titles)
    for title in titles.values():
        yield Text(f" {title}", style="bold")
    yield Text()
    previous = None
    for row in rows:
        if previous is not None and previous != row.thread:
            yield Text(f" {'':{digits}} {signs.bar}", style="bold")
        if row.thread not in titles:
            yield Text(f" {row.text}", style=row.style)
            continue
        for text in _lines(row, max(width - digits - 4, 20), signs):
            number = "test" if row.thread == 0 and digits >= 4 else str(row.thread)
            yield Text.assemble((f" {number:>{digits}} {signs.bar} ", "bold"), (text, row.style))
        previous = row.thread


def layout(rows: Sequence[Row], titles: Mapping[int, str], width: int, signs: Signs) -> Iterator[Text]:
    """Side by side if each thread's column is wide enough to be read."""
    wide_enough = (width + 2) // max(len(titles), 1) - 3 >= _NARROWEST
    if len(titles) <= _MOST_COLUMNS and wide_enough:
        return side_by_side(rows, titles, width, signs)
    return one_below_the_other(rows, titles, width, signs)


def _lines(row: Row, width: int, signs: Signs) -> list[str]:
    if row.rule:
        return _ruled(row.text, width, signs)
    head = f"{row.label:<{row.indent}}" if row.label else " " * row.indent
    width -= row.indent
    lines = _wrapped(row.text, width, row.most_lines)
    if cell_len(lines[-1]) > width:
        lines[-1] = set_cell_size(lines[-1], width - len(signs.dots)).rstrip() + signs.dots
    return [(" " * row.indent if number else head) + line for number, line in enumerate(lines)]


def _ruled(text: str, width: int, signs: Signs) -> list[str]:
    """Between two short lines, or as much of that as fits."""
    rule = signs.line * 2
    whole = f"{rule} {text} {rule}"
    if cell_len(whole) <= width:
        return [whole]
    return [f"{'' if number else rule:2} {line}" for number, line in enumerate(_wrapped(text, width - 3))]


def _wrapped(text: str, width: int, most: int = 100) -> list[str]:
    """Broken at spaces, or else behind what separates the parts of an expression.

    :param most: so many lines; the last one has all that is left.
    """
    width = max(width, 8)
    lines: list[str] = []
    while cell_len(text) > width and len(lines) + 1 < most:
        fitting = next(n for n in range(len(text), 0, -1) if cell_len(text[:n]) <= width)
        at = _break(text, width // 3, fitting)
        lines.append(text[:at].rstrip())
        text = text[at:].lstrip()
    return [*lines, text]


def _break(text: str, least: int, most: int) -> int:
    for behind in _BREAKS:
        for at in range(most, least, -1):
            if text[at - 1] in behind or (behind == " " and text[at] == " "):
                return at
    return most


_BREAKS = (" ", ",", "([{", ".")

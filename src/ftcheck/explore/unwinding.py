"""A run that is given up ends by an exception in each thread that is left: that is nobody's failure, and nobody is told.

``concurrent.futures`` reports any exception of a worker by a line and a traceback in its logger (``Exception in worker``),
which without a handler of its own goes to stderr. For one that the explorer itself has raised, it is kept back.
"""

from __future__ import annotations

import logging
from typing import Self

from ftcheck import _core

_LOGGER = "concurrent.futures"


class Unheard:
    """While entered, what executors log of runs that were given up is dropped; all else they log is not."""

    def __enter__(self) -> Self:
        logging.getLogger(_LOGGER).addFilter(_is_the_codes_own)
        return self

    def __exit__(self, *args: object) -> None:
        logging.getLogger(_LOGGER).removeFilter(_is_the_codes_own)


def _is_the_codes_own(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], _core.Abandoned))

"""Tables as CSV (RFC 4180), for spreadsheets: a line of heads, UTF-8, numbers that any program reads alike."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence

from flask import Response

from jobs.visible import visible_cell

MEDIA_TYPE = "text/csv"
Cell = str | int | float | None
# What a spreadsheet takes for a formula: https://owasp.org/www-community/attacks/CSV_Injection. Full-width signs count.
_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
PLACES = 6  # digits behind the point, at most


def sheet(names: Sequence[str], rows: Iterable[Mapping[str, Cell]], filename: str) -> Response:
    """The rows' cells under these names, as a file of this name; what a row lacks is empty."""
    written = io.StringIO()
    lines = csv.writer(written)  # with CRLF, and quotes where a comma, a quote or the end of a line makes them needed
    lines.writerow(map(_text, names))
    lines.writerows([_cell(row.get(name)) for name in names] for row in rows)
    kept_as = {"Content-Disposition": f'attachment; filename="{filename}"'}
    return Response(written.getvalue(), headers=kept_as, content_type=f"{MEDIA_TYPE}; charset=utf-8")


def _cell(value: Cell) -> str:
    match value:
        case None:
            return ""
        case float():
            return f"{value:.{PLACES}f}".rstrip("0").rstrip(".")
        case int():
            return str(value)
    return _text(value)


def _text(words: str) -> str:
    """Words of strangers as one cell: nothing that hides or moves the cursor, and never a formula.

    An apostrophe before it makes a spreadsheet take it as it stands; one that is there already gets another, so that
    no two texts look alike.
    """
    shown = visible_cell(words)
    return f"'{shown}" if shown.lstrip().startswith((*_FORMULA, "'")) else shown

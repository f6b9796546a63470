"""Which columns of a table a terminal has room for. Ids are never cut: columns are left out instead."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from rich.cells import cell_len

BESIDE = 3  # cells that rich sets beside each column of such a table, and one more at its edge
LEAST_CUT = 16  # of a text that may be cut


@dataclass(frozen=True, eq=False)
class Column:
    """A column's name and its cells as they are shown. `is_cut`: only the beginning need be seen."""

    name: str
    cells: Sequence[str]
    is_cut: bool = False

    @property
    def natural(self) -> int:
        """How wide it would be with room for all."""
        return max(map(cell_len, (self.name, *self.cells)))

    @property
    def least(self) -> int:
        """What it needs at least: its longest word, as between words a cell goes on in the next line."""
        if self.is_cut:
            return min(self.natural, LEAST_CUT)
        return max((cell_len(word) for text in (self.name, *self.cells) for word in text.split()), default=0)

    @property
    def is_whole(self) -> bool:
        """Whether it cannot go on in a next line: it is cut, or holds single words, such as ids."""
        return self.is_cut or self.natural == self.least


def fitting(columns: Sequence[Column], width: int, spare: Collection[str] = ()) -> list[Column]:
    """The columns that there is room for: `spare` ones are left out first, then the last, and never the first one."""
    order = [column for name in spare for column in columns if column.name == name]
    order += [column for column in reversed(columns[1:]) if column not in order]
    shown = list(columns)
    for column in order:
        if sum(each.least + BESIDE for each in shown) < width:
            break
        shown.remove(column)
    return shown


def room(cut: Column, shown: Sequence[Column], width: int) -> int:
    """How wide a text may be that is cut, beside the others as wide as they would be."""
    others = sum(each.natural for each in shown if each is not cut)
    return max(cut.least, min(cut.natural, width - others - BESIDE * len(shown) - 1))

"""Tables in Markdown."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """A title, an explanation or none, heads and rows."""

    title: str
    heads: tuple[str, ...]
    rows: list[tuple[str, ...]]
    note: str = ""

    def __str__(self) -> str:
        cells = [self.heads, tuple("---" for _ in self.heads), *self.rows]
        lines = [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in cells]
        return "\n".join([f"## {self.title}", *([self.note] if self.note else []), "", *lines])


def markdown(heading: str, lines: Iterable[str], tables: Iterable[Table]) -> str:
    """Return a whole report."""
    return "\n\n".join([f"# {heading}", "\n".join(lines), *map(str, tables)]) + "\n"

"""What was measured, beside the bound that it has to keep."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One row of the table."""

    what: str
    measured: str
    bound: str
    holds: bool


def table(findings: list[Finding]) -> str:
    """Return the findings as a table for a terminal, broken bounds marked."""
    rows = [(one.what, one.measured, one.bound, "ok" if one.holds else "BROKEN") for one in findings]
    heads = ("attack", "measured", "bound", "")
    widths = [max(len(row[column]) for row in [heads, *rows]) for column in range(4)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    head = "  ".join(cell.ljust(width) for cell, width in zip(heads, widths, strict=True)).rstrip()
    return "\n".join([head, "  ".join("-" * width for width in widths), *lines])

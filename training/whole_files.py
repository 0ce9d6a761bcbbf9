"""Write a file so that whoever reads it finds it whole, or as it was before."""

from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Write UTF-8 text under a temporary name beside `path`, then rename it."""
    unfinished = path.with_suffix(".tmp")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)

"""The files that a run of batch tagging leaves, and how they are written: whole, or not at all.

For OUT `tags.csv` these are `tags.csv`, or beyond a size its parts `tags-00001.csv`,
`tags-00002.csv` …; `tags.csv.errors.jsonl` if something could not be read; and
`tags.csv.manifest.json`, which is written last.
"""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from data.sources import COMPRESSIONS

MANIFEST = ".manifest.json"
ERRORS = ".errors.jsonl"


def beside(path: Path, ending: str) -> Path:
    """Return the path of a file next to `path` that has the same name and one more ending."""
    return path.with_name(path.name + ending)


def part_name(out: Path, number: int) -> str:
    """Return the name of a part of the output, counted from 1: tags-00001.csv.gz of tags.csv.gz."""
    packed = out.suffix if out.suffix.lower() in COMPRESSIONS else ""
    ending = Path(out.name.removesuffix(packed)).suffix + packed
    return f"{out.name.removesuffix(ending)}-{number:05}{ending}"


def is_of_run(path: Path, out: Path) -> bool:
    """Whether a run with this output may write `path`; both are resolved in the same way."""
    if path.parent != out.parent:
        return False
    parts = re.escape(part_name(out, 0)).replace("00000", r"\d{5,}")
    return path.name in (out.name, out.name + ERRORS) or bool(re.fullmatch(parts, path.name))


def files_of_run(manifest: Path) -> list[str]:
    """Return the names of the files that a run has written, by its manifest; none if it cannot be read."""
    try:
        content = json.loads(manifest.read_text(encoding="utf-8"))
        return [str(file["path"]) for file in (*content["outputs"], *filter(None, [content["errors"]]))]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def json_line(value: Any) -> bytes:
    """Return a value as a line of JSON."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8") + b"\n"


def sync(file: BinaryIO) -> None:
    """Bring what was written to the disk itself, so that a power cut cannot lose it."""
    file.flush()
    os.fsync(file.fileno())


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """Give a temporary name that becomes `path` when all went well and is deleted otherwise."""
    temporary = beside(path, ".tmp")
    try:
        yield temporary
        with temporary.open("r+b") as file:
            sync(file)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)

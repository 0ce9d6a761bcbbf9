"""What batch tagging has done so far, kept on disk so that an interrupted run can go on.

For OUT there are three files until the run is complete:

    OUT.partial          records, JSON lines
    OUT.partial.errors   problems, JSON lines
    OUT.partial.state    what is tagged with which model, how far, and how many bytes of
                         the other two count; what lies behind them was cut short
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from serving.inputs import Position, Unit


def beside(path: Path, ending: str) -> Path:
    """Return the path of a file next to `path` that has the same name and one more ending."""
    return path.with_name(path.name + ending)


def sync(file: BinaryIO) -> None:
    """Bring what was written to the disk itself, so that a power cut cannot lose it."""
    file.flush()
    os.fsync(file.fileno())


@dataclass
class Tally:
    """What a run has seen so far."""

    sources: int = 0
    """Sources read to their end."""
    without_paragraph: int = 0
    """Articles in which no paragraph was found; not an error."""
    paragraphs: int = 0
    topics: dict[str, int] = field(default_factory=dict)
    """Paragraphs with each topic, best guesses included."""
    none: int = 0
    unsure: int = 0
    errors: int = 0

    def add(self, unit: Unit, records: Sequence[Mapping[str, Any]]) -> None:
        """Count a unit and the records of its paragraphs."""
        self.sources = unit.end.sources
        self.without_paragraph += unit.is_article and not unit.paragraphs and not unit.problems
        self.paragraphs += len(records)
        self.errors += len(unit.problems)
        for record in records:
            self.none += record["answer"] == "none"
            self.unsure += record["answer"] == "unsure"
            for topic in record["topics"]:
                self.topics[topic] += 1


class Spool:
    """The records and problems of one run. Use it in a `with` block; only one process can."""

    def __init__(self, out: Path, run: dict[str, str], topics: Sequence[str]) -> None:
        """Open the spool of `out` and take up what an earlier run of the same kind has left.

        Args:
            out: the final file; its folder exists.
            run: what must be equal for the records to be the same: inputs, model, and so on.
            topics: the ids to count.

        Raises:
            ValueError: another process is writing to `out`.
            OSError: the folder cannot be written to.
        """
        self.records_path = beside(out, ".partial")
        self.problems_path = beside(out, ".partial.errors")
        self._state_path = beside(out, ".partial.state")
        self._run = run
        self._records = _open_locked(self.records_path)
        self._problems = self.problems_path.open("ab")
        self.position = Position()
        self.tally = Tally(topics=dict.fromkeys(topics, 0))
        self.why_anew = self._resume()
        """Why an earlier run's work could not be used; empty if it was, or if there was none."""

    def __enter__(self) -> "Spool":
        return self

    def __exit__(self, *exception: object) -> None:
        self._records.close()
        self._problems.close()

    def _resume(self) -> str:
        """Go to where the earlier run was, or to the beginning; return why to the beginning."""
        why = ""
        records_size = problems_size = 0
        try:
            state = json.loads(self._state_path.read_text(encoding="utf-8"))
            changed = [key for key in self._run if state["run"].get(key) != self._run[key]]
            missing = _size(self._records) < state["records"] or _size(self._problems) < state["problems"]
            if changed:
                why = f"{' and '.join(changed)} changed since"
            elif missing:
                why = "its files are incomplete"
            else:
                self.position, self.tally = Position(**state["position"]), Tally(**state["tally"])
                records_size, problems_size = state["records"], state["problems"]
        except FileNotFoundError:
            pass
        except (ValueError, KeyError, TypeError, AttributeError):
            why = f"{self._state_path} is damaged"
        if why:
            # Before its files are emptied, so that it never stands beside another run's.
            self._state_path.unlink(missing_ok=True)
        self._records.truncate(records_size)
        self._problems.truncate(problems_size)
        return why

    def commit(self, unit: Unit, records: Sequence[Mapping[str, Any]]) -> None:
        """Save a unit with the records of its paragraphs; it counts as a whole or not at all."""
        for record in records:
            self._records.write(_json_line(record))
        for problem in unit.problems:
            self._problems.write(_json_line(asdict(problem)))
        sync(self._records)
        sync(self._problems)
        self.position = unit.end
        self.tally.add(unit, records)
        self._save_state()

    def _save_state(self) -> None:
        state = {
            "run": self._run,
            "position": asdict(self.position),
            "records": _size(self._records),
            "problems": _size(self._problems),
            "tally": asdict(self.tally),
        }
        temporary = beside(self._state_path, ".tmp")
        with temporary.open("wb") as file:
            file.write(_json_line(state))
            sync(file)
        temporary.replace(self._state_path)

    def remove(self) -> None:
        """Delete the spool's files; the final file has been written."""
        state = self._state_path
        for path in (state, beside(state, ".tmp"), self.problems_path, self.records_path):
            path.unlink(missing_ok=True)


def read_records(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the records of a complete spool one by one."""
    with path.open("rb") as file:
        for line in file:
            yield json.loads(line)


def _json_line(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8") + b"\n"


def _size(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_size


def _open_locked(path: Path) -> BinaryIO:
    """Open for appending under a lock that ends with the process, however it ends."""
    file = path.open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # The other process may have finished, and deleted the file, just before the lock.
        if not os.path.samestat(os.fstat(file.fileno()), path.stat()):
            raise BlockingIOError
    except (BlockingIOError, FileNotFoundError):
        file.close()
        raise ValueError(f"{path} is in use: another run writes the same output; wait for it or stop it") from None
    return file

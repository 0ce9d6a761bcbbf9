"""What batch tagging has done so far, kept on disk so that an interrupted run can go on.

For OUT there are these files until the run is complete:

    OUT.partial.00001 …        records of a part of the output, JSON lines
    OUT.partial.00001.ready …  such a part in its final format, once it is full
    OUT.partial.errors         problems, JSON lines
    OUT.partial.inputs         sources read to their end, JSON lines
    OUT.partial.state          what is tagged with which model, how far, and how many bytes of
                               the others count; what lies behind them was cut short
    OUT.partial.lock           held by the process that writes
"""

import fcntl
import glob
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from models.artifact import file_hash
from serving.batch.outputs import ending_of_output, write_output
from serving.batch.run_files import beside, json_line, part_name, sync
from serving.batch.units import Position, Unit


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
        self.without_paragraph += unit.without_paragraph
        self.paragraphs += len(records)
        self.errors += len(unit.problems)
        for record in records:
            self.none += record["answer"] == "none"
            self.unsure += record["answer"] == "unsure"
            for topic in record["topics"]:
                self.topics[topic] += 1


@dataclass(frozen=True)
class Part:
    """A part of the output that is ready in its final format."""

    paragraphs: int
    bytes: int
    sha256: str


@dataclass
class _State:
    """What is saved with each unit; bytes count what is valid of the growing files."""

    run: Mapping[str, str]
    tally: Tally
    position: Position = field(default_factory=Position)
    problems: int = 0
    inputs: int = 0
    part: int = 1
    """Number of the part that is being filled."""
    records: int = 0
    """Bytes of its records."""
    paragraphs: int = 0
    """Paragraphs in it."""
    ready: list[Part] = field(default_factory=list)
    """The first parts."""
    replaces: list[str] | None = None
    """Names of files that the output replaces; not None once everything is tagged."""


class Spool:
    """The records and problems of one run, which holds the lock of its output. Use it in a `with` block."""

    def __init__(self, out: Path, run: Mapping[str, str], topics: Sequence[str], part_size: int) -> None:
        """Open the spool of `out` and take up what an earlier run of the same kind has left.

        Args:
            out: the final file; its folder exists.
            run: what must be equal for the records to be the same: inputs, model, and so on.
            topics: the ids to count.
            part_size: paragraphs of a part of the output.

        Raises:
            OSError: the folder cannot be written to.
        """
        self._out, self._topics, self._part_size = out, topics, part_size
        self.problems_path = beside(out, ".partial.errors")
        self.inputs_path = beside(out, ".partial.inputs")
        self._state_path = beside(out, ".partial.state")
        self._state = _State(run, Tally(topics=dict.fromkeys(topics, 0)))
        self.why_anew = self._resume()
        """Why an earlier run's work could not be used; empty if it was, or if there was none."""
        if self.position == Position():
            self.remove()
        state = self._state
        self._problems = _open_at(self.problems_path, state.problems)
        self._inputs = _open_at(self.inputs_path, state.inputs)
        is_ready = len(state.ready) == state.part
        self._records = _open_at(self._records_path(state.part), 0 if is_ready else state.records)

    def __enter__(self) -> "Spool":
        return self

    def __exit__(self, *exception: object) -> None:
        for file in (self._problems, self._inputs, self._records):
            file.close()
        if self.position == Position():
            self.remove()

    @property
    def position(self) -> Position:
        """The end of the last unit saved."""
        return self._state.position

    @property
    def tally(self) -> Tally:
        """The counts so far."""
        return self._state.tally

    @property
    def parts(self) -> list[Part]:
        """The parts of the output that are ready."""
        return self._state.ready

    @property
    def replaces(self) -> list[str]:
        """Names of files that the output replaces; known when it is complete."""
        return self._state.replaces or []

    def _records_path(self, number: int) -> Path:
        return beside(self._out, f".partial.{number:05}")

    def ready_path(self, number: int) -> Path:
        """Return where the part `number`, from 1, stands until the whole output is complete."""
        return beside(self._out, f".partial.{number:05}.ready")

    def final_path(self, number: int) -> Path:
        """Return where the part `number` belongs: OUT itself if it is the only one."""
        return self._out.with_name(part_name(self._out, number)) if self._state.part > 1 else self._out

    def _resume(self) -> str:
        """Take up the earlier run's state; return why that cannot be done."""
        try:
            found = json.loads(self._state_path.read_text(encoding="utf-8"))
            changed = [key for key in self._state.run if found["run"].get(key) != self._state.run[key]]
            found["position"], found["tally"] = Position(**found["position"]), Tally(**found["tally"])
            found["ready"] = [Part(**part) for part in found["ready"]]
            state = _State(**found)
        except FileNotFoundError:
            return ""
        except (ValueError, KeyError, TypeError, AttributeError):
            return f"{self._state_path} is damaged"
        if changed:
            return f"{' and '.join(changed)} changed since"
        fresh, self._state = self._state, state
        if not self._is_complete():
            self._state = fresh
            return "its files are incomplete"
        return ""

    def _is_complete(self) -> bool:
        """Whether all that the state counts on is there."""
        state = self._state
        sizes = {self.problems_path: state.problems, self.inputs_path: state.inputs}
        if len(state.ready) < state.part:
            sizes[self._records_path(state.part)] = state.records
        sizes |= {self._records_path(number): 1 for number in range(len(state.ready) + 1, state.part)}
        for number, part in enumerate(state.ready, start=1):
            ready = self.ready_path(number)
            # When everything was tagged, it may have been renamed already.
            sizes[self.final_path(number) if state.replaces is not None and not ready.exists() else ready] = part.bytes
        return all(path.exists() and path.stat().st_size >= size for path, size in sizes.items())

    def commit(self, unit: Unit, records: Sequence[Mapping[str, Any]]) -> None:
        """Save a unit with the records of its paragraphs; it counts as a whole or not at all."""
        for problem in unit.problems:
            self._problems.write(json_line(asdict(problem)))
        for source in unit.finished:
            self._inputs.write(json_line(asdict(source)))
        for record in records:
            if self._state.paragraphs == self._part_size:
                self._open_next_part()
            self._records.write(json_line(record))
            self._state.paragraphs += 1
        self._state.position = unit.end
        self.tally.add(unit, records)
        self._save_state()
        self._make_ready(self._state.part)

    def complete(self, replaces: Sequence[str]) -> None:
        """Make the last part ready; everything is tagged, `replaces` are the files of an earlier output."""
        self._make_ready(self._state.part + 1)
        if self._state.replaces is None:
            self._state.replaces = list(replaces)
            self._save_state()

    def _open_next_part(self) -> None:
        sync(self._records)
        self._records.close()
        self._state.part += 1
        self._state.paragraphs = 0
        self._records = self._records_path(self._state.part).open("wb")

    def _make_ready(self, end: int) -> None:
        """Bring the full parts before number `end` into their final format."""
        for number in range(len(self.parts) + 1, end):
            ready, records = self.ready_path(number), self._records_path(number)
            write_output(records, ready, ending_of_output(self._out), self._topics)
            last = number == self._state.part
            paragraphs = self._state.paragraphs if last else self._part_size
            self.parts.append(Part(paragraphs, ready.stat().st_size, file_hash(ready)))
            self._save_state()
            records.unlink()

    def _save_state(self) -> None:
        state = self._state
        for file, saved in (
            (self._problems, state.problems),
            (self._inputs, state.inputs),
            (self._records, state.records),
        ):
            file.flush()
            if _size(file) != saved:
                sync(file)
        state.problems, state.inputs, state.records = map(_size, (self._problems, self._inputs, self._records))
        temporary = beside(self._state_path, ".tmp")
        with temporary.open("wb") as file:
            file.write(json_line(asdict(state)))
            sync(file)
        temporary.replace(self._state_path)

    def remove(self) -> None:
        """Delete the spool's files; the final ones have been written, or it begins anew."""
        # Before the others, so that it never stands beside files of another run.
        self._state_path.unlink(missing_ok=True)
        kept = {lock_path(self._out), standard_input_path(self._out)}
        for path in self._out.parent.glob(glob.escape(self._out.name) + ".partial*"):
            if path not in kept:
                path.unlink(missing_ok=True)


def lock_path(out: Path) -> Path:
    """Return the file that the process writing `out` holds locked."""
    return beside(out, ".partial.lock")


def standard_input_path(out: Path) -> Path:
    """Return the file that standard input is copied into."""
    return beside(out, ".partial.stdin")


def _size(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_size


def _open_at(path: Path, size: int) -> BinaryIO:
    """Open for appending behind the first `size` bytes, and cut off what lies behind them."""
    file = path.open("ab")
    file.truncate(size)
    return file


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """Keep other processes from writing the same output, until this one ends, however it ends.

    Raises:
        ValueError: another process is writing it.
        OSError: the folder cannot be written to.
    """
    path = lock_path(out)
    with path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The other process may have finished, and deleted the file, just before the lock.
            if not os.path.samestat(os.fstat(file.fileno()), path.stat()):
                raise BlockingIOError
        except (BlockingIOError, FileNotFoundError):
            raise ValueError(f"{path} is in use: another run writes the same output; wait for it or stop it") from None
        try:
            yield
        finally:
            path.unlink(missing_ok=True)

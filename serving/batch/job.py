"""Tag articles and tables of paragraphs, and write the records to files.

    python -m serving.batch IN OUT [--text NAME] [--id NAME] [--shard N] [--model NAME] [--engine ray [--actors N]]

IN is a file, a folder, a quoted pattern, several of them, or - for JSON lines from standard
input: articles (.txt .md .html .docx .pdf) and tables of paragraphs (.jsonl .csv .parquet),
compressed or not. OUT ends in .jsonl, .csv, .parquet, .jsonl.gz or .csv.gz; OUT.manifest.json
says what it is made of. What cannot be read is listed in OUT.errors.jsonl and does not stop
the rest. An interrupted run goes on where it was when started again.
Exit status: 0 all tagged, 1 some of the input could not be read, 2 nothing written,
130 interrupted.
"""

import argparse
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from models import store
from models.artifact import TAGGER_FILE, Artifact, file_hash, read_artifact
from models.tagger import Tagger
from serving.batch.inputs import STANDARD_INPUT, Source, fingerprint, list_sources, split_places
from serving.batch.manifest import publish
from serving.batch.outputs import ending_of_output
from serving.batch.run_files import ERRORS, beside, part_name, replaced
from serving.batch.spool import Spool, Tally, locked, standard_input_path
from serving.batch.tables import Columns, printable
from serving.batch.units import Position, Unit, read_units
from serving.records import tag_paragraphs

# Part of a run's identity: to be raised when the same input gives other records than before.
VERSION = 3
# Paragraphs of one part of the output.
SHARD = 100_000

Tagged = Iterator[tuple[Unit, Sequence[Mapping[str, Any]]]]
Read = Callable[[], Iterator[Unit]]
"""Reads the units, from the first one each time."""
Engine = Callable[[Path, Read], Tagged]
"""Tags the units, anywhere, with the model in a folder; returns them with their records, in their order."""


@dataclass(frozen=True)
class Request:
    """What a user asks for."""

    places: str
    out: Path
    model: str
    columns: Columns
    shard: int
    """Paragraphs of one part of the output."""


@dataclass(frozen=True)
class Job:
    """A checked request."""

    request: Request
    sources: Sequence[Source]
    folder: Path
    """The model's."""
    artifact: Artifact

    @property
    def problems_path(self) -> Path:
        """The file for what could not be read."""
        return beside(self.request.out, ERRORS)

    @property
    def topics(self) -> list[str]:
        """The ids of the model's topics."""
        return [topic.id for topic in self.artifact.topics]

    @property
    def about(self) -> dict[str, Any]:
        """What the manifest says of the run."""
        request = self.request
        model = {"version": self.artifact.version, "sha256": file_hash(self.folder / TAGGER_FILE)}
        columns = {"text": request.columns.text, "id": request.columns.id}
        return {"model": model, "options": {"in": printable(request.places), **columns, "shard": request.shard}}

    @property
    def identity(self) -> dict[str, str]:
        """What must stay the same for an interrupted run to be continued."""
        about = self.about
        return {
            "input": fingerprint(self.sources),
            "model": "{version} {sha256}".format(**about["model"]),
            "options": repr(about["options"]),
            "program": str(VERSION),
        }


@contextmanager
def prepared(request: Request) -> Iterator[Job]:
    """Check everything that can be checked before work begins; until the end nobody else writes the same output.

    Raises:
        OSError, ValueError: it cannot be done; the message says what to change.
    """
    _check_out(request.out)
    folder = store.resolve(request.model)
    with locked(request.out):
        copy = standard_input_path(request.out)
        if STANDARD_INPUT in split_places(request.places):
            with replaced(copy) as temporary, temporary.open("wb") as file:
                shutil.copyfileobj(sys.stdin.buffer, file)
        sources = list_sources(request.places, request.out, copy)
        yield Job(request, sources, folder, read_artifact(folder))


def _check_out(out: Path) -> None:
    try:
        ending_of_output(out)
    except ValueError as error:
        raise ValueError(f"OUT is {printable(out)}; {error}") from None
    if not out.parent.is_dir():
        raise FileNotFoundError(f"{printable(out.parent)}: no such folder; create it, or write OUT elsewhere")
    if out.is_dir():
        raise ValueError(f"{printable(out)} is a folder; give OUT another name")


def tag_here(folder: Path, read: Read) -> Tagged:
    """Tag units one after the other in this process."""
    tagger = Tagger(folder)
    for unit in read():
        yield unit, tag_paragraphs(tagger, unit.paragraphs)


def run(job: Job, engine: Engine = tag_here) -> Tally:
    """Tag everything and write the output; go on where an interrupted run of the same job was.

    Raises:
        OSError: a file cannot be written.
        ValueError: the model cannot be loaded.
    """
    request = job.request
    with Spool(request.out, job.identity, job.topics, request.shard) as spool:
        if spool.why_anew:
            print(f"starting anew, the interrupted run cannot be continued: {spool.why_anew}", file=sys.stderr)
        elif spool.position != Position():
            print(f"continuing an interrupted run after {spool.tally.paragraphs} paragraphs", file=sys.stderr)
        try:
            _tag(job, spool, engine)
            publish(spool, request.out, job.about)
        except OSError as error:
            raise OSError(f"{error}; when that is solved, run the same command again to continue") from error
        spool.remove()
        standard_input_path(request.out).unlink(missing_ok=True)
        return spool.tally


def _tag(job: Job, spool: Spool, engine: Engine) -> None:
    """Read units in order, have them tagged, save them in order."""
    done = sum(source.size for source in job.sources[: spool.position.sources])
    total = sum(source.size for source in job.sources)
    read = partial(read_units, job.sources, spool.position, job.request.columns)
    # On a terminal only (disable=None), to keep logs clean.
    with tqdm(total=total, initial=done, unit="B", unit_scale=True, disable=None) as bar:
        for unit, records in engine(job.folder, read):
            spool.commit(unit, records)
            bar.update(unit.size)
            bar.set_postfix(sources=f"{spool.tally.sources}/{len(job.sources)}", paragraphs=spool.tally.paragraphs)


def summarize(job: Job, tally: Tally) -> str:
    """Return one line of counts."""
    topics = ", ".join(f"{topic} {count}" for topic, count in tally.topics.items())
    without = f" ({tally.without_paragraph} without a paragraph)" if tally.without_paragraph else ""
    errors = f"errors {tally.errors}" + (f" (see {printable(job.problems_path)})" if tally.errors else "")
    n_parts = -(-tally.paragraphs // job.request.shard)
    parts = f" in {n_parts} files from {printable(part_name(job.request.out, 1))}" if n_parts > 1 else ""
    return (
        f"{printable(job.request.out)}{parts}: sources {tally.sources}{without}, paragraphs {tally.paragraphs}: "
        f"{topics}, none {tally.none}, unsure {tally.unsure}; {errors}"
    )


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m serving.batch", description="Tag articles or paragraphs; an interrupted run can be continued."
    )
    parser.add_argument("places", metavar="IN", type=_filled, help="files, folders, quoted patterns, or -")
    parser.add_argument("out", metavar="OUT", type=_filled, help="its ending names the format, such as .csv")
    parser.add_argument("--model", metavar="NAME", help="released, a tag of the store, or a folder (default: in use)")
    parser.add_argument("--text", metavar="NAME", default="text", help="the column of tables that is tagged (text)")
    parser.add_argument("--id", metavar="NAME", help="the column of tables with ids (default: id, if there is one)")
    parser.add_argument("--shard", metavar="N", type=_count, default=SHARD, help=f"paragraphs of one file ({SHARD})")
    parser.add_argument("--engine", choices=["here", "ray"], default="here", help="in this process, or on Ray (here)")
    parser.add_argument("--actors", metavar="N", type=_count, help="processes that tag on Ray (one a processor)")
    options = parser.parse_args(arguments)
    columns = Columns(options.text, options.id)
    try:
        request = Request(
            options.places, Path(options.out), options.model or store.current_name(), columns, options.shard
        )
        with prepared(request) as job:
            tally = run(job, _engine(options.engine, options.actors))
    except (OSError, ValueError) as error:
        print(printable(str(error)), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; run the same command again to continue", file=sys.stderr)
        return 130
    print(summarize(job, tally))
    if tally.errors:
        print(f"{tally.errors} could not be tagged; {printable(job.problems_path)} says why", file=sys.stderr)
    return 1 if tally.errors else 0


def _engine(name: str, actors: int | None) -> Engine:
    """Return the engine of this name.

    Raises:
        ValueError: Ray is not installed, or there are actors to start without it.
    """
    if name == "here":
        if actors:
            raise ValueError("ACTORS are of Ray; add ENGINE=ray")
        return tag_here
    try:
        from serving.batch.ray_engine import RayEngine
    except ModuleNotFoundError as error:
        raise ValueError(
            f"ENGINE=ray needs the extra 'ray' ({error}); install it with pip install 'duanbiao[ray]'"
        ) from None
    return RayEngine(actors)


def _filled(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError("is empty; give a path")
    return text


def _count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"is {text}; give a number from 1")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())

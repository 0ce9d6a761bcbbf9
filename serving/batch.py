"""Tag article files, folders of them, or paragraphs, and write the records to a file.

    python -m serving.batch IN OUT [--model NAME]

IN is an article file (.txt .md .html), a folder of them, or a .jsonl of {"id", "text"};
OUT ends in .jsonl, .csv or .parquet. What cannot be read is listed in OUT.errors.jsonl and
does not stop the rest. An interrupted run goes on where it was when started again.
Exit status: 0 all tagged, 1 some of the input could not be read, 2 nothing written,
130 interrupted.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from models import store
from models.artifact import TAGGER_FILE, file_hash
from models.tagger import Tagger
from serving.inputs import Position, Source, fingerprint, list_sources, printable, read_units
from serving.outputs import WRITERS, write_output, write_problems
from serving.records import tag_paragraphs
from serving.spool import Spool, Tally, beside

# Part of a run's identity: to be raised when the same input gives other records than before.
VERSION = 2


@dataclass(frozen=True)
class Job:
    """A checked request: what to tag, with what, into which file."""

    place: Path
    sources: Sequence[Source]
    out: Path
    model: Path
    tagger: Tagger

    @property
    def problems_path(self) -> Path:
        """The file for what could not be read."""
        return beside(self.out, ".errors.jsonl")

    @property
    def topics(self) -> list[str]:
        """The ids of the model's topics."""
        return [topic.id for topic in self.tagger.artifact.topics]

    @property
    def identity(self) -> dict[str, str]:
        """What must stay the same for an interrupted run to be continued."""
        return {
            "input": fingerprint(self.sources),
            "model": f"{self.tagger.artifact.version} {file_hash(self.model / TAGGER_FILE)}",
            "program": str(VERSION),
        }


def prepare(place: Path, out: Path, model: str) -> Job:
    """Check everything that can be checked before work begins, and load the model.

    Raises:
        FileNotFoundError, ValueError: it cannot be done; the message says what to change.
    """
    if out.suffix.lower() not in WRITERS:
        raise ValueError(f"OUT is {printable(out)}; its ending must be one of {' '.join(WRITERS)}")
    if not out.parent.is_dir():
        raise FileNotFoundError(f"{printable(out.parent)}: no such folder; create it, or write OUT elsewhere")
    if out.is_dir():
        raise ValueError(f"{printable(out)} is a folder; give OUT another name")
    sources = list_sources(place)
    written = {path.resolve() for path in (out, beside(out, ".errors.jsonl"))}
    if place.resolve() in written:
        raise ValueError(f"IN is {printable(place)}, which this run would overwrite; give OUT another name")
    folder = store.resolve(model)
    return Job(place, sources, out, folder, Tagger(folder))


def run(job: Job) -> Tally:
    """Tag everything and write the output; go on where an interrupted run of the same job was.

    Raises:
        OSError: a file cannot be written, or one of JSON lines cannot be read.
        ValueError: another process is writing the same output.
    """
    with Spool(job.out, job.identity, job.topics) as spool:
        if spool.why_anew:
            print(f"starting anew, the interrupted run cannot be continued: {spool.why_anew}", file=sys.stderr)
        elif spool.position != Position():
            print(f"continuing an interrupted run after {spool.tally.paragraphs} paragraphs", file=sys.stderr)
        try:
            _tag(job, spool)
            write_output(spool.records_path, job.out, job.topics)
            write_problems(spool.problems_path, job.problems_path)
        except OSError as error:
            raise OSError(f"{error}; when that is solved, run the same command again to continue") from error
        spool.remove()
    return spool.tally


def _tag(job: Job, spool: Spool) -> None:
    done = sum(source.size for source in job.sources[: spool.position.sources]) + spool.position.byte
    total = sum(source.size for source in job.sources)
    # On a terminal only (disable=None), to keep logs clean.
    with tqdm(total=total, initial=done, unit="B", unit_scale=True, disable=None) as bar:
        for unit in read_units(job.sources, spool.position):
            spool.commit(unit, tag_paragraphs(job.tagger, unit.paragraphs))
            bar.update(unit.size)
            bar.set_postfix(sources=f"{spool.tally.sources}/{len(job.sources)}", paragraphs=spool.tally.paragraphs)


def summarize(job: Job, tally: Tally) -> str:
    """Return one line of counts."""
    topics = ", ".join(f"{topic} {count}" for topic, count in tally.topics.items())
    without = f" ({tally.without_paragraph} without a paragraph)" if tally.without_paragraph else ""
    errors = f"errors {tally.errors}" + (f" (see {printable(job.problems_path)})" if tally.errors else "")
    return (
        f"{printable(job.out)}: sources {tally.sources}{without}, paragraphs {tally.paragraphs}: "
        f"{topics}, none {tally.none}, unsure {tally.unsure}; {errors}"
    )


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m serving.batch", description="Tag articles or paragraphs; an interrupted run can be continued."
    )
    parser.add_argument("place", metavar="IN", type=_path, help="article file, folder, or .jsonl of {id, text}")
    parser.add_argument("out", metavar="OUT", type=_path, help="a file that ends in .jsonl, .csv or .parquet")
    parser.add_argument("--model", metavar="NAME", help="released, a tag of the store, or a folder (default: in use)")
    options = parser.parse_args(arguments)
    try:
        job = prepare(options.place, options.out, options.model or store.current_name())
        tally = run(job)
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


def _path(text: str) -> Path:
    if not text:
        raise argparse.ArgumentTypeError("is empty; give a path")
    return Path(text)


if __name__ == "__main__":
    sys.exit(main())

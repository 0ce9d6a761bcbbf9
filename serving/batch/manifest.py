"""The end of a run: its files get their final names, and a manifest says what they are made of.

OUT.manifest.json lists the model, the options, the counts, every output and every input with
its size and SHA-256. It holds no time and no place, so that the same run gives the same bytes,
and it is written last: where it stands, the output is complete.
"""

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from models.artifact import file_hash
from serving.batch.run_files import ERRORS, MANIFEST, beside, files_of_run, replaced
from serving.batch.spool import Spool

FORMAT = 1


def publish(spool: Spool, out: Path, about: Mapping[str, Any]) -> None:
    """Give the files of a run in which everything is tagged their final names, and write the manifest.

    It can be interrupted anywhere and done again.

    Args:
        spool: the run's.
        out: the output, or what its parts are named after.
        about: what the manifest says of model and options.
    """
    manifest = beside(out, MANIFEST)
    # Named by the earlier run itself; another's files are never deleted.
    spool.complete([out.name, *files_of_run(manifest)])
    manifest.unlink(missing_ok=True)
    names = []
    for number in range(1, len(spool.parts) + 1):
        final = spool.final_path(number)
        names.append(final.name)
        if spool.ready_path(number).exists():
            spool.ready_path(number).replace(final)
    for name in set(spool.replaces) - {*names, out.name + ERRORS}:
        out.with_name(name).unlink(missing_ok=True)
    write_problems(spool.problems_path, beside(out, ERRORS))
    with replaced(manifest) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.writelines(_manifest(spool, names, out, about))


def write_problems(spool: Path, out: Path) -> None:
    """Write the problems in `spool` to `out`; if there is none, there is no file."""
    if spool.stat().st_size:
        with replaced(out) as temporary:
            shutil.copyfile(spool, temporary)
    else:
        out.unlink(missing_ok=True)


def _manifest(spool: Spool, names: list[str], out: Path, about: Mapping[str, Any]) -> Iterator[str]:
    """Yield the manifest's JSON line by line: a million inputs are never in memory together."""
    outputs = [{"path": name, **asdict(part)} for name, part in zip(names, spool.parts, strict=True)]
    errors = beside(out, ERRORS)
    failed = None
    if errors.exists():
        failed = {"path": errors.name, "bytes": errors.stat().st_size, "sha256": file_hash(errors)}
    head = {"format": FORMAT, **about, "counts": asdict(spool.tally), "outputs": outputs, "errors": failed}
    yield json.dumps(head, ensure_ascii=False, indent=1).removesuffix("\n}") + ',\n "inputs": ['
    with spool.inputs_path.open(encoding="utf-8") as inputs:
        for place, line in enumerate(inputs):
            yield f"{',' if place else ''}\n  {line.rstrip()}"
    yield "\n ]\n}\n"

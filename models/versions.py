"""The versions of the model that are stored, with their figures; and the way back to the one before.

    python -m models.versions [--rollback]

A version is one folder: weights, thresholds, topics, figures and the hashes of its data
change together.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

from models import store
from models.artifact import Artifact, read_artifact


@dataclass(frozen=True)
class Version:
    """A stored model."""

    name: str
    """As `store.resolve` takes it."""
    artifact: Artifact | None
    """None if the folder is damaged or was left by a save that was cut short."""


def list_versions() -> list[Version]:
    """Return the model that ships and all of the store, oldest first."""
    folders = [path for path in store.STORE.glob("models/*/*") if path.is_dir()]
    found = [_read(store.RELEASED_NAME, store.RELEASED)]
    found += [_read(f"{path.parent.name}:{path.name}", path) for path in folders]
    return sorted(found, key=lambda one: one.artifact.created if one.artifact else "")


def _read(name: str, folder: Path) -> Version:
    try:
        return Version(name, read_artifact(folder))
    except (OSError, ValueError):
        return Version(name, None)


def table(versions: list[Version], in_use: list[str]) -> list[str]:
    """Return lines of Markdown; `in_use` is what `store.names_in_use` returns."""
    sets = list(dict.fromkeys(name for one in versions if one.artifact for name in one.artifact.metrics))
    lines = [
        f"| model | version | in use | topics | data | {' | '.join(f'macro F1, {name}' for name in sets)} |",
        f"| --- | --- | --- | --- | --- |{' --- |' * len(sets)}",
    ]
    for one in versions:
        if one.artifact is None:
            lines.append(
                f"| {one.name} | incomplete: a save was cut short, or a file is damaged |  |  |  |{' |' * len(sets)}"
            )
            continue
        scores = [one.artifact.metrics.get(name, {}).get("macro_f1") for name in sets]
        cells = " | ".join("" if score is None else f"{score:.3f}" for score in scores)
        data = ", ".join(f"{name} {digest[:8]}" for name, digest in one.artifact.data.items())
        place = in_use.index(one.name) if one.name in in_use else None
        used = "" if place is None else "now" if place == 0 else "before"
        lines.append(
            f"| {one.name} | {one.artifact.version} | {used} | {len(one.artifact.topics)} | {data} | {cells} |"
        )
    return lines


def main(arguments: list[str] | None = None) -> int:
    """List the versions, or go back one. Exit status 1 if there is nothing to go back to."""
    parser = argparse.ArgumentParser(prog="python -m models.versions", description="List the versions of the model.")
    parser.add_argument("--rollback", action="store_true", help="make the model before the one in use")
    options = parser.parse_args(arguments)
    if options.rollback:
        left = store.current_name()
        try:
            name = store.roll_back()
        except FileNotFoundError as error:
            print(error, file=sys.stderr)
            return 1
        print(f"{name} is in use again, {left} no longer; 'make models' lists all")
        return 0
    print("\n".join(table(list_versions(), store.names_in_use())))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What a service takes up: memory of its processes, files of its packages."""

import re
from collections.abc import Collection
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import NamedTuple


class Memory(NamedTuple):
    """Memory of some processes together, in bytes."""

    resident: int
    """What each has in memory, summed; pages that several have count for each."""
    proportional: int
    """The same, but pages that several have count once."""

    def __str__(self) -> str:
        return f"{self.resident / 1e6:.0f} MB RSS, {self.proportional / 1e6:.0f} MB without counting shared pages twice"


NONE = Memory(0, 0)


def memory_of(processes: Collection[int]) -> Memory:
    """Return the memory that these processes hold now."""
    found = [Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii") for process in processes]
    sums = (sum(1024 * int(one.split(f"{name}:")[1].split()[0]) for one in found) for name in ("\nRss", "\nPss"))
    return Memory(*sums)


def installed_size(requirements: Path) -> tuple[int, int]:
    """Return how many of the locked packages are installed, and the bytes of all their files."""
    names = re.findall(r"^([A-Za-z0-9._-]+)==", requirements.read_text(encoding="utf-8"), re.MULTILINE)
    packages, size = 0, 0
    for name in names:
        try:
            files = distribution(name).files or []
        except PackageNotFoundError:
            # Locked for another system.
            continue
        packages += 1
        paths = [Path(str(file.locate())) for file in files]
        size += sum(path.stat().st_size for path in paths if path.is_file())
    return packages, size

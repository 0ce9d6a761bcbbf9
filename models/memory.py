"""Give memory back to the system that loading a network needed and running it does not."""

import ctypes
import sys
from pathlib import Path

# Of `madvise`, from Linux's mman.h.
MADV_DONTNEED = 4


def give_back_files(folder: Path) -> None:
    """Give back the pages of this process that are mapped from files below `folder`, and are only read.

    Nothing is lost: a page that is read again comes from its file.
    """
    if sys.platform != "linux":
        return
    # As the system names the files it has mapped.
    folder = folder.resolve()
    libc = ctypes.CDLL(None)
    libc.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    for line in Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").splitlines():
        addresses, access, _, _, _, *name = line.split(maxsplit=5)
        if name and name[0].startswith(f"{folder}/") and "w" not in access:
            first, last = (int(address, 16) for address in addresses.split("-"))
            libc.madvise(first, last - first, MADV_DONTNEED)


def give_back_free() -> None:
    """Give back what has been allocated and freed again."""
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)

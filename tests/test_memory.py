import mmap
import re
import sys
from pathlib import Path

import pytest

from models.memory import give_back_files, give_back_free

SIZE = 8 << 20
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is given back on Linux only")


def held(path: Path) -> int:
    """Return how many bytes of a file this process holds in memory."""
    text = Path("/proc/self/smaps").read_text(encoding="utf-8")
    return 1024 * int(re.search(rf"{path}\n(?:.*\n)*?Rss: +(\d+)", text)[1])  # type: ignore[index]


def test_pages_of_files_below_a_folder_are_given_back_and_read_again(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    paths = [tmp_path / "kept" / "network", tmp_path / "keptother"]
    for path in paths:
        path.write_bytes(b"x" * SIZE)
    mapped = []
    for path in paths:
        with path.open("rb") as file:
            mapped.append(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ))
    assert all(one[:] == b"x" * SIZE for one in mapped)
    give_back_files(tmp_path / "kept")
    assert [held(path) for path in paths] == [0, SIZE]
    assert mapped[0][-1:] == b"x"
    give_back_free()
    for one in mapped:
        one.close()


def test_what_is_written_in_memory_stays(tmp_path: Path) -> None:
    path = tmp_path / "network"
    path.write_bytes(b"x" * SIZE)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY) as copied:
        copied[0] = ord("y")
        give_back_files(tmp_path)
        assert copied[:2] == b"yx"

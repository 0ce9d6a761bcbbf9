import os
import resource
import shutil
from pathlib import Path

import numpy as np
import pytest

from models import store
from models.artifact import MODEL_FILE
from models.compiled import KEPT, load_compiled

SETTINGS = {"NUM_STREAMS": 1}
WINDOW = {"input_ids": np.array([[2, 7, 9, 3]]), "attention_mask": np.ones((1, 4), np.int64)}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(store, "COMPILED", tmp_path / "compiled")
    return tmp_path / "compiled"


def load(path: Path) -> tuple[bool, np.ndarray]:
    """Load a network; return whether what was kept before served, and what it says of `WINDOW`."""
    before = _kept()
    network = load_compiled(path, SETTINGS)
    after = _kept()
    assert network.get_property("LOADED_FROM_CACHE") is bool(after)
    return bool(after) and after <= before, network.create_infer_request().infer(WINDOW)["logits"].copy()


def _kept() -> set[tuple[Path, int]]:
    """Return the folders of what is kept, each with a number that is another one when it is made anew."""
    folder = store.COMPILED
    return {(one, one.stat().st_ino) for one in folder.iterdir()} if folder and folder.is_dir() else set()


def test_the_second_time_it_comes_from_what_was_kept_and_says_the_same(tiny_artifact: Path, folder: Path) -> None:
    (first, expected), (second, found) = (load(tiny_artifact / MODEL_FILE) for _ in range(2))
    assert (first, second) == (False, True)
    assert (found == expected).all()
    assert len(list(folder.iterdir())) == 1


@pytest.mark.parametrize("size", [0, 1000, -1])
def test_a_damaged_one_is_not_believed_and_made_again(tiny_artifact: Path, folder: Path, size: int) -> None:
    _, expected = load(tiny_artifact / MODEL_FILE)
    (blob,) = folder.glob("*/*.blob")
    content = bytearray(blob.read_bytes())
    content[len(content) // 2] ^= 1
    blob.chmod(0o600)
    blob.write_bytes(content[:size] if size >= 0 else content)
    again, found = load(tiny_artifact / MODEL_FILE)
    assert not again and (found == expected).all()
    assert load(tiny_artifact / MODEL_FILE)[0]


def test_another_network_at_the_same_place_is_compiled(tiny_artifact: Path, folder: Path, tmp_path: Path) -> None:
    path = tmp_path / MODEL_FILE
    shutil.copy(tiny_artifact / MODEL_FILE, path)
    load(path)
    times = path.stat()
    content = bytearray(path.read_bytes())
    # The first character of a name that stands in the file twice or more often, changed everywhere.
    path.write_bytes(bytes(content).replace(b"network", b"netvork"))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert not load(path)[0]


def test_where_nothing_can_be_written_it_is_loaded_all_the_same(
    tiny_artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    for place in (None, tmp_path / "file" / "compiled"):
        monkeypatch.setattr(store, "COMPILED", place)
        assert load(tiny_artifact / MODEL_FILE)[0] is False


def test_where_the_disk_is_full_nothing_is_kept_until_there_is_room(tiny_artifact: Path, folder: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    # No file may grow beyond this: what is compiled is larger.
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, limits[1]))
    try:
        kept, expected = load(tiny_artifact / MODEL_FILE)
        assert not kept and not list(folder.iterdir())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not load(tiny_artifact / MODEL_FILE)[0]
    kept, found = load(tiny_artifact / MODEL_FILE)
    assert kept and (found == expected).all()


def test_the_newest_few_are_kept(tiny_artifact: Path, folder: Path, tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.onnx" for number in range(KEPT + 1)]
    for path in paths:
        shutil.copy(tiny_artifact / MODEL_FILE, path)
        load(path)
    assert len(list(folder.iterdir())) == KEPT
    assert [load(path)[0] for path in reversed(paths)] == [True] * KEPT + [False]

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from models import store
from models.artifact import read_artifact


def test_without_a_pointer_the_released_model_is_in_use(tmp_path: Path) -> None:
    assert store.current_name(tmp_path / "current") == "released"
    (tmp_path / "current").write_text(" \n")
    assert store.current_name(tmp_path / "current") == "released"
    assert store.resolve("released") == ROOT / "models" / "released"


def test_promote_names_the_model_in_use(tmp_path: Path) -> None:
    pointer, artifact = tmp_path / "current", tmp_path / "artifact"
    artifact.mkdir()
    store.promote(str(artifact), pointer)
    assert store.current_name(pointer) == str(artifact)
    assert store.resolve(store.current_name(pointer)) == artifact
    store.promote("released", pointer)
    assert store.current_name(pointer) == "released"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["artifact", "current"]
    assert pointer.stat().st_mode & 0o777 == 0o644


def test_promote_replaces_the_pointer_and_never_rewrites_it(tmp_path: Path) -> None:
    pointer = tmp_path / "current"
    pointer.write_text("duanbiao:old\n")
    with pointer.open() as reader:
        store.promote("released", pointer)
        assert reader.read() == "duanbiao:old\n"
    assert pointer.read_text() == "released\nduanbiao:old\n"


@pytest.fixture
def three(tmp_path: Path) -> list[str]:
    """The names of three models."""
    for name in ("first", "second", "third"):
        (tmp_path / name).mkdir()
    return [str(tmp_path / name) for name in ("first", "second", "third")]


def test_promoted_twice_it_goes_back_one_by_one(three: list[str], tmp_path: Path) -> None:
    pointer = tmp_path / "current"
    for name in three[:2]:
        store.promote(name, pointer)
    assert store.names_in_use(pointer) == [three[1], three[0], "released"]
    assert store.roll_back(pointer) == three[0] == store.current_name(pointer)
    store.promote(three[2], pointer)
    assert store.names_in_use(pointer) == [three[2], three[0], "released"]
    assert [store.roll_back(pointer) for _ in range(2)] == [three[0], "released"]


def test_promoting_the_model_in_use_changes_nothing(three: list[str], tmp_path: Path) -> None:
    pointer = tmp_path / "current"
    for name in (three[0], three[1], three[1]):
        store.promote(name, pointer)
    assert store.roll_back(pointer) == three[0]


def test_models_deleted_meanwhile_are_passed_over(three: list[str], tmp_path: Path) -> None:
    pointer = tmp_path / "current"
    for name in three:
        store.promote(name, pointer)
    Path(three[1]).rmdir()
    assert store.roll_back(pointer) == three[0]


def test_it_never_goes_back_to_the_model_in_use(three: list[str], tmp_path: Path) -> None:
    pointer = tmp_path / "current"
    for name in (three[0], three[1], three[0]):
        store.promote(name, pointer)
    Path(three[1]).rmdir()
    assert store.roll_back(pointer) == "released"


def test_with_nothing_to_go_back_to_the_pointer_stays(three: list[str], tmp_path: Path) -> None:
    pointer = tmp_path / "current"
    with pytest.raises(FileNotFoundError, match="nothing to go back to; see `make models`"):
        store.roll_back(pointer)
    assert not pointer.exists()
    pointer.write_text(f"{three[0]}\nduanbiao:deleted\n")
    with pytest.raises(FileNotFoundError, match="nothing to go back to"):
        store.roll_back(pointer)
    assert pointer.read_text() == f"{three[0]}\nduanbiao:deleted\n"


def test_going_back_replaces_the_pointer_and_never_rewrites_it(three: list[str], tmp_path: Path) -> None:
    pointer = tmp_path / "current"
    for name in three[:2]:
        store.promote(name, pointer)
    before = pointer.read_text()
    with pointer.open() as reader:
        store.roll_back(pointer)
        assert reader.read() == before
    assert pointer.read_text() == f"{three[0]}\nreleased\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["current", "first", "second", "third"]


def test_not_more_than_fifty_are_remembered(three: list[str], tmp_path: Path) -> None:
    pointer = tmp_path / "current"
    for turn in range(60):
        store.promote(three[turn % 2], pointer)
    assert len(store.names_in_use(pointer)) == 1 + store.MAX_REMEMBERED


@pytest.mark.parametrize("name", ["duanbiao:none", "duanbiao", "", "duanbiao:", "/no/such/folder", "no/folder"])
def test_a_model_that_is_not_there_is_refused_and_the_pointer_stays(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "STORE", tmp_path / "store")
    pointer = tmp_path / "current"
    pointer.write_text("released\n")
    with pytest.raises(FileNotFoundError, match=f"^no model .*{name}"):
        store.promote(name, pointer)
    assert pointer.read_text() == "released\n"
    assert [path.name for path in tmp_path.iterdir()] == ["current"]


def test_a_tag_is_found_in_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "STORE", tmp_path)
    folder = tmp_path / "models" / "duanbiao" / "v1"
    folder.mkdir(parents=True)
    assert store.resolve("duanbiao:v1") == folder
    with pytest.raises(FileNotFoundError) as error:
        store.resolve("duanbiao:v2")
    assert str(error.value) == (
        f"no model 'duanbiao:v2' in {tmp_path}; "
        f"train one with 'make train', or delete {store.CURRENT} to use the released one"
    )


def test_a_version_is_found_by_what_records_call_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "STORE", tmp_path)
    folder = tmp_path / "models" / "other" / "20250102-030405"
    folder.mkdir(parents=True)
    assert store.find_version("20250102-030405") == folder
    assert store.find_version(read_artifact(store.RELEASED).version) == store.RELEASED
    for version in ("20250102", "*", "", "../other/20250102-030405", "."):
        assert store.find_version(version) is None


SAVE = """
import os, sys
from pathlib import Path
from models import store
from models.artifact import read_artifact
store.STORE = Path(sys.argv[1])
os.environ["BENTOML_HOME"] = sys.argv[1]
def files():
    return sorted(str(p.relative_to(store.STORE)) for p in store.STORE.rglob("*") if p.name == "model.onnx")
def fail(folder):
    (folder / "model.onnx").write_text("half")
    raise RuntimeError("disk full")
try:
    store.save("duanbiao:broken", fail)
except RuntimeError as error:
    print(error, files())
tag = store.save("duanbiao", lambda folder: (folder / "model.onnx").write_text("whole"))
folder = store.resolve(tag)
print(tag.startswith("duanbiao:"), (folder / "model.onnx").read_text(), len(files()))
try:
    store.resolve("duanbiao:broken")
except FileNotFoundError:
    print("no broken one")
"""


@pytest.mark.slow
def test_save_keeps_whole_versions_only(tmp_path: Path) -> None:
    before = sorted((ROOT / "models" / "store").rglob("*"))
    done = subprocess.run(
        [sys.executable, "-c", SAVE, str(tmp_path / "store")],
        capture_output=True, text=True, cwd=ROOT, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["disk full []", "True whole 1", "no broken one"]
    assert sorted((ROOT / "models" / "store").rglob("*")) == before

import json
import shutil
from pathlib import Path

import pytest

from models import store
from models.artifact import read_artifact
from models.versions import list_versions, main


@pytest.fixture
def versions(tiny_artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store of a whole version, one with a damaged file, and one whose copy was cut short."""
    folder = tmp_path / "store" / "models" / "duanbiao"
    for name in ("20250101-000000", "20250202-000000", "20250303-000000"):
        shutil.copytree(tiny_artifact, folder / name)
    (folder / "20250202-000000" / "model.onnx").write_bytes(b"damaged")
    for name in ("tagger.json", "lexicon.safetensors"):
        (folder / "20250303-000000" / name).unlink()
    (folder / "latest").write_text("20250101-000000")
    monkeypatch.setattr(store, "STORE", tmp_path / "store")
    return folder


@pytest.fixture
def pointer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The pointer file that the commands read and write; there is none yet."""
    path = tmp_path / "current"
    for name in ("names_in_use", "current_name", "roll_back"):
        monkeypatch.setattr(getattr(store, name), "__defaults__", (path,))
    return path


def rows(printed: str) -> dict[str, list[str]]:
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in printed.splitlines()[2:]]
    return {row[0]: row[1:] for row in cells}


def test_whole_damaged_and_half_copied_versions_are_told_apart(versions: Path) -> None:
    found = {one.name: one.artifact for one in list_versions()}
    assert found == {
        "released": read_artifact(store.RELEASED),
        "duanbiao:20250101-000000": read_artifact(versions / "20250101-000000"),
        "duanbiao:20250202-000000": None,
        "duanbiao:20250303-000000": None,
    }
    whole = [one.name for one in list_versions() if one.artifact]
    assert whole == ["duanbiao:20250101-000000", "released"]


def test_the_table_has_the_figures_and_marks_the_one_in_use(
    versions: Path, pointer: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pointer.write_text("duanbiao:20250101-000000\nreleased\n")
    assert main([]) == 0
    printed = capsys.readouterr().out
    found = rows(printed)
    released = json.loads((store.RELEASED / "tagger.json").read_text(encoding="utf-8"))
    assert found["duanbiao:20250101-000000"][:3] == ["tiny-1", "now", "5"]
    assert found["released"][:3] == [released["version"], "before", "5"]
    assert f"annotations.jsonl {released['data']['annotations.jsonl'][:8]}" in found["released"][3]
    assert found["released"][4:] == [f"{figures['macro_f1']:.3f}" for figures in released["metrics"].values()]
    for damaged in ("duanbiao:20250202-000000", "duanbiao:20250303-000000"):
        assert found[damaged][0].startswith("incomplete: ")
    assert len({line.count("|") for line in printed.splitlines()}) == 1


def test_the_command_goes_back_to_the_version_before(
    versions: Path, pointer: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pointer.write_text("duanbiao:20250101-000000\nduanbiao:19990101-000000\nreleased\n")
    assert main(["--rollback"]) == 0
    assert capsys.readouterr().out == (
        "released is in use again, duanbiao:20250101-000000 no longer; 'make models' lists all\n"
    )
    assert pointer.read_text() == "released\n"
    assert main(["--rollback"]) == 1
    assert "nothing to go back to" in capsys.readouterr().err
    assert pointer.read_text() == "released\n"

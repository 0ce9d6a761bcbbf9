"""The model in use: missing, there, replaced, damaged."""

import json
import logging
import shutil
from pathlib import Path

import pytest

from models import store
from models.artifact import MODEL_FILE, TAGGER_FILE
from serving.watch import ModelInUse


@pytest.fixture
def pointer(tmp_path: Path) -> Path:
    return tmp_path / "current"


def make_version(artifact: Path, folder: Path, version: str) -> Path:
    """Copy an artifact under another version."""
    shutil.copytree(artifact, folder)
    content = json.loads((folder / TAGGER_FILE).read_text(encoding="utf-8"))
    (folder / TAGGER_FILE).write_text(json.dumps({**content, "version": version}), encoding="utf-8")
    return folder


def version_of(model: ModelInUse) -> str | None:
    return model.tagger.artifact.version if model.tagger else None


def test_a_missing_model_is_taken_up_when_it_appears(tiny_artifact: Path, tmp_path: Path, pointer: Path) -> None:
    model = ModelInUse(pointer)
    pointer.write_text(str(tmp_path / "later"), encoding="utf-8")
    model.refresh()
    assert version_of(model) is None
    make_version(tiny_artifact, tmp_path / "later", "later-1")
    model.refresh()
    assert version_of(model) == "later-1"


def test_a_promoted_model_replaces_the_one_in_use(tiny_artifact: Path, tmp_path: Path, pointer: Path) -> None:
    model = ModelInUse(pointer)
    store.promote(str(tiny_artifact), pointer)
    model.refresh()
    before = model.tagger
    model.refresh()
    assert model.tagger is before
    store.promote(str(make_version(tiny_artifact, tmp_path / "two", "two")), pointer)
    model.refresh()
    assert (version_of(model), before and before.artifact.version) == ("two", "tiny-1")


def test_a_damaged_model_is_logged_once_and_the_old_one_stays(
    tiny_artifact: Path, tmp_path: Path, pointer: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = ModelInUse(pointer)
    store.promote(str(tiny_artifact), pointer)
    model.refresh()
    damaged = make_version(tiny_artifact, tmp_path / "damaged", "damaged")
    whole = (damaged / MODEL_FILE).read_bytes()
    (damaged / MODEL_FILE).write_bytes(whole[:-10])
    store.promote(str(damaged), pointer)
    with caplog.at_level(logging.ERROR):
        model.refresh()
        model.refresh()
    (record,) = (record for record in caplog.records if record.levelno == logging.ERROR)
    assert f"{damaged / MODEL_FILE}" in record.getMessage() and "tiny-1 stays in use" in record.getMessage()
    assert version_of(model) == "tiny-1"
    (damaged / MODEL_FILE).write_bytes(whole)
    model.refresh()
    assert version_of(model) == "damaged"


def test_a_fixed_model_ignores_the_pointer(tiny_artifact: Path, tmp_path: Path, pointer: Path) -> None:
    store.promote(str(make_version(tiny_artifact, tmp_path / "two", "two")), pointer)
    model = ModelInUse(pointer, fixed=str(tiny_artifact))
    model.refresh()
    assert version_of(model) == "tiny-1"


@pytest.mark.parametrize(
    "content", ["", "\n", "duanbiao:none", "no/such/folder", "a\0b/c", "/", "\ufeff", "x" * 5000 + "/y"]
)
def test_no_pointer_however_wrong_ends_the_watch(content: str, pointer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "RELEASED", pointer.parent / "nothing")
    pointer.write_text(content, encoding="utf-8")
    model = ModelInUse(pointer)
    model.refresh()
    assert model.tagger is None


def test_a_pointer_that_is_no_text_does_not_end_the_watch(pointer: Path) -> None:
    pointer.write_bytes(b"\xff\xfe\x00")
    model = ModelInUse(pointer)
    model.refresh()
    assert model.tagger is None

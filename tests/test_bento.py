"""The Bento: built for real, read, and served by this environment from its own folder."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from test_requirements import read_lock

from models.store import RELEASED
from serving import bento

pytestmark = pytest.mark.slow

IMPORT_ALL = """
import json, sys
from pathlib import Path
sys.dont_write_bytecode = True
import serving.service, serving.batch.__main__, models.compiled, data.documents
here = Path.cwd()
files = [Path(module.__file__) for module in sys.modules.values() if getattr(module, "__file__", None)]
inside = sorted(file.relative_to(here).as_posix() for file in files if file.is_relative_to(here))
print(json.dumps([inside, "torch" in sys.modules]))
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bento.build(tmp_path_factory.mktemp("bento"))


def test_it_holds_what_is_served_and_no_more(built: Path) -> None:
    source = built / "src"
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL], cwd=source, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    imported, torch = json.loads(done.stdout.splitlines()[-1])
    assert not torch
    files = [path.relative_to(source).as_posix() for path in sorted(source.rglob("*")) if path.is_file()]
    assert [name for name in files if name.endswith(".py")] == imported
    others = {name for name in files if not name.endswith(".py") and not name.startswith("serving/")}
    model = {
        f"models/released/{name}" for name in ("lexicon.safetensors", "model.onnx", "tagger.json", "tokenizer.json")
    }
    assert others == {"LICENSE", "bentofile.yaml", *model}
    for name in model:
        assert (source / name).read_bytes() == (RELEASED / Path(name).name).read_bytes()


def test_its_requirements_are_the_locked_ones(built: Path) -> None:
    lines = (built / "env" / "python" / "requirements.txt").read_text(encoding="utf-8").splitlines()
    lock = read_lock("serve")
    pins = [re.match(r"([a-z0-9.-]+)==([^ ;]+)", line) for line in lines if line and line[0] not in " #"]
    assert {pin[1]: pin[2] for pin in pins if pin} == {name: version for name, (version,) in lock.items()}
    # One line more than locked: bentoml adds its own, without a hash; that of the lock still holds.
    assert len(pins) == len(lock) + 1
    assert lines[-1] == f"bentoml=={next(iter(lock['bentoml']))}"
    for place, line in enumerate(lines[:-1]):
        assert not re.match(r"[a-z]", line) or "--hash=sha256:" in lines[place + 1], line


def test_its_container_installs_them_alone_and_does_not_run_as_root(built: Path) -> None:
    text = (built / "env" / "docker" / "Dockerfile").read_text(encoding="utf-8")
    assert re.findall(r"^FROM (\S+)", text, re.MULTILINE) == ["python:3.11-slim"]
    assert re.findall(r"pip install (.*)$", text, re.MULTILINE) == [
        "uv",
        "-r $BENTO_PATH/env/python/requirements.txt",
    ]
    assert re.findall(r"^USER (\S+)", text, re.MULTILINE)[-1] == "bentoml"
    assert text.rindex("USER bentoml") < text.rindex("ENTRYPOINT [")
    for name, value in (
        ("BENTOML_HOST", "0.0.0.0"),
        ("BENTOML_DO_NOT_TRACK", "True"),
        ("PYTHONDONTWRITEBYTECODE", "1"),
    ):
        assert f"ARG {name}={value}\nENV {name}=${name}\n" in text
    # A key given when it is built would stay in the image.
    assert "DUANBIAO_" not in text
    # Under BENTOML_CONTAINERIZED bentoml replaces no worker that died: with several, those left would hide it.
    assert "ENV BENTOML_CONTAINERIZED=true" in text
    assert re.findall(r"^ +workers: (\d+)", (built / "bento.yaml").read_text(encoding="utf-8"), re.MULTILINE) == ["1"]


def test_it_answers_as_the_checkout_and_writes_nothing_into_itself(built: Path, tmp_path: Path) -> None:
    before = bento.measure(built)
    with bento.serve(Path(sys.executable), built, tmp_path / "home") as address:
        assert bento.find_differences(address) == []
    assert bento.measure(built) == before

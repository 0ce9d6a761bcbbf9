"""Where trained models live and which one is in use.

Versions stand in BentoML's model store below `models/store`; the first line of
`models/current` names the one in use, the next ones those before it. Where there is no
`models/current`, the model that ships in `models/released` is in use. DUANBIAO_MODELS names
another folder for `store`, `runs`, `compiled` and `current`. A Bento has none of them: without
DUANBIAO_MODELS it serves the released model and leaves BentoML the home that it was started with.
"""

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from models.artifact import TAGGER_FILE

MODELS = Path(__file__).resolve().parent
RELEASED = MODELS / "released"
HOME = Path(os.environ.get("DUANBIAO_MODELS") or MODELS).resolve()
STORE = HOME / "store"
RUNS = HOME / "runs"
CURRENT = HOME / "current"
RELEASED_NAME = "released"

# Nothing is written into a Bento.
_KEEPS = HOME != MODELS or not (MODELS.parent.parent / "bento.yaml").is_file()
COMPILED = HOME / "compiled" if _KEEPS else None
"""Where compiled networks are kept, if they are; see `models.compiled`."""

# Read when bentoml is first imported, so set before. Nothing is reported to anyone.
if _KEEPS:
    os.environ["BENTOML_HOME"] = str(STORE)
os.environ["BENTOML_DO_NOT_TRACK"] = "True"


# So many of those that were in use before are remembered.
MAX_REMEMBERED = 50


def names_in_use(pointer: Path = CURRENT) -> list[str]:
    """Return the name of the model in use, then those of the models before it, latest first."""
    try:
        names = pointer.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError:
        names = []
    return [name.strip() for name in names if name.strip()] or [RELEASED_NAME]


def current_name(pointer: Path = CURRENT) -> str:
    """Return the name of the model in use: "released" or a tag such as "duanbiao:20250102-030405"."""
    return names_in_use(pointer)[0]


def resolve(name: str) -> Path:
    """Return the artifact folder of a model.

    Args:
        name: "released", a tag of the store, or the path of an artifact folder.

    Raises:
        FileNotFoundError: there is no such model.
    """
    if name == RELEASED_NAME:
        return RELEASED
    if "/" in name:
        if not Path(name).is_dir():
            raise FileNotFoundError(f"no model folder at {name}; give the folder of model.onnx and tagger.json")
        return Path(name)
    tag, _, version = name.partition(":")
    folder = STORE / "models" / tag / version
    if not version or not folder.is_dir():
        raise FileNotFoundError(
            f"no model '{name}' in {STORE}; train one with 'make train', or delete {CURRENT} to use the released one"
        )
    return folder


def find_version(version: str) -> Path | None:
    """Return the artifact folder of a version as records name it, such as "20250102-030405"; None if there is none."""
    released = json.loads((RELEASED / TAGGER_FILE).read_text(encoding="utf-8"))
    if released["version"] == version:
        return RELEASED
    # Compared, not looked up: the version comes from a record, which may say anything.
    found = (folder for folder in sorted(STORE.glob("models/*/*")) if folder.name == version and folder.is_dir())
    return next(found, None)


def save(tag: str, fill: Callable[[Path], None]) -> str:
    """Create a version in the store; `fill` writes the artifact into the folder it is given.

    Returns the version's full tag. If `fill` raises, nothing is left behind.
    """
    import bentoml

    STORE.mkdir(parents=True, exist_ok=True)
    with bentoml.models.create(tag) as model:
        fill(Path(model.path))
    return str(model.tag)


def promote(name: str, pointer: Path = CURRENT) -> None:
    """Make a model the one in use, in one atomic step that a running service takes up.

    Raises:
        FileNotFoundError: there is no such model; the one in use stays.
    """
    resolve(name)
    names = names_in_use(pointer)
    if name != names[0]:
        _point(pointer, [name, *names[:MAX_REMEMBERED]])


def roll_back(pointer: Path = CURRENT) -> str:
    """Make the model the one in use that was so before, in one atomic step; return its name.

    Models that have been deleted since are passed over.

    Raises:
        FileNotFoundError: there is none; the one in use stays.
    """
    in_use, *names = names_in_use(pointer)
    while names and (names[0] == in_use or not _is_there(names[0])):
        del names[0]
    if not names:
        raise FileNotFoundError("no earlier model is known, so there is nothing to go back to; see `make models`")
    _point(pointer, names)
    return names[0]


def _is_there(name: str) -> bool:
    try:
        resolve(name)
    except FileNotFoundError:
        return False
    return True


def _point(pointer: Path, names: list[str]) -> None:
    with tempfile.NamedTemporaryFile("w", dir=pointer.parent, delete=False, encoding="utf-8") as file:
        file.write("".join(f"{name}\n" for name in names))
        file.flush()
        os.fsync(file.fileno())
    Path(file.name).chmod(0o644)
    Path(file.name).replace(pointer)

"""Keep what OpenVINO compiles, so that a network loads in a quarter of the time the next time.

A compiled network is a copy: it can be deleted at any moment and is made again. Each stands in
a folder of `models/compiled` that is named after all it depends on, beside its hash, so that a
damaged one is not believed. A folder is filled under another name and then renamed. The newest
few are kept. What has just been compiled is read back as well: compiling leaves 60 MB behind.
"""

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import openvino

from models import store
from models.artifact import file_hash
from models.memory import give_back_free

KEPT = 4
_HASHES = "hashes"


def load_compiled(path: Path, settings: Mapping[str, Any]) -> openvino.CompiledModel:
    """Load the ONNX file at `path`, compiled for this processor.

    Args:
        path: the ONNX file.
        settings: OpenVINO's properties of the compiled network.

    Raises:
        RuntimeError: it cannot be loaded.
    """
    core = openvino.Core()
    if store.COMPILED is None:
        return _compile(core, path, settings)
    folder = store.COMPILED / _identity(core, path, settings)
    if _is_whole(folder):
        # Those used last are kept.
        with contextlib.suppress(OSError):
            os.utime(folder)
    elif not _keep(core, path, settings, folder):
        # Where nothing can be written, each start takes its time.
        return _compile(core, path, settings)
    return _compile(core, path, {**settings, "CACHE_DIR": str(folder)})


def _keep(core: openvino.Core, path: Path, settings: Mapping[str, Any], folder: Path) -> bool:
    """Compile a network into `folder`; return whether it stands there."""
    try:
        partial = _new_folder(folder)
    except OSError:
        return False
    try:
        _compile(core, path, {**settings, "CACHE_DIR": str(partial)})
        give_back_free()
        hashes = _hashes_of(partial)
        # Where the disk is full, OpenVINO leaves nothing and says nothing.
        if not hashes:
            return False
        (partial / _HASHES).write_text(hashes, encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
        _delete_oldest(folder.parent)
    except OSError:
        return False
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return True


def _compile(core: openvino.Core, path: Path, settings: Mapping[str, Any]) -> openvino.CompiledModel:
    return core.compile_model(path, "CPU", dict(settings))


def _identity(core: openvino.Core, path: Path, settings: Mapping[str, Any]) -> str:
    """Return a name that changes with whatever changes the compiled network."""
    processor = [core.get_property("CPU", name) for name in ("FULL_DEVICE_NAME", "OPTIMIZATION_CAPABILITIES")]
    depends_on = [str(path.resolve()), file_hash(path), openvino.__version__, processor, sorted(settings.items())]
    return hashlib.sha256(repr(depends_on).encode()).hexdigest()[:32]


def _new_folder(folder: Path) -> Path:
    folder.parent.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix="partial-", dir=folder.parent))


def _hashes_of(folder: Path) -> str:
    files = sorted(path for path in folder.iterdir() if path.name != _HASHES)
    return "".join(f"{file_hash(path)}  {path.name}\n" for path in files)


def _is_whole(folder: Path) -> bool:
    try:
        return (folder / _HASHES).read_text(encoding="utf-8") == _hashes_of(folder)
    except (OSError, UnicodeDecodeError):
        return False


def _delete_oldest(folder: Path) -> None:
    """Delete all but the newest; in time also what a killed process has left."""
    by_age = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime)
    for path in by_age[:-KEPT]:
        shutil.rmtree(path, ignore_errors=True)

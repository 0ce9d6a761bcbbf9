"""The model in use: load it, and take up another one without a pause when it is promoted."""

import asyncio
import logging
from concurrent.futures import Executor
from pathlib import Path

from models import store
from models.artifact import LEXICON_FILE, MODEL_FILE, TAGGER_FILE, TOKENIZER_FILE
from models.tagger import Tagger
from serving.figures import introduce

POLL_SECONDS = 1.0
FILES = (TAGGER_FILE, MODEL_FILE, TOKENIZER_FILE, LEXICON_FILE)

_log = logging.getLogger("duanbiao")

# What a model looked like when it was last tried: its name, and time and size of each file.
_State = tuple[str, tuple[tuple[int, int] | None, ...]]


class ModelInUse:
    """Follows the pointer `models/current`, or holds the one model it was told to hold."""

    def __init__(self, pointer: Path = store.CURRENT, fixed: str | None = None) -> None:
        """Load nothing yet.

        Args:
            pointer: file that names the model in use.
            fixed: name, tag or folder of the model; the pointer is then not read.
        """
        self.tagger: Tagger | None = None
        """Take this reference once per request: another model may stand here a moment later."""
        self._pointer, self._fixed = pointer, fixed
        self._tried: _State | None = None

    async def follow(self, executor: Executor) -> None:
        """Load the model in use as soon as it is there, and each one that replaces it.

        Loads on `executor`, so that requests are answered meanwhile. A model that cannot be
        loaded is logged and left; the one before stays, until something changes.
        """
        loop = asyncio.get_running_loop()
        while not (self._fixed and self.tagger):
            await loop.run_in_executor(executor, self.refresh)
            await asyncio.sleep(POLL_SECONDS)

    def refresh(self) -> None:
        """Load the model in use if it, or a file of it, is another than at the last try."""
        try:
            state = self._look()
            if state == self._tried:
                return
            self._tried = state
            tagger = Tagger(store.resolve(state[0]))
            # The first run allocates; no request should wait for that.
            tagger.tag(["预热"])
        except Exception as error:
            kept = f"; {self.tagger.artifact.version} stays in use" if self.tagger else ""
            _log.error("model not loaded: %s%s", error, kept)
            return
        introduce(tagger.artifact)
        self.tagger = tagger
        _log.info("model %s is in use", tagger.artifact.version)

    def _look(self) -> _State:
        name = self._fixed or store.current_name(self._pointer)
        try:
            folder = store.resolve(name)
        except FileNotFoundError:
            return name, ()
        return name, tuple(_stamp(folder / file) for file in FILES)


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size

"""Tag units on Ray Data: several processes of this machine, or of the cluster that RAY_ADDRESS names.

One task on this machine reads the sources, actors tag, this process gets the answers in order.
Ray Data does all the rest: it lets the reader run ahead no further than there is room, and starts
a reader or an actor that was lost again and repeats what it had not finished.
"""

import json
import logging
import os
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

# Before Ray is imported. Nothing is reported to anyone.
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
# Its servers' messages go to their log files; what stops a run is raised.
os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
if not os.environ.get("RAY_ADDRESS"):
    # A Ray of this machine alone listens on loopback, as it does by default on the two systems named here.
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"

import pyarrow
import ray
from pydantic import TypeAdapter
from ray.data import ActorPoolStrategy, DataContext, Dataset, Datasource
from ray.data.block import Block, BlockMetadata
from ray.data.datasource import ReadTask
from ray.data.exceptions import RayDataUserCodeException, SystemException
from ray.exceptions import RayError

from models.tagger import Tagger
from serving.batch.job import Read, Tagged
from serving.batch.units import Unit
from serving.records import tag_paragraphs

# Bytes of units on their way; one has a few hundred thousand, at most some millions.
ROOM = 200 * 2**20
UNIT = TypeAdapter(Unit)
REACHED_WITHIN = 10
"""Seconds that a cluster may take to accept a connection."""


class RayEngine:
    """Tags on Ray Data; see `serving.batch.job.Engine`."""

    def __init__(self, actors: int | None) -> None:
        """Tag with so many actors, each of which has the model and one processor; on all processors if None."""
        self._actors = actors

    def __call__(self, folder: Path, read: Read) -> Tagged:
        """Tag the units that `read` yields.

        The model's folder has the same path on every machine.

        Raises:
            OSError: there is no cluster at RAY_ADDRESS, or Ray gives up; the message says why.
        """
        actors = _connect(self._actors)
        try:
            # Each unit as soon as it is there, so that it is saved.
            blocks: Iterable[Any] = _dataset(folder.resolve(), read, actors).iter_batches(
                batch_size=None, batch_format="pyarrow", prefetch_batches=0
            )
            for row in (row for block in blocks for row in block.to_pylist()):
                yield UNIT.validate_json(row["unit"]), json.loads(row["records"])
        except (RayError, RayDataUserCodeException, SystemException) as error:
            raise OSError(f"Ray gave up: {error}") from error
        finally:
            ray.shutdown()


def _connect(actors: int | None) -> int:
    """Connect to the cluster, or start Ray here, out of reach of other machines; return how many actors to start."""
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    init = partial(ray.init, log_to_driver=False, logging_level=logging.ERROR)
    address = os.environ.get("RAY_ADDRESS")
    if address:
        _reach(address)
        init(address)
        return actors or int(ray.cluster_resources()["CPU"])  # type: ignore[no-untyped-call]
    actors = actors or len(os.sched_getaffinity(0))
    init("local", num_cpus=actors, object_store_memory=ROOM, include_dashboard=False)
    return actors


def _reach(address: str) -> None:
    """Raise OSError if nobody listens there: Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    # Other forms than host:port are Ray's own to look up.
    if not host or "/" in host or not port.isdigit():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=REACHED_WITHIN).close()
    except (OSError, OverflowError) as error:
        raise OSError(f"no Ray cluster at RAY_ADDRESS={address} ({error}); start one, or correct the address") from None


def _dataset(folder: Path, read: Read, actors: int) -> Dataset:
    context = DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = context.print_on_execution_start = False
    # Every unit is a block, and goes to whichever actor is free.
    context.target_max_block_size = 1
    # The reader needs little of a processor, and the actors need them all.
    units = ray.data.read_datasource(_Units(read), override_num_blocks=1, num_cpus=0)
    # A unit waits for the first actor that is free, not at one that is busy.
    pool = ActorPoolStrategy(size=actors, max_tasks_in_flight_per_actor=1)
    tagged: Dataset = units.map(_Actor, fn_constructor_args=[folder], compute=pool, num_cpus=1)
    return tagged


class _Units(Datasource):
    """The units as blocks of one row, read by a single task, so that any number of them needs no more memory."""

    # The sources are files of this machine.
    supports_distributed_reads = False

    def __init__(self, read: Read) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._read = read

    def estimate_inmemory_data_size(self) -> None:
        """Return that nobody knows."""

    def get_read_tasks(self, parallelism: int, *_: object, **__: object) -> list[ReadTask]:
        """Return the one task."""
        unknown = BlockMetadata(num_rows=None, size_bytes=None, input_files=None, exec_stats=None)
        return [ReadTask(_reader(self._read, Path.cwd()), unknown)]


def _reader(read: Read, folder: Path) -> Callable[[], Iterator[Block]]:
    def blocks() -> Iterator[Block]:
        # The names of sources may be relative.
        os.chdir(folder)
        for unit in read():
            yield pyarrow.table({"unit": [UNIT.dump_json(unit)]})

    return blocks


class _Actor:
    """A process that has the model."""

    def __init__(self, folder: Path) -> None:
        self._tagger = Tagger(folder, threads=1)

    def __call__(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Tag a unit."""
        unit = UNIT.validate_json(row["unit"])
        return {"unit": row["unit"], "records": json.dumps(tag_paragraphs(self._tagger, unit.paragraphs))}

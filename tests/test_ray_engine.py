"""Batch tagging on Ray Data gives what the engine of one process gives, lost workers or not."""

import gzip
import json
import os
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest

from serving.batch import job
from serving.batch.run_files import beside
from serving.records import Unlabelled

ROOT = Path(__file__).resolve().parent.parent
NEWS = ["县委统战部召开民主党派座谈会。", "应急管理局检查矿山消防隐患。", "果农开网店直播卖苹果三万斤。"]


def write_archive(folder: Path, rows: int) -> Path:
    """Articles, one of which cannot be read, and tables with a bad row."""
    folder.mkdir()
    for i in range(30):
        (folder / f"{i:02}.txt").write_text("\n\n".join(f"{i}，{text}" for text in NEWS), encoding="utf-8")
    (folder / "05.md").write_bytes(b"\0")
    lines = [json.dumps({"id": f"p{i}", "text": f"{i}：{NEWS[i % 3] * 4}"}) for i in range(rows)]
    lines[rows // 2] = "not JSON"
    (folder / "10.jsonl").write_text("\n".join(lines), encoding="utf-8")
    (folder / "15.csv.gz").write_bytes(gzip.compress(("text\n" + f"{NEWS[1]}\n" * 300 + ",\n").encode("gb18030")))
    return folder


def start(place: Path, out: Path, artifact: Path, *options: str, **variables: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "serving.batch", place.name, str(out), "--model", str(artifact), *options]
    # A relative place, and Ray of this machine alone whatever the tester has set.
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    environment |= {"PYTHONPATH": str(ROOT), **variables}
    return subprocess.Popen(
        command, cwd=place.parent, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def two_outputs(folder: Path) -> tuple[Path, Path]:
    """Return where to write without Ray and with it, each in a new folder of its own."""
    places = folder / "here" / "o.jsonl", folder / "ray" / "o.jsonl"
    for place in places:
        place.parent.mkdir()
    return places


def wait_for_progress(process: subprocess.Popen[str], out: Path) -> None:
    """Return when the run has saved something."""
    while process.poll() is None and not beside(out, ".partial.state").exists():
        time.sleep(0.01)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def children(pid: int) -> dict[int, str]:
    """Return the processes below this one, with their names."""
    found: dict[int, tuple[int, str]] = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            found[int(path.name)] = parent, (path / "cmdline").read_text().replace("\0", " ")
        except (OSError, IndexError):
            continue
    below = {pid}
    for _ in found:
        grown = below | {child for child, (parent, _) in found.items() if parent in below}
        if grown == below:
            break
        below = grown
    return {child: found[child][1] for child in below - {pid} if child in found}


def listening(pids: set[int]) -> set[str]:
    """Return the addresses, in hexadecimal, on which these processes accept TCP connections."""
    sockets = set()
    for pid in pids:
        for path in Path(f"/proc/{pid}/fd").glob("*"):
            try:
                sockets.add(path.readlink().name)
            except OSError:
                continue
    addresses = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets:
                addresses.add(fields[1].rpartition(":")[0])
    return addresses


@pytest.mark.slow
def test_an_actor_killed_in_the_middle_changes_nothing(
    tiny_artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place = write_archive(tmp_path / "in", 2500)
    here, on_ray = two_outputs(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert job.main([place.name, str(here), "--model", str(tiny_artifact)]) == 1
    expected = capsys.readouterr()

    process = start(place, on_ray, tiny_artifact, "--engine", "ray", "--actors", "2")
    wait_for_progress(process, on_ray)
    below = children(process.pid)
    actors = [pid for pid, name in below.items() if name.startswith("ray::MapWorker")]
    addresses = listening({process.pid, *below})
    os.kill(actors[0], signal.SIGKILL)
    assert beside(on_ray, ".partial.state").exists()
    out, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    # Before it Ray says that a worker was lost.
    assert out.endswith(expected.out.replace("/here/", "/ray/"))
    assert errors.endswith(expected.err.replace("/here/", "/ray/"))
    assert contents(on_ray.parent) == contents(here.parent)
    assert len(actors) == 2
    # 127.0.0.1, and what IPv6 calls it and its own.
    assert addresses <= {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}
    assert addresses


@pytest.mark.slow
def test_what_ctrl_c_stopped_on_ray_is_finished_here(
    tiny_artifact: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    place = write_archive(tmp_path / "in", 2500)
    out, undisturbed = tmp_path / "o.parquet", tmp_path / "u.parquet"
    process = start(place, out, tiny_artifact, "--engine", "ray", "--actors", "1")
    wait_for_progress(process, out)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=120)[1]
    assert process.returncode == 130
    assert said.splitlines()[-1] == "interrupted; run the same command again to continue"
    monkeypatch.chdir(tmp_path)
    for path in (out, undisturbed):
        assert job.main([place.name, str(path), "--model", str(tiny_artifact)]) == 1
    assert "continuing an interrupted run after" in capsys.readouterr().err
    assert out.read_bytes() == undisturbed.read_bytes()


def test_units_come_through_unchanged(tmp_path: Path) -> None:
    from serving.batch.inputs import list_sources
    from serving.batch.ray_engine import UNIT
    from serving.batch.tables import Columns
    from serving.batch.units import Position, read_units

    sources = list_sources(str(write_archive(tmp_path / "in", 300)), tmp_path / "o.csv", tmp_path / "s")
    units = list(read_units(sources, Position(), Columns()))
    assert [UNIT.validate_json(UNIT.dump_json(unit)) for unit in units] == units
    assert {type(paragraph) for unit in units for paragraph in unit.paragraphs} == {Unlabelled}
    assert sum(len(unit.problems) for unit in units) == 2


@pytest.mark.slow
def test_without_the_extra_the_message_names_it(tiny_artifact: Path, tmp_path: Path) -> None:
    """All installed packages but Ray, linked into a folder that Python is given in place of its own."""
    packages = tmp_path / "packages"
    packages.mkdir()
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if path.name != "ray":
            (packages / path.name).symlink_to(path)
    command = [sys.executable, "-S", "-m", "serving.batch", "seeds", str(tmp_path / "o.csv")]
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{packages}"}
    done = subprocess.run(
        [*command, "--model", str(tiny_artifact), "--engine", "ray"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == (
        "ENGINE=ray needs the extra 'ray' (No module named 'ray'); install it with pip install 'duanbiao[ray]'\n"
    )


def test_actors_are_of_ray(tiny_artifact: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [str(ROOT / "seeds"), str(tmp_path / "o.csv"), "--model", str(tiny_artifact), "--actors", "2"]
    assert job.main(arguments) == 2
    assert capsys.readouterr().err == "ACTORS are of Ray; add ENGINE=ray\n"
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_cluster_of_two_machines_gives_the_same(
    tiny_artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two of Ray's nodes with a processor each, so that each gets one of the two actors."""
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    # The machines have the project installed.
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    from ray.cluster_utils import Cluster

    place = write_archive(tmp_path / "in", 300)
    here, on_ray = two_outputs(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert job.main([place.name, str(here), "--model", str(tiny_artifact)]) == 1
    node = {"num_cpus": 1, "object_store_memory": 2**27, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=node)
    try:
        cluster.add_node(**node)
        process = start(place, on_ray, tiny_artifact, "--engine", "ray", RAY_ADDRESS=cluster.address)
        wait_for_progress(process, on_ray)
        below = children(process.pid)
        _, said = process.communicate()
        # It is the cluster's processes that tag.
        assert not any(name.startswith(("ray::", "raylet")) for name in below.values()), below
        assert process.returncode == 1, said
    finally:
        cluster.shutdown()
    assert contents(on_ray.parent) == contents(here.parent)


def test_a_cluster_that_is_not_there_is_named(tiny_artifact: Path, tmp_path: Path) -> None:
    place = write_archive(tmp_path / "in", 10)
    process = start(place, tmp_path / "o.jsonl", tiny_artifact, "--engine", "ray", RAY_ADDRESS="127.0.0.1:1")
    _, said = process.communicate()
    assert process.returncode == 2 and "Traceback" not in said
    assert "no Ray cluster at RAY_ADDRESS=127.0.0.1:1 (" in said

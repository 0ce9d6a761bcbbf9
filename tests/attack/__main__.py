"""Shake a running service for a few minutes and print what it bore: `make attack`.

    PYTHONPATH=tests python -m attack [--seconds N] [--cases N] [--model FOLDER]

Exit status: 0 every bound was kept, 1 one was broken.
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from running_server import Server

from attack import faults, hostile, overload
from attack.bounds import Finding, table
from attack.load import Truth
from attack.properties import property_cases
from models import store

TEXTS = [
    "县委统战部邀请民主党派成员到柳河村调研，帮助村民把山货搬进直播间。",
    "昨夜我市迎来入冬以来首场降雪，气象部门提醒市民出行注意防滑。",
    "市应急管理局对辖区内化工企业开展安全生产大检查，排查隐患二十三处，责令限期整改。",
    "镇党委召开主题教育专题会议，要求各支部落实三会一课制度，发挥党员先锋模范作用。",
    "村里建起冷链仓库和电商服务站，苹果当天下单当天发货，合作社年增收三十万元。" * 4,
]


def findings(folder: Path, model: Path, seconds: float, cases: int) -> Iterator[Finding]:
    """Start the service, attack it in every way, and end it."""
    truth = Truth(model, TEXTS)
    models = folder / "models"
    mine = shutil.copytree(model, models / "mine")
    store.promote(str(mine), models / store.CURRENT.name)
    server = Server(folder / "home", DUANBIAO_MODELS=str(models))
    try:
        server.wait_for("/readyz")
        yield property_cases(str(server.http.base_url), cases, folder)
        yield from overload.attack(server, truth, seconds)
        yield from hostile.attack(server, truth)
        yield from faults.damage_in_place(server, truth, mine)
        yield faults.disk_full(server, truth, model, models)
        yield faults.kill_worker(server, truth)
        yield faults.terminate(server, truth)
    finally:
        server.stop()
    yield faults.damaged_at_start(folder / "damaged", truth, model)


def main() -> int:
    """Run from the command line; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m attack", description="Shake a running service.")
    parser.add_argument("--seconds", type=float, default=120, help="length of the overload (default: 120)")
    parser.add_argument("--cases", type=int, default=1000, help="fuzzed requests to each route at most (default: 1000)")
    parser.add_argument(
        "--model", type=Path, default=store.RELEASED, help="artifact folder (default: the released one)"
    )
    options = parser.parse_args()
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for one in findings(Path(folder), options.model, options.seconds, options.cases):
            print(f"{'ok    ' if one.holds else 'BROKEN'} {one.what}: {one.measured}", file=sys.stderr, flush=True)
            found.append(one)
    print(table(found))
    return 0 if all(one.holds for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())

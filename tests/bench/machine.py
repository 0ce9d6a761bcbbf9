"""The machine that the figures belong to."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

FLAGS = ("avx2", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")
LIBRARIES = ("bentoml", "onnxruntime", "openvino", "tokenizers", "numpy", "torch", "transformers", "aiohttp")


def describe(cores: list[int]) -> list[str]:
    """Return lines on the processor, its instructions, cores, memory and libraries; `cores` are those measured on."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    info = {name.strip(): value.strip() for name, _, value in reversed([line.partition(":") for line in lines])}
    flags = info.get("flags", "").split()
    libraries = [f"{name} {found}" for name in LIBRARIES if (found := _version(name))]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return [
        f"- processor: {info.get('model name', platform.machine())} "
        f"(family {info.get('cpu family', '?')}, model {info.get('model', '?')})",
        f"- has: {', '.join(flag for flag in FLAGS if flag in flags) or 'none of what is looked for'}; "
        f"has not: {', '.join(flag for flag in FLAGS if flag not in flags) or 'nothing of what is looked for'}",
        f"- cores: {os.cpu_count()}, of which {len(cores)} are measured on; {memory:.0f} GB memory; "
        f"load before the run {os.getloadavg()[0]:.1f}",
        f"- Python {platform.python_version()}, {', '.join(libraries)}",
    ]


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""

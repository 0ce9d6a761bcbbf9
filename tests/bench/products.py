"""How fast this machine multiplies matrices of the sizes that our network has."""

import time
from collections.abc import Callable
from typing import Any

TOKENS = (96, 1536)
SHAPES = ((384, 384), (384, 1536), (1536, 384))
"""Rows and columns of the weights of our network."""
PAIRS = 6
"""Pairs of products in the chain given to OpenVINO."""

Rates = dict[str, float]


def measure(seconds: float) -> list[dict[str, Any]]:
    """Measure the rates, in 10^9 operations a second, of each shape on one core; `seconds` for each kind of product.

    Returns rows of tokens, shape and rates by kind. A kind that cannot run here is left out.
    """
    import torch

    torch.set_num_threads(1)
    rows = []
    for tokens in TOKENS:
        for shape in SHAPES:
            with torch.inference_mode():
                rates = _torch_rates(tokens, *shape, seconds) | _openvino_rate(tokens, *shape, seconds)
            rows.append({"tokens": tokens, "shape": shape, "rates": rates})
    return rows


def _torch_rates(tokens: int, width: int, out: int, seconds: float) -> Rates:
    import torch

    left, right = torch.randn(tokens, width), torch.randn(width, out)
    left_half, right_half = left.bfloat16(), right.bfloat16()
    left_byte = torch.randint(-127, 128, (tokens, width), dtype=torch.int8)
    right_byte = torch.randint(-127, 128, (width, out), dtype=torch.int8)
    products = {
        "fp32 torch": lambda: left @ right,
        "bf16 torch": lambda: left_half @ right_half,
        "int8 torch": lambda: torch._int_mm(left_byte, right_byte),
    }
    rates = {}
    for kind, product in products.items():
        try:
            rates[kind] = _rate(product, 2 * tokens * width * out, seconds)
        except RuntimeError:
            continue
    return rates


def _openvino_rate(tokens: int, width: int, out: int, seconds: float) -> Rates:
    """Return the rate of a chain of products, forth and back, each of int8 numbers.

    In a chain, results become int8 again as they do in a network; alone, a product would pay for that.
    """
    try:
        import numpy as np
        import openvino
        from openvino import opset13 as nodes
    except ImportError:
        return {}
    random = np.random.default_rng(0)
    edges = [nodes.constant(np.float32(edge)) for edge in (-1, 127 / 128)]
    given = states = nodes.parameter([tokens, width], np.float32)
    for columns, rows in ((width, out), (out, width)) * PAIRS:
        steps = nodes.constant(random.integers(-127, 128, (rows, columns)).astype(np.int8))
        weights = nodes.multiply(nodes.convert(steps, "f32"), nodes.constant(np.full((rows, 1), 1e-3, np.float32)))
        states = nodes.matmul(nodes.fake_quantize(states, *edges, *edges, 256), weights, False, True)
    options = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1}
    request = openvino.Core().compile_model(openvino.Model([states], [given]), "CPU", options).create_infer_request()
    request.set_input_tensor(openvino.Tensor(random.random((tokens, width), np.float32)))
    return {"int8 OpenVINO": _rate(request.infer, 2 * PAIRS * 2 * tokens * width * out, seconds)}


def _rate(product: Callable[[], object], operations: int, seconds: float) -> float:
    product()
    done, begun = 0, time.perf_counter()
    while (passed := time.perf_counter() - begun) < seconds or not done:
        product()
        done += 1
    return done * operations / passed / 1e9

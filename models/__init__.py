"""The base encoder, the network, the artifact that ships, and inference.

Inference (`models.tagger` and what it imports) needs only numpy, tokenizers and
OpenVINO; modules that need torch say so in their first line.
"""

import os
import sys

# ONNX Runtime, the tests' measure of what is exported, reports its use from 1.29 on, unless told not to before its import.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
# OpenVINO reports its import through this package, which it can do without.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]

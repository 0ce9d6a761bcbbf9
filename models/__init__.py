"""The base encoder, the network, the artifact that ships, and inference.

Inference (`models.tagger` and what it imports) needs only numpy, tokenizers and ONNX
Runtime; modules that need torch say so in their first line.
"""

import os

# ONNX Runtime reports its use over the network from 1.29 on, unless told not to before it is imported.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

"""The base encoder, the network, the artifact that ships, and inference.

Inference (`models.tagger` and what it imports) needs only numpy, tokenizers and ONNX
Runtime; modules that need torch say so in their first line.
"""

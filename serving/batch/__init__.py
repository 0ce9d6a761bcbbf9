"""Batch tagging, `python -m serving.batch IN OUT`: `job` is the whole, `inputs` to `units` read, `spool` to `manifest` write."""

"""How batch tagging scales, on a generated archive: `make scale`."""

"""Review files, which go to an editor and come back: their formats, and the corrections in them."""

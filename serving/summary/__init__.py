"""What a tagged archive holds, `python -m serving.summary IN`: `tag_files` reads, `counts` counts, `drift` compares."""

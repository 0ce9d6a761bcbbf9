"""Use a trained tagger: the REST service and batch tagging. Neither loads torch."""

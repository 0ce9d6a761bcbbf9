"""Text in, text out: topics, articles, paragraphs and annotations. No machine learning here."""

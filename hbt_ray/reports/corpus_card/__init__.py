"""The corpus card: what is in a corpus, what was left out of it and why, as Markdown, JSON and one HTML page."""

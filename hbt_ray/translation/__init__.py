"""Long-form rows in one language -> the same rows in others, by a translation model on every CPU or GPU there is."""

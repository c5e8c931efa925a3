"""Distributed training and tuning of multilingual dense retrievers with hybrid batches (arXiv 2408.10536)."""

__version__ = "0.1.0"

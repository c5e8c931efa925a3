"""Readers of long-form rows, one a kind of input: which units an input has, and the rows of a unit."""

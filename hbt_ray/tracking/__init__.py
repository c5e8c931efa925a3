"""The record of a study in MLflow: runs, curves, parameters, artifacts and plots.

One writer per study (`session`, `writer`): training workers and trial drivers hand it their records by a `handle` and
continue at once. `runs` has the calls on MLflow themselves, blocking and repeatable without duplicates.
"""

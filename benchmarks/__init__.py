"""Benchmarks that anyone can run from a clone; they measure and compare, and never fail for being slow.

Commands: `python -m benchmarks.training | evaluation | prepare | run_files | page`, each with `--help`.

For scripts of other projects these names stay where they are:

- `benchmarks.pairs`: `Pairs`, `real_pairs`, `synthetic_pairs`, `equal_pairs`;
- `benchmarks.steps`: `our_stepper`, `ours`, `bare_loop`, `sentence_transformers_loss`, `side_by_side`.
"""

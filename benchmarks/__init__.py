"""Benchmarks that anyone can run; they measure and compare, and never fail for being slow."""

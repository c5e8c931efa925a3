import numpy as np

from hbt_ray.batches.slices import ARRAYS, SCALARS


def local_slices(source, *, start=0, rank=0, world_size=1):
    """A rank's slices from step `start` on, read in this process (no Ray)."""
    plan, reader = source.open()
    for step in range(start, source.num_steps):
        yield reader.slice(plan.step(step), rank, world_size)


def assert_same(a, b):
    """Two slices are equal in values and types."""
    for name in SCALARS:
        assert getattr(a, name) == getattr(b, name)
        assert type(getattr(a, name)) is type(getattr(b, name))
    for name in ARRAYS:
        assert getattr(a, name).dtype == getattr(b, name).dtype
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))

import numpy as np

from hbt_ray.batches.slices import ARRAYS, SCALARS


def assert_same(a, b):
    """Two slices are equal in values and types."""
    for name in SCALARS:
        assert getattr(a, name) == getattr(b, name)
        assert type(getattr(a, name)) is type(getattr(b, name))
    for name in ARRAYS:
        assert getattr(a, name).dtype == getattr(b, name).dtype
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))

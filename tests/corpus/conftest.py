import numpy as np
import pytest

from hbt_ray.corpus import grouping


@pytest.fixture
def in_process(monkeypatch):
    """Tasks run one after the other, without a cluster."""

    def stream(rows, task, args, **resources):
        for row in rows:
            batch = {name: np.array([value], dtype=object) for name, value in row.items()}
            for table in task(batch, *args):
                yield from table.to_pylist()

    monkeypatch.setattr(grouping, "stream", stream)

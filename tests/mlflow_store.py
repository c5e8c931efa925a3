"""SQLite stores of MLflow for tests."""

import functools
import shutil
import tempfile
from pathlib import Path

from mlflow import MlflowClient


@functools.cache
def _with_tables():
    database = Path(tempfile.mkdtemp(prefix="hbt-store-")) / "mlflow.db"
    MlflowClient(f"sqlite:///{database}").search_experiments()
    return database


def fresh_store(directory, name="mlflow.db"):
    """URI of the store in `directory`, an empty one if there is none (tables are copied: making them takes 1.5 s)."""
    database = Path(directory) / name
    if not database.exists():
        database.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(_with_tables(), database)
    return f"sqlite:///{database}"

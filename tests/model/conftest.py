from collections.abc import Callable
from pathlib import Path

import pytest

from tests.model.models import write_model


@pytest.fixture(scope="session")
def model_directory(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Architecture name -> its Hugging Face directory, written once."""
    root = tmp_path_factory.mktemp("models")

    def directory(architecture: str) -> Path:
        path = root / architecture
        return path if path.exists() else write_model(architecture, path)

    return directory

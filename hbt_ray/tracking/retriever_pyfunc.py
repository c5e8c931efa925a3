"""What `mlflow.pyfunc` loads of a logged encoder; MLflow keeps a copy of this file beside the model.

It needs sentence-transformers alone. `encode` would cut every text at the longer of the two lengths; the methods by
role cut as training does.
"""

from typing import Any

import numpy as np
from sentence_transformers import SentenceTransformer


class Retriever:
    """Texts to vectors, by role."""

    def __init__(self, directory: str) -> None:
        self.model = SentenceTransformer(directory, local_files_only=True)

    def predict(self, texts: Any, params: dict[str, Any] | None = None) -> np.ndarray:
        """Vectors float32 [n, dim] of a list, a column or a table of one; the role is `params["prompt_name"]`."""
        if hasattr(texts, "iloc"):
            texts = texts.to_numpy().ravel().tolist()
        texts = [texts] if isinstance(texts, str) else list(texts)
        role = (params or {}).get("prompt_name") or "query"
        encode = self.model.encode_query if role == "query" else self.model.encode_document
        vectors: np.ndarray = encode(texts, prompt_name=role, show_progress_bar=False)
        return vectors


def _load_pyfunc(path: str, model_config: dict[str, Any] | None = None) -> Retriever:
    """MLflow's entry."""
    return Retriever(path)

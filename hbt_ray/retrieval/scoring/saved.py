"""`Scores` as one compact file, so that models can be compared by their questions long after they were scored.

The file is what `np.savez_compressed` writes, without pickles. Values keep all their bits: a model that is read
again and the same model scored anew must not differ, not even in the last digit, or a paired test would call that
digit a difference.
"""

import io
import zipfile
import zlib
from dataclasses import fields
from typing import Any

import numpy as np

from hbt_ray.errors import EvaluationError
from hbt_ray.retrieval.scoring.bias import LanguageShare
from hbt_ray.retrieval.scoring.rank_metrics import RankMetrics
from hbt_ray.retrieval.scoring.score import PerQuery, Scores

FILE_NAME = "per_query.npz"
PARTS = {"per_query": PerQuery, "standard": RankMetrics}
"""Fields of `Scores` that are themselves dataclasses of arrays."""


def scores_to_bytes(scores: Scores) -> bytes:
    """All of `scores`, its values by query included, as an .npz file that `scores_from_bytes` reads."""
    arrays: dict[str, Any] = {}
    for field in fields(Scores):
        value = getattr(scores, field.name)
        if field.name in PARTS:
            arrays |= {f"{field.name}.{part.name}": getattr(value, part.name) for part in fields(value)}
        elif field.name == "share":
            arrays |= {f"share.{name}": part for name, part in (value._asdict() if value else {}).items()}
        else:
            arrays[field.name] = value
    keys = np.asarray(arrays["per_query.keys"])
    arrays["per_query.keys"] = keys.astype(str) if keys.dtype == object else keys  # objects would need a pickle
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def scores_from_bytes(content: bytes, source: str) -> Scores:
    """The `Scores` that `scores_to_bytes` wrote; `source` names the file in errors.

    Raises EvaluationError for a file that is no such file, is cut off, or was written by another version.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            arrays: dict[str, Any] = {name: file[name] for name in file.files}
        arrays["standard.num_langs"] = int(arrays["standard.num_langs"])
        arrays |= {"name": str(arrays["name"]), "langs": tuple(arrays["langs"].tolist()), "top_k": int(arrays["top_k"])}
        share = {name: arrays[f"share.{name}"] for name in LanguageShare._fields if f"share.{name}" in arrays}
        arrays["share"] = LanguageShare(**share) if share else None
        for name, part in PARTS.items():
            arrays[name] = part(**{field.name: arrays[f"{name}.{field.name}"] for field in fields(part)})
        return Scores(**{field.name: arrays[field.name] for field in fields(Scores)})
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error, AttributeError, KeyError) as error:
        raise EvaluationError(f"{source} is not a whole file of scores ({error}); score the model again.") from None

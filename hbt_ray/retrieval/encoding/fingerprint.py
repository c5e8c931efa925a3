"""What decides a model's vectors, as one name: two models of one name give the same vectors."""

import hashlib
from importlib.metadata import version
from pathlib import Path

from hbt_ray.errors import EvaluationError
from hbt_ray.storage import file_hashes

FORMAT = 1
"""Part of every fingerprint; to be raised where the same model and settings come to mean other vectors."""


def model_fingerprint(model: str | Path, *, pooling: str, prefix: str, max_tokens: int, precision: str) -> str:
    """sha256, in hex, of everything that decides a text's vector; one for both roles where they read alike.

    That is the contents of every file of the model except hidden ones and `.md`, wherever the directory lies, the
    settings as the encoder resolved them, and the version of transformers. Device, number of threads and company
    in a batch are left out: they change the last bits of float32. A file is read once a process as long as its
    path, size and time of change stay the same.

    Args:
        model: a directory, or a hub name whose files are in the local cache, as they are once it was loaded.
        pooling, prefix, max_tokens: of the loaded encoder, for the role in question.
        precision: "fp32" or "bf16", as resolved; "auto" is another one on another machine.

    Raises:
        EvaluationError: no files, or an unresolved precision.
    """
    if precision not in ("fp32", "bf16"):
        raise EvaluationError(f"precision is {precision!r}, but a fingerprint needs what it came to: fp32 or bf16.")
    directory = _model_directory(str(model))
    digest = hashlib.sha256(f"{FORMAT} transformers {version('transformers')}\n".encode())
    digest.update(repr((pooling, prefix, max_tokens, precision)).encode())
    hashes = file_hashes(directory)
    if not hashes:
        raise EvaluationError(f"model {str(model)!r} has no files to tell it by; give the directory of a model.")
    for name, file_hash in hashes:
        digest.update(f"\n{name} {file_hash}".encode())
    return digest.hexdigest()


def _model_directory(model: str) -> Path:
    if Path(model).is_dir():
        return Path(model)
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(model, local_files_only=True))
    except (OSError, ValueError) as error:
        raise EvaluationError(
            f"model {model!r} is neither a directory nor in the local cache of the hub; load it first."
        ) from error

"""Public benchmarks from the network: `KIND:hub` fetches the files of a set once, into the Hugging Face cache.

What was checked against public documentation and code: the layouts of Shitao/MLDR, miracl/miracl,
miracl/miracl-corpus and BeIR/<name>, BeIR/<name>-qrels (data cards, and code that reads them), and all of
`xquad-r` in google-research-datasets/lareqa. google-research-datasets/xquad_r on the hub has the paragraphs
without their sentences, so XQuAD-R comes from the repository of its authors. MLQA-R was taken back there; an
older commit has it, of which en, es and vi were seen.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from urllib.request import urlopen

from huggingface_hub import cached_assets_path, snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

from hbt_ray.errors import EvaluationError, one_line
from hbt_ray.retrieval.sets.lines import first_names
from hbt_ray.storage import write_whole

SECONDS = 60
"""Without an answer for so long, a download gives up."""


@dataclass(frozen=True, kw_only=True)
class HubFiles:
    """Files of one data set of the hub; {lang}, {split} and {name} are filled in."""

    repo: str
    files: tuple[str, ...]
    """Patterns of the paths to fetch."""
    folder: str = ""
    """Directory below that of the set in which they are put."""


@dataclass(frozen=True, kw_only=True)
class Hub:
    """Where the files of a kind of set are, in the layout that its converter reads."""

    name: str
    """What the directory in the cache is called."""
    langs: tuple[str, ...] = ()
    """The languages there are; none where the files are not by language."""
    sources: tuple[HubFiles, ...] = ()
    url: str = ""
    """Where <lang>.json is, for sets that are not on the hub."""
    names: bool = False
    """Whether the option `name` chooses among several data sets."""


LAREQA = "https://raw.githubusercontent.com/google-research-datasets/lareqa"
XQUAD_R = Hub(
    name="xquad_r",
    langs=("ar", "de", "el", "en", "es", "hi", "ru", "th", "tr", "vi", "zh"),
    url=f"{LAREQA}/5405d2a77e83d5ccb47623a3f9e5604c3f103193/xquad-r",
)
MLQA_R = Hub(
    name="mlqa_r",
    langs=("ar", "de", "en", "es", "hi", "vi", "zh"),
    url=f"{LAREQA}/354d67d1cd066854cdfbf5ad0e6105528976141d/mlqa-r",
)
MIRACL = Hub(
    name="miracl",
    langs=("ar", "bn", "de", "en", "es", "fa", "fi", "fr", "hi", "id", "ja", "ko", "ru", "sw", "te", "th", "yo", "zh"),
    sources=(
        HubFiles(
            repo="miracl/miracl",
            files=tuple(
                f"miracl-v1.0-{{lang}}/{kind}/{kind}.miracl-v1.0-{{lang}}-{{split}}.tsv" for kind in ("topics", "qrels")
            ),
        ),
        HubFiles(repo="miracl/miracl-corpus", files=("miracl-corpus-v1.0-{lang}/docs-*.jsonl.gz",)),
    ),
)
MLDR = Hub(
    name="mldr",
    langs=("ar", "de", "en", "es", "fr", "hi", "it", "ja", "ko", "pt", "ru", "th", "zh"),
    sources=(
        HubFiles(repo="Shitao/MLDR", files=("mldr-v1.0-{lang}/corpus.jsonl.gz", "mldr-v1.0-{lang}/{split}.jsonl.gz")),
    ),
)
BEIR = Hub(
    name="beir",
    names=True,
    sources=(
        HubFiles(
            repo="BeIR/{name}",
            files=("corpus.jsonl.gz", "queries.jsonl.gz", "corpus/*.parquet", "queries/*.parquet"),
        ),
        HubFiles(repo="BeIR/{name}-qrels", files=("*.tsv",), folder="qrels"),
    ),
)


def fetch_set(
    hub: Hub,
    langs: Sequence[str],
    split: str = "",
    name: str = "",
    *,
    snapshot: Callable[..., object] = snapshot_download,
    root: Path | None = None,
) -> Path:
    """The directory with the files of a set, fetched where the cache lacks them.

    Args:
        hub: where they are.
        langs: the languages to fetch; a set by language needs one at least, for some have 100 GB.
        split: of the questions.
        name: of the data set, where there are several, such as scifact for BeIR/scifact.
        snapshot: fetches files of a hub repository, as `huggingface_hub.snapshot_download` does.
        root: where the files go; None: the assets of hbt_ray in the Hugging Face cache (HF_HOME).

    Raises:
        EvaluationError: unknown language or name, and if the files cannot be had.
    """
    unknown = [lang for lang in langs if lang not in hub.langs]
    if hub.langs and (unknown or not langs):
        wrong = f"has no {first_names(unknown)}" if unknown else "fetches the languages that are asked for, and none is"
        raise EvaluationError(f"{hub.name}:hub {wrong}; name some of {', '.join(hub.langs)}.")
    if hub.names != bool(name):
        raise EvaluationError(
            f"{hub.name}:hub needs the option name, such as {hub.name}:hub?name=scifact."
            if hub.names
            else f"{hub.name}:hub takes no option name, which is {name!r}; leave it out."
        )
    directory = root or cached_assets_path("hbt_ray", namespace=hub.name, subfolder=name or "default")
    for source in hub.sources:
        _fetch_repo(source, [lang for lang in langs if hub.langs] or [""], split, name, directory, snapshot)
    if hub.url:
        for lang in langs:
            _fetch_url(f"{hub.url}/{lang}.json", directory / f"{lang}.json")
    return directory


def _fetch_repo(
    source: HubFiles, langs: Sequence[str], split: str, name: str, directory: Path, snapshot: Callable[..., object]
) -> None:
    repo = source.repo.format(name=name)
    patterns = [pattern.format(lang=lang, split=split) for pattern in source.files for lang in langs]
    try:
        snapshot(repo, repo_type="dataset", allow_patterns=patterns, local_dir=directory / source.folder)
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise EvaluationError(
            f"the data set {repo} cannot be fetched from the hub ({one_line(error)}); "
            f"go online (and run hf auth login where it asks for a token), or pass a directory with its files."
        ) from error


def _fetch_url(url: str, path: Path) -> None:
    if path.is_file():
        return
    try:
        with urlopen(url, timeout=SECONDS) as answer:
            write_whole(str(path), answer.read())
    except (HTTPException, OSError) as error:
        raise EvaluationError(f"{url} cannot be fetched ({error}); go online, or pass a directory with it.") from error

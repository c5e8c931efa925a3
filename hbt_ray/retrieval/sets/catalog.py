"""Retrieval sets by name: `KIND:DIRECTORY`, or `KIND:hub` to fetch it, and `?option=value&option=value`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from hbt_ray.errors import EvaluationError
from hbt_ray.retrieval.sets import hub
from hbt_ray.retrieval.sets.beir import load_beir
from hbt_ray.retrieval.sets.lareqa import load_lareqa
from hbt_ray.retrieval.sets.lines import known_langs
from hbt_ray.retrieval.sets.longform import load_longform
from hbt_ray.retrieval.sets.miracl import load_miracl
from hbt_ray.retrieval.sets.mldr import load_mldr
from hbt_ray.retrieval.sets.retrieval_set import RetrievalSet
from hbt_ray.retrieval.sets.windows import Chunking
from hbt_ray.storage import absolute

HUB = "hub"
"""In place of a directory: fetch the files into the Hugging Face cache (a directory of this name is `./hub`)."""
TRUNCATED = ("documents are read from their beginning, to the encoder's limit of passage tokens; the rest is cut off.",)

Layout = tuple[tuple[str, ...], ...]
"""What a directory holds: a path that matches some pattern of every group."""
LAREQA_FILES: Layout = (("??.json", "??.json.gz"),)
BEIR_FILES: Layout = (("corpus*.jsonl*", "corpus/*.parquet"), ("queries*", "qrels/*.tsv*"))
MIRACL_FILES: Layout = (("*/topics.*.tsv*", "miracl-v*/topics/topics.*.tsv*", "miracl-corpus-v*/docs-*.jsonl*"),)
MLDR_FILES: Layout = (("*/corpus.jsonl*",), ("*/train.jsonl*", "*/dev.jsonl*", "*/test.jsonl*"))
PARALLEL_FILES: Layout = (("*.parquet",),)


@dataclass(frozen=True, kw_only=True)
class SetKind:
    """One kind of retrieval set."""

    convert: Callable[..., RetrievalSet]
    """(directory, languages or None for all, name=) -> the set; takes `split` and `chunking` where `options` has the
    split, and words and overlap."""
    about: str
    """What it is, for the help of a command."""
    layout: Layout
    options: tuple[str, ...] = ()
    """What may follow the question mark, besides langs: keys of OPTIONS."""
    split: str = ""
    """The split that is read if no option says another; empty where the converter chooses."""
    hub: hub.Hub | None = None
    """Where it is fetched from; None where it cannot be."""

    def allowed(self, fetched: bool) -> list[str]:
        """The options of a set from a directory, or of one that is fetched."""
        return ["langs", *self.options, *(["name"] if fetched and self.hub and self.hub.names else [])]


WINDOWS = ("split", "words", "overlap")
OPTIONS = {
    "langs": "languages, with commas between them; --langs goes before it",
    "split": "of the questions, such as dev, test or train",
    "words": f"length of the windows in which documents are read (default {Chunking().words})",
    "overlap": f"words that a window shares with the next (default {Chunking().overlap})",
    "name": "of the data set on the hub, such as scifact",
}
"""Option -> what it is, for the help of a command."""
_in_context = partial(load_lareqa, in_context=True)
SETS: dict[str, SetKind] = {
    "xquad_r": SetKind(
        convert=load_lareqa, about="XQuAD-R, candidates are sentences", layout=LAREQA_FILES, hub=hub.XQUAD_R
    ),
    "mlqa_r": SetKind(
        convert=load_lareqa, about="MLQA-R, candidates are sentences", layout=LAREQA_FILES, hub=hub.MLQA_R
    ),
    "xquad_r_context": SetKind(
        convert=_in_context, about="XQuAD-R, sentences with their paragraphs", layout=LAREQA_FILES, hub=hub.XQUAD_R
    ),
    "mlqa_r_context": SetKind(
        convert=_in_context, about="MLQA-R, sentences with their paragraphs", layout=LAREQA_FILES, hub=hub.MLQA_R
    ),
    "beir": SetKind(
        convert=load_beir,
        about="BEIR, in one language or several",
        layout=BEIR_FILES,
        options=("split",),
        hub=hub.BEIR,
    ),
    "miracl": SetKind(
        convert=load_miracl, about="MIRACL", layout=MIRACL_FILES, options=("split",), split="dev", hub=hub.MIRACL
    ),
    "mldr": SetKind(
        convert=load_mldr,
        about="MLDR, documents as their best window",
        layout=MLDR_FILES,
        options=WINDOWS,
        split="test",
        hub=hub.MLDR,
    ),
    "mldr_truncate": SetKind(
        convert=partial(load_mldr, notes=TRUNCATED),
        about="MLDR, documents cut to their beginning",
        layout=MLDR_FILES,
        options=("split",),
        split="test",
        hub=hub.MLDR,
    ),
    "longdoc": SetKind(
        convert=load_beir, about="BEIR, documents as their best window", layout=BEIR_FILES, options=WINDOWS
    ),
    "longdoc_truncate": SetKind(
        convert=partial(load_beir, notes=TRUNCATED),
        about="BEIR, documents cut to their beginning",
        layout=BEIR_FILES,
        options=("split",),
    ),
    "parallel": SetKind(convert=load_longform, about="Parquet, a question and a passage a row", layout=PARALLEL_FILES),
}
"""Kind -> how it becomes a retrieval set; `_context` ranks each sentence with its paragraph, as LAReQA's own encoder
read it. `beir` is of one language or several; `mldr` and `longdoc` (a BEIR directory) read documents by windows of
words, with `_truncate` their beginnings; `parallel` is a Parquet file in long form.
"""


def load_set(name: str, langs: Sequence[str] = ()) -> RetrievalSet:
    """The set that `KIND:DIRECTORY` names, e.g. `xquad_r:/data/xquad_r/eval`, in `langs` (empty: all it has).

    `KIND:hub` fetches the files of xquad_r, mlqa_r, miracl, mldr and beir (`beir:hub?name=scifact`); of those by
    language only the languages named. Options follow a question mark: `beir:/data/scifact?split=train`,
    `mldr:hub?langs=de,en&words=300&overlap=60`; `langs` goes with every kind, and gives way to the argument.
    What was left out, cut or pooled to make the set is in its `notes`: show them with the scores.

    Raises:
        EvaluationError: unknown kind or option, a directory that does not hold such a set, files that cannot be
            fetched.
    """
    kind, directory, options = parse_name(name)
    entry = SETS[kind]
    asked = tuple(langs) or tuple(lang for lang in options.get("langs", "").split(",") if lang)
    chosen = known_langs(asked)
    split = options.get("split", entry.split)
    if directory != HUB:
        path = Path(directory)
        check_layout(kind, path)
    elif entry.hub is not None:
        path = hub.fetch_set(entry.hub, chosen, split, options.get("name", ""))
    else:
        known = ", ".join(other for other, one in SETS.items() if one.hub)
        raise EvaluationError(f"{kind}:hub is not known; {known} can be fetched, give a directory for others.")
    return entry.convert(path, chosen or None, name=kind, **_arguments(entry, split, options))


def _arguments(entry: SetKind, split: str, options: Mapping[str, str]) -> dict[str, Any]:
    """What the options are for the converter."""
    arguments: dict[str, Any] = {"split": split} if "split" in entry.options else {}
    sizes = {name: options[name] for name in ("words", "overlap") if name in options}
    for name, size in sizes.items():
        if not size.isdecimal():
            raise EvaluationError(f"option {name} of the retrieval set is {size!r}; give a whole number.")
    if "words" in entry.options:
        arguments["chunking"] = Chunking(**{name: int(size) for name, size in sizes.items()})
    return arguments


def load_sets(names: Sequence[str], langs: Sequence[str] = ()) -> list[RetrievalSet]:
    """`load_set` of each; sets of one kind are told apart by their directories, for scores are filed under the name.

    Raises:
        EvaluationError: as `load_set` does, and where two sets would have one name.
    """
    sets = [load_set(name, langs) for name in names]
    kinds = Counter(rs.name for rs in sets)
    places = [parse_name(name) for name in names]
    titles = [
        rs.name if kinds[rs.name] == 1 else f"{rs.name}-{options.get('name') or Path(place).stem}"
        for rs, (_, place, options) in zip(sets, places, strict=True)
    ]
    if twice := [title for title, times in Counter(titles).items() if times > 1]:
        raise EvaluationError(f"--set names two sets that would both be called {twice[0]!r}; evaluate them one by one")
    return [replace(rs, name=title) for rs, title in zip(sets, titles, strict=True)]


def parse_name(name: str) -> tuple[str, str, dict[str, str]]:
    """(kind, directory, options) of the name of a set; EvaluationError for an unknown kind or option."""
    kind, _, rest = name.partition(":")
    directory, query = _split_query(rest)
    if kind not in SETS or not directory:
        raise EvaluationError(
            f"retrieval set {name!r} is not KIND:DIRECTORY or KIND:hub with KIND one of {', '.join(SETS)}"
        )
    options = dict(part.partition("=")[::2] for part in query.split("&") if part)
    allowed = SETS[kind].allowed(directory == HUB)
    unknown = [option for option in options if option not in allowed]
    if unknown:
        raise EvaluationError(
            f"retrieval set {name!r} has the option {unknown[0]!r}; {kind} takes {', '.join(allowed)}."
        )
    return kind, directory, options


def check_layout(kind: str, directory: Path) -> None:
    """EvaluationError if `directory` is not laid out as `kind`, but as another kind, or one inside it is.

    A directory that looks like nothing known passes: the converter of `kind` says best what it lacks.
    """
    if not directory.is_dir() or _fits(directory, SETS[kind].layout):
        return
    other = next((name for name, entry in SETS.items() if _fits(directory, entry.layout)), None)
    if other is not None:
        raise EvaluationError(
            f"{directory} is no directory for {kind}, but looks like {other}; try {other}:{directory}."
        )
    inner = next((path for path in sorted(directory.iterdir()) if _fits(path, SETS[kind].layout)), None)
    if inner is not None:
        raise EvaluationError(f"{directory} is no directory for {kind}, but {inner.name} in it is; pass {inner}.")


def _fits(directory: Path, layout: Layout) -> bool:
    return all(any(next(directory.glob(pattern), None) for pattern in group) for group in layout)


def sets_help() -> str:
    """Every kind of set and its options, as lines for the help of a command."""
    lines = ["sets and their options: KIND:DIRECTORY?option=value&option=value, or KIND:hub?... of those with +"]
    width = max(map(len, SETS))
    for kind, entry in SETS.items():
        options = [*entry.allowed(False), *(["name (hub)"] if entry.hub and entry.hub.names else [])]
        lines.append(f"{'+' if entry.hub else ' '} {kind:{width}}  {entry.about}: {', '.join(options)}")
    lines.append("options of sets:")
    width = max(map(len, OPTIONS))
    lines += [f"  {option:{width}}  {text}" for option, text in OPTIONS.items()]
    return "\n".join(lines)


def absolute_set(name: str) -> str:
    """`KIND:DIRECTORY` with the directory made absolute; `KIND:hub` as it is."""
    kind, _, place = name.partition(":")
    directory, query = _split_query(place)
    return name if directory == HUB else f"{kind}:{absolute(directory)}{'?' if query else ''}{query}"


def _split_query(place: str) -> tuple[str, str]:
    """`DIRECTORY?option=value&...` as both parts; a question mark may be in the name of a directory that is there."""
    directory, mark, query = place.rpartition("?")
    if not mark or "=" not in query.partition("&")[0] or Path(place).expanduser().exists():
        return place, ""
    return directory, query

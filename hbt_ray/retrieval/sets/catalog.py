"""Retrieval sets by name: `KIND:DIRECTORY`, or `KIND:hub` to fetch it, and `?option=value&option=value`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hbt_ray.errors import EvaluationError
from hbt_ray.retrieval.sets.beir import load_beir
from hbt_ray.retrieval.sets.forms import check_form
from hbt_ray.retrieval.sets.lareqa import CandidateText, load_lareqa
from hbt_ray.retrieval.sets.longform import load_longform
from hbt_ray.retrieval.sets.miracl import load_miracl
from hbt_ray.retrieval.sets.mldr import load_mldr
from hbt_ray.retrieval.sets.retrieval_set import RetrievalSet
from hbt_ray.retrieval.sets.windows import Chunking
from hbt_ray.storage import absolute

HUB = "hub"
"""In place of a directory: fetch the files into the Hugging Face cache (a directory of this name is `./hub`)."""
TRUNCATED = "documents are read from their beginning, to the encoder's limit of passage tokens; the rest is cut off."

Options = Mapping[str, str]
Loader = Callable[[Path, Sequence[str] | None, Options], RetrievalSet]
"""(directory, languages or None for all, options) -> the set."""


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """One kind of retrieval set."""

    load: Loader
    form: str
    """What its directory looks like, a key of `forms.FORMS`."""
    about: str
    """What it is, for the help of a command."""
    options: tuple[str, ...] = ()
    """What may follow the question mark, besides langs: keys of OPTIONS."""
    hub: str = ""
    """Key of `hub.SETS`; empty where nothing can be fetched."""
    hub_options: tuple[str, ...] = ()
    """What may follow the question mark as well where the set is fetched."""
    split: str = ""
    """The split that is fetched if no option says another."""


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
    benchmark = BENCHMARKS[kind]
    chosen = tuple(langs) or tuple(lang for lang in options.get("langs", "").split(",") if lang)
    if directory == HUB:
        from hbt_ray.retrieval.sets.hub import fetch_set

        split = options.get("split", benchmark.split)
        path = fetch_set(benchmark.hub or kind, chosen, split, options.get("name", ""))
    else:
        path = Path(directory)
        check_form(kind, benchmark.form, path)
    return benchmark.load(path, chosen or None, options)


def load_sets(names: Sequence[str], langs: Sequence[str] = ()) -> list[RetrievalSet]:
    """`load_set` of each; sets of one kind are told apart by their directories, for scores are filed under the name.

    Raises:
        EvaluationError: as `load_set` does, and where two sets would have one name.
    """
    sets = [load_set(name, langs) for name in names]
    kinds = Counter(found.name for found in sets)
    places = [parse_name(name) for name in names]
    titles = [
        found.name if kinds[found.name] == 1 else f"{found.name}-{options.get('name') or Path(place).stem}"
        for found, (_, place, options) in zip(sets, places, strict=True)
    ]
    if twice := [title for title, times in Counter(titles).items() if times > 1]:
        raise EvaluationError(f"--set names two sets that would both be called {twice[0]!r}; evaluate them one by one")
    return [replace(found, name=title) for found, title in zip(sets, titles, strict=True)]


def parse_name(name: str) -> tuple[str, str, dict[str, str]]:
    """(kind, directory, options) of the name of a set; EvaluationError for an unknown kind or option."""
    kind, _, rest = name.partition(":")
    directory, _, query = rest.partition("?")
    if kind not in BENCHMARKS or not directory:
        raise EvaluationError(
            f"retrieval set {name!r} is not KIND:DIRECTORY or KIND:hub with KIND one of {', '.join(BENCHMARKS)}"
        )
    options = dict(part.partition("=")[::2] for part in query.split("&") if part)
    allowed = _allowed(kind, directory == HUB)
    unknown = [option for option in options if option not in allowed]
    if unknown:
        raise EvaluationError(
            f"retrieval set {name!r} has the option {unknown[0]!r}; {kind} takes {', '.join(allowed)}."
        )
    return kind, directory, options


def sets_help() -> str:
    """Every kind of set and its options, as lines for the help of a command."""
    lines = ["sets and their options: KIND:DIRECTORY?option=value&option=value, or KIND:hub?... of those with +"]
    width = max(map(len, BENCHMARKS))
    for kind, benchmark in BENCHMARKS.items():
        options = [*_allowed(kind, False), *(f"{option} (hub)" for option in benchmark.hub_options)]
        lines.append(f"{'+' if benchmark.hub else ' '} {kind:{width}}  {benchmark.about}: {', '.join(options)}")
    lines.append("options of sets:")
    width = max(map(len, OPTIONS))
    lines += [f"  {option:{width}}  {text}" for option, text in OPTIONS.items()]
    return "\n".join(lines)


def _allowed(kind: str, hub: bool) -> list[str]:
    benchmark = BENCHMARKS[kind]
    return ["langs", *benchmark.options, *(benchmark.hub_options if hub else ())]


def _lareqa(name: str, hub: str, about: str, candidates: CandidateText = "sentence") -> Benchmark:
    return Benchmark(
        load=lambda path, langs, options: load_lareqa(path, langs, candidates, name),
        form="xquad_r",
        about=about,
        hub=hub,
    )


def _longdoc(directory: Path, langs: Sequence[str] | None, options: Options) -> RetrievalSet:
    return load_beir(directory, langs, options.get("split", ""), _chunking(options), "longdoc")


def _longdoc_truncate(directory: Path, langs: Sequence[str] | None, options: Options) -> RetrievalSet:
    return load_beir(directory, langs, options.get("split", ""), name="longdoc_truncate", notes=(TRUNCATED,))


def _mldr(directory: Path, langs: Sequence[str] | None, options: Options) -> RetrievalSet:
    return load_mldr(directory, langs, options.get("split", "test"), _chunking(options))


def _mldr_truncate(directory: Path, langs: Sequence[str] | None, options: Options) -> RetrievalSet:
    return load_mldr(directory, langs, options.get("split", "test"), name="mldr_truncate", notes=(TRUNCATED,))


def _chunking(options: Options) -> Chunking:
    fallback = Chunking()
    return Chunking(
        words=_whole_number("words", options, fallback.words),
        overlap=_whole_number("overlap", options, fallback.overlap),
    )


def _whole_number(option: str, options: Options, fallback: int) -> int:
    value = options.get(option, str(fallback))
    if not value.isdecimal():
        raise EvaluationError(f"option {option} of the retrieval set is {value!r}; give a whole number.")
    return int(value)


CHUNK_OPTIONS = ("split", "words", "overlap")
OPTIONS = {
    "langs": "languages, with commas between them; --langs goes before it",
    "split": "of the questions, such as dev, test or train",
    "words": f"length of the windows in which documents are read (default {Chunking().words})",
    "overlap": f"words that a window shares with the next (default {Chunking().overlap})",
    "name": "of the data set on the hub, such as scifact",
}
"""Option -> what it is, for the help of a command."""
BENCHMARKS: dict[str, Benchmark] = {
    "xquad_r": _lareqa("xquad_r", "xquad_r", "XQuAD-R, candidates are sentences"),
    "mlqa_r": _lareqa("mlqa_r", "mlqa_r", "MLQA-R, candidates are sentences"),
    "xquad_r_context": _lareqa(
        "xquad_r_context", "xquad_r", "XQuAD-R, sentences with their paragraphs", "sentence_in_context"
    ),
    "mlqa_r_context": _lareqa(
        "mlqa_r_context", "mlqa_r", "MLQA-R, sentences with their paragraphs", "sentence_in_context"
    ),
    "beir": Benchmark(
        load=lambda path, langs, options: load_beir(path, langs, options.get("split", "")),
        form="beir",
        about="BEIR, in one language or several",
        options=("split",),
        hub="beir",
        hub_options=("name",),
    ),
    "miracl": Benchmark(
        load=lambda path, langs, options: load_miracl(path, langs, options.get("split", "dev")),
        form="miracl",
        about="MIRACL",
        options=("split",),
        hub="miracl",
        split="dev",
    ),
    "mldr": Benchmark(
        load=_mldr,
        form="mldr",
        about="MLDR, documents as their best window",
        options=CHUNK_OPTIONS,
        hub="mldr",
        split="test",
    ),
    "mldr_truncate": Benchmark(
        load=_mldr_truncate,
        form="mldr",
        about="MLDR, documents cut to their beginning",
        options=("split",),
        hub="mldr",
        split="test",
    ),
    "longdoc": Benchmark(
        load=_longdoc, form="beir", about="BEIR, documents as their best window", options=CHUNK_OPTIONS
    ),
    "longdoc_truncate": Benchmark(
        load=_longdoc_truncate, form="beir", about="BEIR, documents cut to their beginning", options=("split",)
    ),
    "parallel": Benchmark(
        load=lambda path, langs, options: load_longform(path, langs),
        form="parallel",
        about="Parquet, a question and a passage a row",
    ),
}
"""Kind -> how to load it; `_context` ranks each sentence with its paragraph, as LAReQA's own encoder read it. `beir`
is of one language or several; `mldr` and `longdoc` (a BEIR directory) read documents by windows of words, with
`_truncate` their beginnings; `parallel` is a Parquet file in long form."""


def absolute_set(name: str) -> str:
    """`KIND:DIRECTORY` with the directory made absolute; `KIND:hub` as it is."""
    kind, _, place = name.partition(":")
    return name if place.partition("?")[0] == HUB else f"{kind}:{absolute(place)}"

"""The built-in sample corpus: 3,218 question-passage items, each in eleven languages, with 240 dev items.

Names are those of the Unicode CLDR (Unicode License v3, `sample.LICENSE` beside this file); the phrasings are this
project's. Train and dev items share no entity: a territory's items are all train or all dev and no pair of territories
has a dev one; a combination (a weekday in a month, two languages, ...) is an entity of its own.
"""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

SAMPLE_LANGS = ("en", "es", "de", "el", "ru", "tr", "ar", "vi", "th", "zh", "hi")


def read_sample() -> pa.Table:
    """All rows by language, in order of id: id, source, lang, question, passage, answer (strings) and dev (bool)."""
    return pq.read_table(Path(__file__).with_name("sample.parquet")).replace_schema_metadata()


def write_sample(directory: Path) -> None:
    """Write `<lang>.parquet` for every language and then `dev_ids.txt` (one id a line) into `directory`."""
    rows = read_sample()
    directory.mkdir(parents=True, exist_ok=True)
    for lang in SAMPLE_LANGS:
        table = rows.filter(pc.equal(rows["lang"], lang)).drop_columns("dev").combine_chunks()
        pq.write_table(table, directory / f"{lang}.parquet")
    dev_ids = sorted(rows.filter(rows["dev"])["id"].unique().to_pylist())
    (directory / "dev_ids.txt").write_text("".join(f"{item_id}\n" for item_id in dev_ids), encoding="utf-8")

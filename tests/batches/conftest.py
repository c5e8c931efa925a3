import pytest

from tests.corpus.build import item_order, long_rows, write_corpus


class Written:
    """A corpus on disk with the rows it was made of."""

    def __init__(self, directory, monkeypatch, num_negatives=0):
        self.rows = long_rows(150, ("de", "en", "hi", "zh-Hant"), ("a", "b", "c"))
        self.corpus = write_corpus(directory, self.rows, num_negatives=num_negatives, monkeypatch=monkeypatch)
        self.ids = item_order(self.rows)
        self.row = {(row["id"], row["lang"]): row for row in self.rows}

    def text(self, item, lang, name):
        """Of item number `item` in the language at position `lang`."""
        return self.row[self.ids[item], self.corpus.manifest.langs[lang]][name]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    with pytest.MonkeyPatch.context() as monkeypatch:
        return Written(tmp_path_factory.mktemp("corpus"), monkeypatch)

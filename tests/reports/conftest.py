import os
import re
from pathlib import Path

import pytest

SNAPSHOTS = Path(__file__).parent / "snapshots"


@pytest.fixture
def same_words():
    """Compares the sentences of a report, each once, with its snapshot; other tests hold its numbers."""

    def check(name, lines):
        masked = [re.sub(r"[+-]?\d+(,\d{3})*(\.\d+)?", "#", " ".join(line.split())) for line in lines]
        sentences = "\n".join(dict.fromkeys(line for line in masked if len(line.split()) > 3)) + "\n"
        if os.environ.get("RENEW_SNAPSHOTS"):
            (SNAPSHOTS / name).write_text(sentences)
        hint = f"if {name} should read so: RENEW_SNAPSHOTS=1 pytest tests/reports, and look at the diff"
        assert sentences == (SNAPSHOTS / name).read_text(), hint

    return check

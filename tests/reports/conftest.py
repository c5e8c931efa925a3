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
        sentences = [line for line in dict.fromkeys(masked) if len(re.findall(r"[A-Za-z]{2,}", line)) > 3]
        text = "\n".join([*sentences, ""])
        if os.environ.get("RENEW_SNAPSHOTS"):
            (SNAPSHOTS / name).write_text(text)
        hint = f"if {name} should read so: RENEW_SNAPSHOTS=1 pytest tests/reports, and look at the diff"
        assert text == (SNAPSHOTS / name).read_text(), hint

    return check

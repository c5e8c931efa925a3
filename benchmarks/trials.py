"""What a trial of a study costs beyond its training steps: its own time less that of the steps."""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hbt_ray.config.load import load_recipe
from hbt_ray.errors import EvaluationError
from hbt_ray.study.directory import StudyDirectory

RECIPE = Path(__file__).parents[1] / "jobs" / "recipes" / "sample.yaml"
STEPS, LOG_EVERY = 60, 10
OVERRIDES = (
    f"train.steps={STEPS}",
    "train.eval_every=0",
    f"train.log_every={LOG_EVERY}",
    "evaluation.max_dev_items=20",
    "tune.max_concurrent=1",
    "tune.space={plan.alpha: [0.0, 0.25, 0.5, 1.0]}",
    "tune.baselines=[]",
)


def trial_times(num_workers: int) -> list[dict[str, Any]]:
    """A study of four trials, one at a time, on the built-in sample; seconds of each trial in order of start."""
    with tempfile.TemporaryDirectory() as workspace:
        job = RECIPE.parents[1] / "tune.py"
        command = [sys.executable, str(job), "--recipe", str(RECIPE), f"workspace={workspace}", *OVERRIDES]
        command.append(f"resources.num_workers={num_workers}")
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise EvaluationError(f"jobs/tune.py ended with status {done.returncode}: {done.stderr[-500:]}")
        runs = StudyDirectory(f"{workspace}/runs/{load_recipe(RECIPE, []).name}").runs()
        batch_size = load_recipe(RECIPE, []).plan.batch_size
        rows = []
        for number, run in enumerate(runs, 1):
            speeds = run.curves()["train/pairs_per_s"].values()
            training = sum(LOG_EVERY * batch_size / speed for speed in speeds)
            whole = (run.end["time_ms"] - run.begun_ms) / 1000
            names = ("workers", "trial", "s", "training s", "beyond s")
            rows.append(dict(zip(names, (num_workers, number, whole, training, whole - training), strict=True)))
    return rows

"""In the driver of a study: says how trials go, and records how they end."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hbt_ray.records import read_run
from hbt_ray.study.points import TrialSpec
from hbt_ray.study.trials import Trial
from hbt_ray.training.run import MODEL, checkpoint_name

if TYPE_CHECKING:
    from hbt_ray.study.study import Study

SHOWN = ("dev/mono_map", "dev/cross_map", "dev/pool_map", "dev/rank_distance")


def make_watch(
    study: Study, session: str, spec_of: Callable[[dict[str, Any]], TrialSpec], report: Callable[[str], None]
) -> Any:
    """A Ray Tune callback for the call `session`; `spec_of` tells the trial that a Tune configuration stands for."""
    from ray.tune import Callback

    def num_steps(spec: TrialSpec) -> int:
        return spec.recipe(study.recipe).train.steps

    class Watch(Callback):  # type: ignore[misc]
        """`running` trials by Tune's id, and how many have ended."""

        running: dict[str, TrialSpec]
        num_ended: int

        def progress(self) -> dict[str, tuple[str, int]]:
            """Directory -> (label, number of steps) of the running trials."""
            specs = list(self.running.values())
            return {study.directory.of_trial(spec): (spec.label, num_steps(spec)) for spec in specs}

        def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            spec = spec_of(trial.config)
            again = trial.trial_id in self.running
            self.running[trial.trial_id] = spec
            if not again:
                report(f"{spec.label}: started")
                return
            known = study.directory.result(spec)
            if known is None:
                report(f"{spec.label}: its driver died; started again")
            elif known.session != session:  # else it has failed for good, and Tune only asks once more
                report(f"{spec.label}: {known.error}; started again")

        def on_trial_result(
            self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
        ) -> None:
            if "step" not in result:
                return
            spec = spec_of(trial.config)
            scores = [f"{name.split('/')[-1]} {result[name]:.4f}" for name in SHOWN if name in result]
            report(f"{spec.label}: step {result['step']}/{num_steps(spec)} {', '.join(scores)}")

        def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            spec = self._end(trial)
            if study.directory.result(spec) is None:  # stopped by the scheduler, perhaps at its very last step
                last = trial.last_result or {}
                step = int(last.get("step", 0))
                early = step < num_steps(spec)
                metrics = {name: float(value) for name, value in last.items() if "/" in name and _is_number(value)}
                model = f"{study.directory.path}/{spec.name}/{checkpoint_name(step)}/{MODEL}"
                study.directory.save(Trial(spec, "stopped" if early else "finished", step, metrics, model))
                if early:
                    report(f"{spec.label}: stopped early at step {step}")

        def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            spec = self._end(trial)
            known = study.directory.result(spec)
            line = known.error if known else "the trial's driver died; see the logs of the Ray session"
            study.directory.save(Trial(spec, "failed", 0, {}, error=line, session=session))
            report(f"{spec.label}: FAILED: {line}")

        def _end(self, trial: Any) -> TrialSpec:
            self.num_ended += 1
            spec = self.running.pop(trial.trial_id, None) or spec_of(trial.config)
            run = read_run(study.directory.of_trial(spec))
            for line in run.notes:
                report(f"{spec.label}: {line}")
            if not run.start:  # its driver died before it could begin
                study.begin_trial(spec)
            return spec

    watch = Watch()
    watch.running, watch.num_ended = {}, 0
    return watch


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)

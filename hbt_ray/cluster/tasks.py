"""The one runner of tasks on the cluster: items stream through Ray Data, and each failure there is one line.

Items and results are any Python values that can be pickled. Each travels as a block of its own, so a task or an actor
has one item at a time, and whichever is free takes the next.
"""

from __future__ import annotations

import logging
import pickle
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from hbt_ray import errors
from hbt_ray.errors import ClusterError

if TYPE_CHECKING:
    from ray.data import Dataset

WAIT_S = 600.0
"""For the first actor to have its place and its model."""
RETRIES = 3
"""Times that a lost actor or its item is started again; Ray Data's own default is for ever."""
IN_FLIGHT = 2
"""Items of an actor: the one that it works on, and the next."""
VALUE = "value"


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A step of `stream`."""

    work: Callable[..., Any]
    """Gives the results of an item: a function of (item, *args), or a class of actors that are made with `args`."""
    args: tuple[Any, ...] = ()
    num_cpus: float = 1
    num_gpus: float = 0
    num_at_once: int | None = None
    """Tasks, or actors, at most; actors need a number, and start as places become free."""
    retries: int = RETRIES
    """Restarts of an actor, and of the item that it was at."""


def stream(
    items: Sequence[Any], *stages: Stage, what: str, ordered: bool = True, wait_s: float = WAIT_S
) -> Iterator[Any]:
    """The results of the last stage; each stage takes what the one before gives, while that still runs.

    Args:
        items: of the first stage.
        stages: one or more.
        what: name of the work, for errors: "encoding".
        ordered: results in the order of their items; else as they arrive.
        wait_s: seconds for the first actor of a stage to start; others may take their places from it.

    Raises:
        HbtError: of a task, as it is.
        ClusterError: no actor got its place in time, or another failure of Ray.
    """
    import ray

    if not items:
        return
    quiet_data_context()
    rows = [{VALUE: pickle.dumps(item)} for item in items]
    # The items lie in the object store from the start: `from_arrow` would run tasks, which may wait for CPUs for ever.
    dataset = ray.data.from_items(rows, override_num_blocks=len(rows))
    context = dataset.context  # a copy of the settings, for this data set alone
    context.execution_options.preserve_order = ordered
    context.wait_for_min_actors_s = wait_s
    if len(stages) > 1:
        context.target_max_block_size = 1  # each result is a block: the next stage takes one at a time
    with warnings.catch_warnings():
        # Ray 2.60 deprecates all options of actors and names no other way to end their restarts.
        warnings.filterwarnings("ignore", "`ray_remote_args` is deprecated")
        for stage in stages:
            dataset = _through(dataset, stage)
    with remote_errors(what, wait_s):
        for row in dataset.iter_rows():
            yield pickle.loads(row[VALUE])


class Shared:
    """A value in the object store, fetched once a node: for arguments of gigabytes. Ray must be connected."""

    def __init__(self, value: Any) -> None:
        import ray

        self._reference = ray.put(value)

    def get(self) -> Any:
        """The value."""
        import ray

        return ray.get(self._reference)


def quiet_data_context() -> None:
    """Settings of Ray Data in this process: order kept (the plan needs it), no progress bars and logs of its own."""
    from ray.data import DataContext

    context = DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    # Errors come out as exceptions; Ray Data would print each with its own stack as well.
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)


@contextmanager
def remote_errors(what: str, wait_s: float = WAIT_S) -> Iterator[None]:
    """`unwrapped`, and errors of Ray itself (a lost node, no place in `wait_s` seconds) as a ClusterError."""
    from ray.data.exceptions import ExecutionTimeoutError
    from ray.exceptions import GetTimeoutError, RayError

    resumes = "finished work is kept, and the same command resumes"
    try:
        with unwrapped():
            yield
    except GetTimeoutError:
        raise ClusterError(
            f"no worker for {what} has started in {wait_s:g} s: the cluster's CPUs or GPUs are taken, or the model "
            f"loads very slowly; wait for other jobs, or ask for fewer CPUs a worker ({resumes})"
        ) from None
    except (RayError, ExecutionTimeoutError) as error:
        raise ClusterError(f"{what} on the cluster failed ({first_error(str(error))}); {resumes}") from error


@contextmanager
def unwrapped() -> Iterator[None]:
    """Raise an `HbtError` of a remote task as itself, on one line, instead of Ray's tracebacks within tracebacks."""
    try:
        yield
    except Exception as error:
        cause = find_cause(error)
        if cause is None or cause is error:
            raise
        raise cause from None


def find_cause(error: BaseException | None) -> errors.HbtError | None:
    """The `HbtError` inside a chain of causes, also where Ray kept nothing of it but its text.

    Ray's error for one is of both kinds, and not the one that was raised.
    """
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if type(error).__module__ == errors.__name__ and isinstance(error, errors.HbtError):
            return error
        if match := re.search(r"hbt_ray\.errors\.(\w+Error): (.+)", str(error)):
            kind = getattr(errors, match[1], None)
            if kind is not None:
                cause: errors.HbtError = kind(match[2].strip())
                return cause
        error = getattr(error, "cause", None) or error.__cause__ or error.__context__
    return None


def first_error(text: str) -> str:
    """The line of the first error in a stack of them, in which causes come first."""
    named = re.findall(r"^[\w.]*(?:Error|Exception): .+$", text, flags=re.MULTILINE)
    return errors.one_line(named[0] if named else text, 200)


def _through(dataset: Dataset, stage: Stage) -> Dataset:
    import ray

    options = {"batch_size": 1, "batch_format": "pyarrow", "num_cpus": stage.num_cpus, "num_gpus": stage.num_gpus}
    if not isinstance(stage.work, type):
        return dataset.map_batches(_task(stage.work), fn_args=stage.args, concurrency=stage.num_at_once, **options)
    return dataset.map_batches(
        type(stage.work.__name__, (_Actor,), {"work": stage.work}),  # Ray names the actor after it
        fn_constructor_args=stage.args,
        compute=ray.data.ActorPoolStrategy(
            min_size=1, max_size=stage.num_at_once, max_tasks_in_flight_per_actor=IN_FLIGHT
        ),
        max_restarts=stage.retries,
        max_task_retries=stage.retries,
        **options,
    )


def _task(work: Callable[..., Iterable[Any]]) -> Callable[..., Iterator[pa.Table]]:
    def each(batch: pa.Table, *args: Any) -> Iterator[pa.Table]:
        yield from _results(batch, lambda item: work(item, *args))

    each.__name__ = work.__name__
    return each


class _Actor:
    work: type

    def __init__(self, *args: Any) -> None:
        self._work = self.work(*args)

    def __call__(self, batch: pa.Table) -> Iterator[pa.Table]:
        yield from _results(batch, self._work)


def _results(batch: pa.Table, work: Callable[[Any], Iterable[Any]]) -> Iterator[pa.Table]:
    for item in batch[VALUE].to_pylist():
        for result in work(pickle.loads(item)):
            yield pa.table({VALUE: pa.array([pickle.dumps(result)], pa.binary())})

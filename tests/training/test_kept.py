"""Checkpoints on disk: which one a run is resumed from when some are damaged, cut off or lost."""

import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest

from hbt_ray.config.load import build_recipe
from hbt_ray.errors import ClusterError, ConfigError
from hbt_ray.records import RunRecords
from hbt_ray.training.run import DIGESTS, RunSpec, checkpoint_name, keep_checkpoint, kept_steps, last_checkpoint


@pytest.fixture(params=["local", "memory"])
def spec(request, tmp_path):
    storage = str(tmp_path) if request.param == "local" else f"memory://{tmp_path.name}"
    return RunSpec(build_recipe({"name": "t"}), "corpus", "base", "t", storage)


def save(step):
    def write(directory):
        (directory / "model").mkdir()
        (directory / "model" / "model.safetensors").write_bytes(bytes([step]) * 1000)
        (directory / "optimizer.pt").write_bytes(b"moments")
        (directory / "state.json").write_text(str(step))

    return write


def make(spec, *steps):
    for step in steps:
        keep_checkpoint(spec, step, save(step))
        RunRecords(spec.directory).append("checkpoint", step=step)


def resumed(spec):
    """(step of the checkpoint that is taken, notes)."""
    notes = []
    with last_checkpoint(spec, notes.append) as directory:
        return (int((directory / "state.json").read_text()) if directory else None), notes


def damage(spec, step, file, change):
    import fsspec

    fs, path = fsspec.core.url_to_fs(f"{spec.checkpoint(step)}/{file}")
    content = change(fs.cat_file(path))
    fs.rm_file(path)
    if content is not None:
        fs.pipe_file(path, content)


def flipped(content):
    return content[:500] + bytes([content[500] ^ 1]) + content[501:]


def test_the_last_two_are_kept_and_the_newest_is_taken(spec):
    assert resumed(spec) == (None, [])
    make(spec, 5, 10, 15)
    assert kept_steps(spec) == [15, 10]
    assert resumed(spec) == (15, [])


@pytest.mark.parametrize(
    ("file", "change", "said"),
    [
        ("model/model.safetensors", flipped, "model/model.safetensors is not what was written"),
        ("optimizer.pt", lambda content: content[:-1], "optimizer.pt is not what was written"),
        ("state.json", lambda content: b"", "state.json is not what was written"),
        ("optimizer.pt", lambda content: None, "optimizer.pt is missing"),
        (DIGESTS, lambda content: content[:-5], "digests.json is missing or cut off"),
    ],
)
def test_a_damaged_one_is_named_and_the_one_before_is_taken(spec, file, change, said):
    make(spec, 5, 10)
    damage(spec, 10, file, change)
    step, (note,) = resumed(spec)
    assert step == 5
    assert note == f"{spec.checkpoint(10)}: {said}; the checkpoint before it is taken"
    make(spec, 10)  # it is made again
    assert (kept_steps(spec), resumed(spec)) == ([10, 5], (10, []))


def test_a_run_without_any_that_can_be_used_does_not_begin_again_by_itself(spec):
    make(spec, 5, 10)
    for step in (5, 10):
        damage(spec, step, "state.json", lambda content: b"{}")
    with pytest.raises(ConfigError, match=r"step-0000010: state\.json is not what was written; .*step-0000005: state"):
        resumed(spec)
    import fsspec

    fs, path = fsspec.core.url_to_fs(spec.directory)
    for step in (5, 10):
        fs.rm(f"{path}/{checkpoint_name(step)}", recursive=True)
    with pytest.raises(ConfigError, match=r"no checkpoint that can be used \(they were removed\)"):
        resumed(spec)


def test_what_was_being_written_is_no_checkpoint(tmp_path):
    spec = RunSpec(build_recipe({"name": "t"}), "corpus", "base", "t", str(tmp_path))

    def die(directory):
        save(5)(directory)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        keep_checkpoint(spec, 5, die)
    (Path(spec.directory) / ".step-0000005.part").mkdir()  # of a process that was killed
    assert (kept_steps(spec), resumed(spec)) == ([], (None, []))
    make(spec, 5)
    assert os.listdir(spec.directory) == ["step-0000005", "records"] or len(os.listdir(spec.directory)) == 2


def test_a_full_file_system_is_named_and_nothing_is_left(spec):
    make(spec, 5)

    def full(directory):
        (directory / "model").mkdir()
        (directory / "model" / "model.safetensors").write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(ClusterError, match=r"step-0000010 cannot be written: no space is left.*resumes from the"):
        keep_checkpoint(spec, 10, full)
    assert (kept_steps(spec), resumed(spec)) == ([5], (5, []))
    assert not list(Path(spec.storage).glob("t/.*")) if "://" not in spec.storage else True

    def other(directory):
        raise ValueError("of another kind")

    with pytest.raises(ValueError, match="of another kind"):
        keep_checkpoint(spec, 10, other)


def test_a_file_system_that_is_really_full(tmp_path):
    """On a tmpfs of 1 MiB, as far as this user may mount one."""
    import subprocess

    place = tmp_path / "small"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], capture_output=True).returncode:
        pytest.skip("this user may not mount a tmpfs")
    try:
        spec = replace(RunSpec(build_recipe({"name": "t"}), "corpus", "base", "t", str(place)))
        make(spec, 5)

        def large(directory):
            import torch

            torch.save({"moments": torch.zeros(1_000_000)}, directory / "optimizer.pt")

        with pytest.raises(ClusterError, match="no space is left"):
            keep_checkpoint(spec, 10, large)
        assert resumed(spec) == (5, [])
    finally:
        subprocess.run(["umount", str(place)], check=True)

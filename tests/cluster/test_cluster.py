"""`cluster.yaml`: valid for Ray's launcher, pinned to the tested versions, closed to the world. All offline.

`problems` holds what Ray's own schema lets through; the broken copies prove that it would notice.
"""

import copy
import re
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PROVIDER_KEYS = {"type", "region", "availability_zone", "cache_stopped_nodes", "use_internal_ips"}
TOKEN_PATH = "/home/ray/hbt_auth/auth_token"


@pytest.fixture
def config():
    return yaml.safe_load((ROOT / "cluster.yaml").read_text())


@pytest.fixture(scope="session")
def pins():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    found = dict(line.split("==", 1) for line in lines if re.match(r"[\w.-]+==\S+$", line))
    return {name: found[name] for name in ("ray", "torch")}


def texts(value):
    """Every string in a nested value."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from texts(key)
            yield from texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)
    elif isinstance(value, str):
        yield value


def setup_lists(config):
    """The setup commands of the head, of workers in general, and of the types that replace these."""
    yield config["head_setup_commands"]
    yield config["worker_setup_commands"]
    for node in config["available_node_types"].values():
        if "worker_setup_commands" in node:
            yield node["worker_setup_commands"]


def problems(config, pins):
    """Everything that is wrong although Ray's schema accepts it, one line each."""
    return [*sizes(config), *versions(config, pins), *access(config)]


def sizes(config):
    head, types = config["head_node_type"], config["available_node_types"]
    for key in config["provider"].keys() - PROVIDER_KEYS:
        yield f"provider.{key}: not a key that this file uses"
    if config["provider"]["type"] != "aws" or not config["provider"].get("region"):
        yield "provider: type aws and a region are needed"
    if config["max_workers"] < 1:
        yield "max_workers: no worker could start"
    for name, node in types.items():
        low, high = node.get("min_workers", 0), node.get("max_workers", 0)
        if not 0 <= low <= high <= config["max_workers"]:
            yield f"{name}: 0 <= min_workers <= max_workers <= {config['max_workers']} does not hold"
        for resource, amount in node["resources"].items():
            if type(amount) is not int or amount < 0:
                yield f"{name}: resource {resource}: {amount!r} is not a count"
    if not any(node.get("max_workers", 0) and node["resources"].get("GPU") for node in types.values()):
        yield "no type with a GPU may start"
    if not any(node.get("min_workers", 0) and node["resources"].get("CPU") for node in types.values()):
        yield "no CPU is always there for Ray Data"
    if types[head]["resources"].get("CPU") != 0 or "GPU" in types[head]["resources"]:
        yield "the head takes tasks"
    drivers = {name: node["resources"].get("hbt_driver", 0) for name, node in types.items()}
    if drivers != {name: 64 if name == head else 0 for name in types}:
        yield f"hbt_driver: {drivers}, must be 64 on the head and nothing elsewhere"
    if "InstanceMarketOptions" in types[head]["node_config"]:
        yield "the head is preemptible"


def versions(config, pins):
    images = [text for text in texts(config) if text.startswith("rayproject/")]
    allowed = {f"rayproject/ray:{pins['ray']}-py311-{kind}" for kind in ("cpu", "gpu")}
    for image in images:
        if image not in allowed:
            yield f"image {image}: not one of {sorted(allowed)}"
    if len(images) != 3:
        yield f"{len(images)} images, expected one for the head, GPU workers and CPU workers each"
    for commands in setup_lists(config):
        torch = re.findall(r"torch==(\S+)", " ".join(commands))
        if torch != [pins["torch"]]:
            yield f"torch {torch} is installed, {pins['torch']} is tested"
        if not any("-c /home/ray/hbt_dist/constraints.txt" in line and "hbt_ray-" in line for line in commands):
            yield "the project is not installed under its constraints"
    if "/home/ray/hbt_dist" not in config["file_mounts"]:
        yield "the project is not brought to the nodes"


def access(config):
    options = config["docker"].get("run_options", [])
    if "-e RAY_AUTH_MODE=token" not in options:
        yield "token authentication is not on for every container"
    if f"-e RAY_AUTH_TOKEN_PATH={TOKEN_PATH}" not in options:
        yield "the containers do not know where the token is"
    if str(Path(TOKEN_PATH).parent) not in config["file_mounts"]:
        yield "the token is not brought to the nodes"
    if any("RAY_AUTH_MODE" in text and "token" not in text for text in texts(config)):
        yield "token authentication is switched off somewhere"
    if any("RAY_AUTH_TOKEN=" in text for text in texts(config)):
        yield "a token is written into the file"
    for text in texts(config):
        if "0.0.0.0" in text or "::/0" in text:
            yield f"open to the world: {text}"
    for name, node in config["available_node_types"].items():
        if not node["node_config"].get("SecurityGroupIds"):
            yield f"{name}: without SecurityGroupIds Ray makes a group with SSH open to the world"
    starts = " ".join(config["head_start_ray_commands"])
    hosts = re.findall(r"--(?:dashboard-)?host[= ](\S+)", starts)
    if hosts != ["127.0.0.1", "127.0.0.1"] or "--dashboard-host=" not in starts:
        yield f"the dashboard and MLflow must listen on loopback, not on {hosts}"
    if "--allowed-hosts" not in starts or "s3://" not in starts or "sqlite:////" not in starts:
        yield "MLflow needs --allowed-hosts, a SQLite path on the head and an S3 artifact destination"


def test_ray_accepts_the_file(config):
    from ray.autoscaler._private.util import prepare_config, validate_config

    prepared = prepare_config(copy.deepcopy(config))
    validate_config(prepared)
    assert prepared["head_setup_commands"] == config["head_setup_commands"]
    assert prepared["available_node_types"]["data_cpu"]["node_config"]["SecurityGroupIds"]


def test_nothing_is_wrong_that_ray_does_not_see(config, pins):
    assert problems(config, pins) == []


def test_the_header_names_every_place_to_fill_in(config):
    header = (ROOT / "cluster.yaml").read_text().split("\ncluster_name:")[0]
    values = [text for text in texts(config) if "REPLACE" in text]
    assert {re.search(r"(?:ami|sg|s3:/)[-/]REPLACE[\w-]*", text)[0][:3] for text in values} == {
        "ami",
        "sg-",
        "s3:",
    }
    for word in (
        "ImageId",
        "SecurityGroupIds",
        "s3://REPLACE",
        "ray up",
        "ray attach",
        "ray job submit",
        "ray down",
    ):
        assert word in header
    for local in config["file_mounts"].values():
        assert local in header


def test_every_command_is_a_shell_command(config):
    commands = [line for key, lines in config.items() if key.endswith("_commands") for line in lines]
    for line in commands + node(config, "data_cpu")["worker_setup_commands"]:
        checked = subprocess.run(["bash", "-n", "-c", line], capture_output=True, text=True)
        assert checked.returncode == 0, f"{line}: {checked.stderr}"


def node(config, name):
    return config["available_node_types"][name]


BREAKS = {
    "other ray": lambda c: c["docker"].update(worker_image="rayproject/ray:2.59.0-py311-gpu"),
    "latest": lambda c: c["docker"].update(head_image="rayproject/ray:latest"),
    "other torch": lambda c: c["worker_setup_commands"].__setitem__(0, "pip install torch==2.12.0"),
    "unpinned torch": lambda c: c["worker_setup_commands"].__setitem__(0, "pip install torch"),
    "no token mode": lambda c: c["docker"]["run_options"].pop(0),
    "no token file": lambda c: c["file_mounts"].pop("/home/ray/hbt_auth"),
    "token in the file": lambda c: c["docker"]["run_options"].append("-e RAY_AUTH_TOKEN=secret"),
    "open dashboard": lambda c: c["head_start_ray_commands"].__setitem__(
        1, c["head_start_ray_commands"][1].replace("127.0.0.1", "0.0.0.0")
    ),
    "default dashboard": lambda c: c["head_start_ray_commands"].__setitem__(1, "ray start --head --port=6379"),
    "open mlflow": lambda c: c["head_start_ray_commands"].__setitem__(
        2, c["head_start_ray_commands"][2].replace("--host 127.0.0.1", "--host 10.0.0.1")
    ),
    "ray's own group": lambda c: node(c, "gpu_spot")["node_config"].pop("SecurityGroupIds"),
    "open group": lambda c: c["provider"].update(
        security_group={"IpPermissions": [{"IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]}
    ),
    "mistyped provider key": lambda c: c["provider"].update(availabilty_zone="us-west-2a"),
    "no workers": lambda c: c.update(max_workers=0),
    "no gpu": lambda c: node(c, "gpu_spot").update(max_workers=0),
    "min above max": lambda c: node(c, "gpu_spot").update(min_workers=5),
    "half a cpu": lambda c: node(c, "data_cpu")["resources"].update(CPU=0.5),
    "starved data": lambda c: node(c, "data_cpu").update(min_workers=0),
    "head with cpus": lambda c: node(c, "head")["resources"].update(CPU=8),
    "spot head": lambda c: node(c, "head")["node_config"].update(InstanceMarketOptions={"MarketType": "spot"}),
    "drivers on spot": lambda c: node(c, "gpu_spot")["resources"].update(hbt_driver=1),
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_broken_copy_is_noticed(config, pins, name):
    broken = copy.deepcopy(config)
    BREAKS[name](broken)
    assert len(problems(broken, pins)) >= 1

"""The files of conf/azure/ml by Azure ML's own loaders, and what they say of each other and of this project."""

import functools
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

PROJECT = Path(__file__).resolve().parents[2]
FOLDER = PROJECT / "conf" / "azure" / "ml"
LOADERS = Path(__file__).with_name("azure_ml_loaders.py")
KINDS = {
    "environment": "environment",
    "online-endpoint": "online_endpoint",
    "online-deployment": "online_deployment",
    "kubernetes-endpoint": "online_endpoint",
    "kubernetes-deployment": "online_deployment",
    "batch-endpoint": "batch_endpoint",
    "batch-deployment": "model_batch_deployment",
    "batch-cluster": "compute",
}


@functools.cache
def find_loader():
    """Give the command that runs the loaders: offline where they were fetched before; skip without either."""
    own = PROJECT / ".tools" / "uv"
    uv = str(own) if own.exists() else shutil.which("uv")
    if uv is None:
        return None
    common = ["run", "--quiet", "--locked", "--no-project", "--python", sys.executable]
    for network in (["--offline"], []):
        command = [uv, *common, *network, "--script", str(LOADERS)]
        if subprocess.run(command, capture_output=True, timeout=300, check=False).returncode == 0:
            return command
    return None


def load(files):
    """Load files by kind with Azure ML's loaders; give what they say against each."""
    command = find_loader()
    if command is None:
        pytest.skip("azure-ai-ml is neither in uv's cache nor to be fetched from PyPI")
    arguments = [f"{KINDS[file.stem]}={file}" for file in files]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=300, check=True)
    return {Path(path): problem for path, problem in json.loads(done.stdout).items()}


def read(name):
    """Read a file of the folder."""
    return yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))


def test_files_are_what_azure_ml_loads(tmp_path):
    """Each loads; with a key that Azure ML doesn't know, each is refused by that key."""
    files = sorted(FOLDER.glob("*.yaml"))
    assert {file.stem for file in files} == KINDS.keys()
    wrong = [tmp_path / file.name for file in files]
    for file, copy in zip(files, wrong, strict=True):
        copy.write_text(file.read_text(encoding="utf-8") + "tpyo: 1\n", encoding="utf-8")
    problems = load(files + wrong)
    assert {file: problems[file] for file in files} == dict.fromkeys(files)
    assert all("tpyo" in (problems[file] or "") for file in wrong)


@pytest.mark.parametrize("name", ["online", "kubernetes"])
def test_online_deployments_find_their_model(name):
    """The model's path is where Azure ML mounts that name and version; whoever asks shows a token of Entra ID."""
    deployment, endpoint = read(f"{name}-deployment"), read(f"{name}-endpoint")
    variables = deployment["environment_variables"]
    model = deployment["model"].removeprefix("azureml:").replace(":", "/")
    assert variables["DETECTOR_MODEL__URI"] == f"{deployment['model_mount_path']}/{model}/package"
    assert deployment["endpoint_name"] == endpoint["name"]
    assert endpoint["auth_mode"] == "aad_token"
    routes = read("environment")["inference_config"]
    assert {route["port"] for route in routes.values()} == {8080}
    assert routes["liveness_route"]["path"] == "/v2/health/live"
    assert routes["readiness_route"]["path"] == "/v2/health/ready"


def test_a_server_that_pods_reach_asks_for_a_key():
    """Only Azure ML reaches a managed deployment; one in a cluster has a key, from a vault."""
    managed = read("online-deployment")["environment_variables"]
    assert managed["DETECTOR_SERVE__ALLOW_NO_KEY"] == "true"
    assert read("online-endpoint")["public_network_access"] == "disabled"
    in_cluster = read("kubernetes-deployment")["environment_variables"]
    assert "DETECTOR_SERVE__ALLOW_NO_KEY" not in in_cluster
    assert in_cluster["DETECTOR_SERVE__API_KEY"].startswith("${{keyvault:https://")


def test_batch_deployment_calls_our_driver():
    """The scoring script is there, with init and run; it has a machine to itself, of the cluster that is defined."""
    deployment, cluster = read("batch-deployment"), read("batch-cluster")
    code = deployment["code_configuration"]
    script = (FOLDER / code["code"] / code["scoring_script"]).resolve()
    text = script.read_text(encoding="utf-8")
    assert "def init() -> None:" in text
    assert "def run(mini_batch: list[str])" in text
    assert deployment["compute"] == f"azureml:{cluster['name']}"
    assert deployment["settings"]["max_concurrency_per_instance"] == 1
    assert deployment["endpoint_name"] == read("batch-endpoint")["name"]
    assert cluster["min_instances"] == 0


def test_batch_image_runs_as_nobody():
    """The image's last user isn't root, and what it copies is there."""
    lines = (FOLDER / "batch.Dockerfile").read_text(encoding="utf-8").splitlines()
    users = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert users[-1] != "root"
    copied = [word for line in lines if line.startswith("COPY ") for word in line.split()[1:-1]]
    assert all((PROJECT / name).exists() for name in copied)

"""The training machine of conf/azure/vm: its template, its first boot, and how it deallocates itself."""

import base64
import json
import os
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pydantic
import pytest
import yaml

from detector.settings_sources import load_settings
from detector.training.train_settings import TrainSettings

from .arm_expressions import evaluate_template
from .strict_models import check_cloud_config, check_resource, find_problems

PROJECT = Path(__file__).resolve().parents[2]
FOLDER = PROJECT / "conf" / "azure" / "vm"
CLOUD_INIT = (FOLDER / "cloud-init.yaml").read_text(encoding="utf-8")
GIVEN = {
    "sshPublicKey": "ssh-ed25519 AAAA me",
    "sshSource": "203.0.113.7/32",
    "storageAccount": "photosaccount",
    "cloudInit": CLOUD_INIT,
}
BODY = ("location", "properties", "identity", "sku", "tags")


@pytest.fixture(scope="module")
def template():
    """Give the template as it is written."""
    return json.loads((FOLDER / "template.json").read_text(encoding="utf-8"))


def evaluate(template, **more):
    """Give the resources by type; several of one type as a list."""
    evaluated, _ = evaluate_template(template, GIVEN | more)
    resources = {}
    for resource in evaluated["resources"]:
        resources.setdefault(resource["type"], []).append(resource)
    return resources


def read_boot(resources):
    """Give the machine's cloud-init as Azure hands it over."""
    encoded = resources["Microsoft.Compute/virtualMachines"][0]["properties"]["osProfile"]["customData"]
    return base64.b64decode(encoded).decode()


@pytest.mark.parametrize("priority", ["Regular", "Spot"])
def test_resources_are_what_azures_models_know(template, priority):
    """Each resource's body is held against the models of Azure's own clients; nothing is unknown or mistyped."""
    resources = evaluate(template, priority=priority)
    kinds = {
        "Microsoft.Network/networkSecurityGroups": ("network", "NetworkSecurityGroup"),
        "Microsoft.Network/virtualNetworks": ("network", "VirtualNetwork"),
        "Microsoft.Network/publicIPAddresses": ("network", "PublicIPAddress"),
        "Microsoft.Network/networkInterfaces": ("network", "NetworkInterface"),
        "Microsoft.Compute/virtualMachines": ("compute", "VirtualMachine"),
    }
    older = {
        "Microsoft.DevTestLab/schedules": ("azure.mgmt.devtestlabs.models", "Schedule"),
        "Microsoft.Authorization/roleDefinitions": (
            "azure.mgmt.authorization.v2022_04_01.models",
            "RoleDefinition",
        ),
        "Microsoft.Authorization/roleAssignments": (
            "azure.mgmt.authorization.v2022_04_01.models",
            "RoleAssignmentCreateParameters",
        ),
    }
    assert resources.keys() == kinds.keys() | older.keys()
    for kind, (package, name) in kinds.items():
        for resource in resources[kind]:
            body = {key: resource[key] for key in BODY if key in resource}
            properties = {
                k: v for k, v in body["properties"].items() if v is not None
            }  # ARM leaves nulls out
            check_resource(package, name, body | {"properties": properties})
    for kind, (module, name) in older.items():
        for resource in resources[kind]:
            body = {key: resource[key] for key in BODY if key in resource}
            assert find_problems(module, name, body) == []


def test_mistakes_are_found(template):
    """A key that Azure doesn't know, a wrong type, and a parameter that nobody declared are told."""
    machine = evaluate(template)["Microsoft.Compute/virtualMachines"][0]
    wrong = {"location": "x", "properties": machine["properties"] | {"evictionPolicie": "Deallocate"}}
    with pytest.raises(pydantic.ValidationError, match="evictionPolicie"):
        check_resource("compute", "VirtualMachine", wrong)
    schedule = {"properties": {"status": "Enabled", "dailyRecurrence": {"at": "0400"}}}
    problems = find_problems("azure.mgmt.devtestlabs.models", "Schedule", schedule)
    assert problems == ["Schedule.properties.dailyRecurrence.at is unknown"]
    template = json.loads(json.dumps(template).replace("parameters('sshSource')", "parameters('sshSauce')"))
    with pytest.raises(KeyError, match="sshSauce"):
        evaluate(template)


def test_every_parameter_is_used(template):
    """Nothing is asked for in vain, and every dependency is a resource of the template."""
    evaluated, used = evaluate_template(template, GIVEN)
    declared = {("parameters", name) for name in template["parameters"]}
    assert declared | {("variables", name) for name in template["variables"]} == used
    named = {f"{r['type']}/{r['name']}".lower() for r in evaluated["resources"]}
    for resource in evaluated["resources"]:
        for needed in resource.get("dependsOn", []):
            kind, _, name = needed.partition("/providers/")[2].rpartition("/")
            assert f"{kind}/{name}".lower() in named


def test_nobody_gets_in_without_a_key(template):
    """No password logs in, port 22 answers the given range alone, and no other port is open."""
    resources = evaluate(template)
    profile = resources["Microsoft.Compute/virtualMachines"][0]["properties"]["osProfile"]
    assert "adminPassword" not in profile
    assert profile["linuxConfiguration"]["disablePasswordAuthentication"] is True
    (rule,) = resources["Microsoft.Network/networkSecurityGroups"][0]["properties"]["securityRules"]
    assert (rule["properties"]["sourceAddressPrefix"], rule["properties"]["destinationPortRange"]) == (
        "203.0.113.7/32",
        "22",
    )
    assert yaml.safe_load(CLOUD_INIT)["ssh_pwauth"] is False
    assert "defaultValue" not in template["parameters"]["sshSource"]


def test_the_identity_may_do_little(template):
    """It deallocates its own machine, reads code and photos, writes runs: three roles by container, one by machine."""
    resources = evaluate(template)
    (permission,) = resources["Microsoft.Authorization/roleDefinitions"][0]["properties"]["permissions"]
    assert permission["actions"] == [
        "Microsoft.Compute/virtualMachines/read",
        "Microsoft.Compute/virtualMachines/deallocate/action",
    ]
    granted = {
        r["scope"].rpartition("/")[2]: r["properties"]["roleDefinitionId"].rpartition("/")[2]
        for r in resources["Microsoft.Authorization/roleAssignments"]
    }
    own_role = resources["Microsoft.Authorization/roleDefinitions"][0]["name"]
    reader, contributor = "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1", "ba92f5b4-2d11-453d-a403-e96b0029c9fe"
    assert granted == {"detector-training": own_role, "code": reader, "photos": reader, "runs": contributor}


def test_cloud_init_is_what_cloud_init_takes(template):
    """The boot is held against cloud-init's schema as types, and by cloud-init itself where it is installed."""
    boot = read_boot(evaluate(template))
    assert boot.startswith("#cloud-config\n")
    assert "__" not in boot
    document = yaml.safe_load(boot)
    check_cloud_config(document)
    with pytest.raises(AssertionError, match="runcommand"):
        check_cloud_config(document | {"runcommand": []})
    with pytest.raises(pydantic.ValidationError, match="contents"):
        check_cloud_config({"write_files": [{"path": "/a", "contents": "b"}]})
    if shutil.which("cloud-init"):
        file = FOLDER / "cloud-init.yaml"
        subprocess.run(["cloud-init", "schema", "--config-file", str(file)], check=True, capture_output=True)


def test_the_boot_calls_what_there_is(template):
    """Scripts are shell without a mistake that bash sees, the unit starts them, and the job's settings are good."""
    boot = yaml.safe_load(read_boot(evaluate(template)))
    files = {file["path"]: file["content"] for file in boot["write_files"]}
    unit = files["/etc/systemd/system/detector-training.service"]
    started = {line.partition("=")[2].lstrip("-") for line in unit.splitlines() if line.startswith("Exec")}
    scripts = {path for path in files if path.endswith(".sh")}
    assert started == scripts
    assert unit.index("bring-home.sh") < unit.index("deallocate.sh")
    assert "ExecStopPost=/opt/detector/deallocate.sh" in unit
    assert "RuntimeMaxSec=24h" in unit
    for path in scripts:
        subprocess.run(["bash", "-n"], input=files[path], text=True, check=True)
    assert "CONFIG=conf/train/few_photos.yaml" in files["/etc/detector/training.env"]
    words = next(
        line for line in files["/opt/detector/train.sh"].splitlines() if "jobs/train.py" in line
    ).split()
    assert words[:2] == [".venv/bin/python", "jobs/train.py"]
    flags = [
        word.strip('"').replace("$CONFIG", str(PROJECT / "conf/train/few_photos.yaml")) for word in words[2:]
    ]
    assert str(load_settings(TrainSettings, flags).out) == "../runs"


def write_scripts(template, folder):
    """Write the boot's scripts below ``folder``; give their paths by name."""
    boot = yaml.safe_load(read_boot(evaluate(template)))
    written = {}
    for file in boot["write_files"]:
        path = folder / Path(file["path"]).name
        path.write_text(file["content"], encoding="utf-8")
        path.chmod(int(file["permissions"], 8))
        written[path.name] = path
    return written


class _Azure(BaseHTTPRequestHandler):
    """Azure's metadata service and management as the machine sees them; its role counts from the third request on."""

    def do_GET(self):
        assert self.headers["Metadata"] == "true"
        answer = (
            b"/subscriptions/s/vm"
            if "resourceId" in self.path
            else b'{"access_token":"abc","expires_in":"1"}'
        )
        self._answer(200, answer)

    def do_POST(self):
        self.server.posted.append((self.path, self.headers["Authorization"]))
        self._answer(202 if len(self.server.posted) >= self.server.takes_from else 403, b"")

    def _answer(self, code, body):
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Print nothing."""


@pytest.fixture
def azure():
    """Give a server of both, on this machine's loopback alone."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Azure)
    server.posted, server.takes_from = [], 3
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(("takes_from", "tries", "code", "requests"), [(3, 5, 0, 3), (9, 2, 1, 2)])
def test_the_machine_deallocates_itself(template, azure, tmp_path, takes_from, tries, code, requests):
    """The script asks with the identity's token until its role counts; if Azure never takes it, it fails."""
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")
    azure.takes_from = takes_from
    address = f"http://127.0.0.1:{azure.server_address[1]}"
    script = write_scripts(template, tmp_path)["deallocate.sh"]
    environment = {
        "METADATA": f"{address}/metadata",
        "MANAGEMENT": address,
        "PAUSE_S": "0",
        "TRIES": str(tries),
    }
    done = subprocess.run(
        [str(script)], env=os.environ | environment, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == code
    expected = ("/subscriptions/s/vm/deallocate?api-version=2024-07-01", "Bearer abc")
    assert azure.posted == [expected] * requests


@pytest.mark.parametrize(("fails", "finished"), [("", True), ("make", False), ("train", False)])
def test_training_stops_at_the_first_failure(template, tmp_path, fails, finished):
    """Fetched, set up, trained by the given settings; a failing step ends it, and it isn't called finished."""
    scripts = write_scripts(template, tmp_path)
    work, tools = tmp_path / "work", tmp_path / "tools"
    for folder in (work / "project" / ".venv" / "bin", work / "project" / ".tools", tools):
        folder.mkdir(parents=True)
    said = tmp_path / "said"
    stubs = {tools / name: name for name in ("azcopy", "tar", "make")}
    stubs |= {work / "project/.venv/bin/python": "train", work / "project/.tools/uv": "uv"}
    for path, name in stubs.items():
        path.write_text(
            f'#!/bin/sh\necho "{name} $*" >> {said}\ntest {name} != "{fails}"\n', encoding="utf-8"
        )
        path.chmod(0o755)
    environment = {
        "PATH": f"{tools}:{os.environ['PATH']}",
        "STORAGE_ACCOUNT": "a",
        "CONFIG": "c.yaml",
        "VM": "v",
    }
    run = {
        "env": os.environ | environment,
        "cwd": work,
        "capture_output": True,
        "timeout": 60,
    }
    done = subprocess.run([str(scripts["train.sh"])], check=False, **run)
    assert (done.returncode == 0, (work / "finished").exists()) == (finished, finished)
    lines = said.read_text(encoding="utf-8").splitlines()
    assert ("train jobs/train.py --config c.yaml --data.root ../photos --out ../runs" in lines) == (
        fails != "make"
    )
    assert subprocess.run([str(scripts["bring-home.sh"])], check=False, **run).returncode == 0
    assert said.read_text(encoding="utf-8").count("blob.core.windows.net/runs/v") == 2

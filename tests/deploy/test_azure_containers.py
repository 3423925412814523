"""The server on Azure: container group and AKS manifests against Azure's and Kubernetes' schemas, secure by default."""

import re
from pathlib import Path
from string import Template

import kubernetes_validate
import pytest
import yaml
from azure.mgmt.containerinstance._configuration import ContainerInstanceManagementClientConfiguration

from .strict_models import find_problems

FOLDER = Path(__file__).resolve().parents[2] / "conf" / "azure"
GIVEN = {
    "LOCATION": "westeurope",
    "IDENTITY_ID": "/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/i",
    "REGISTRY": "registry",
    "VERSION": "0.1.0",
    "SUBNET_ID": "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/virtualNetworks/v/subnets/s",
    "STORAGE_ACCOUNT": "account",
    "STORAGE_KEY": "key+/==",
    "API_KEY": "0123456789abcdef",
}
MANIFESTS = sorted((FOLDER / "aks").glob("*.yaml"))
VERSIONS = ("1.31", kubernetes_validate.latest_version().removesuffix(".0"))


def read_all(path):
    """Read a file's documents as envsubst gives them; a word that docs/azure.md doesn't set raises."""
    return [*yaml.safe_load_all(Template(path.read_text(encoding="utf-8")).substitute(GIVEN))]


@pytest.fixture(scope="module")
def resources():
    """Give the cluster's resources by kind."""
    found = [resource for path in MANIFESTS for resource in read_all(path)]
    assert len({resource["kind"] for resource in found}) == len(found)
    return {resource["kind"]: resource for resource in found}


@pytest.fixture
def group():
    """Give the container group."""
    (group,) = read_all(FOLDER / "container-group.yaml")
    return group


def test_container_group_is_what_azures_models_know(group):
    """Its version is the client's; no field is unknown, missing or of another type, and a typo is found."""
    version = ContainerInstanceManagementClientConfiguration(
        object(), "s", credential_scopes=["a"]
    ).api_version
    assert group.pop("apiVersion") == version
    assert find_problems("azure.mgmt.containerinstance.models", "ContainerGroup", group) == []
    group["properties"]["containers"][0]["properties"]["livenessProb"] = {}
    del group["properties"]["containers"][0]["properties"]["image"]
    group["properties"]["containers"][0]["properties"]["ports"][0]["port"] = "8080"
    assert sorted(find_problems("azure.mgmt.containerinstance.models", "ContainerGroup", group)) == [
        "ContainerGroup.properties.containers[0].properties.image is missing",
        "ContainerGroup.properties.containers[0].properties.livenessProb is unknown",
        "ContainerGroup.properties.containers[0].properties.ports[0].port is '8080': no int",
    ]


def test_container_group_shows_no_key_and_no_port(group):
    """Keys are secure values that Azure doesn't show again, and the address is a network's own."""
    properties = group["properties"]
    variables = {v["name"]: v for v in properties["containers"][0]["properties"]["environmentVariables"]}
    assert "value" not in variables["DETECTOR_SERVE__API_KEY"]
    assert variables["DETECTOR_SERVE__API_KEY"]["secureValue"] == GIVEN["API_KEY"]
    assert properties["ipAddress"]["type"] == "Private"
    assert "password" not in properties["imageRegistryCredentials"][0]


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
@pytest.mark.parametrize("version", VERSIONS)
def test_manifests_are_what_kubernetes_takes(path, version):
    """Each is held against the schemas of an old and of the newest Kubernetes; unknown fields are refused."""
    for resource in read_all(path):
        assert kubernetes_validate.validate(resource, version, strict=True) == version
        wrong = resource | {"spec": resource.get("spec", {}) | {"tpyo": 1}}
        with pytest.raises(kubernetes_validate.ValidationError, match="tpyo"):
            kubernetes_validate.validate(wrong, version, strict=True)


def test_manifests_name_each_other(resources):
    """Selectors find the pods, ports and volumes have the names they are called by, all in one namespace."""
    deployment = resources["Deployment"]
    pod = deployment["spec"]["template"]
    labels = pod["metadata"]["labels"].items()
    assert resources["Service"]["spec"]["selector"].items() <= labels
    for kind in ("Deployment", "PodDisruptionBudget"):
        assert resources[kind]["spec"]["selector"]["matchLabels"].items() <= labels
    target = resources["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", deployment["metadata"]["name"])
    (container,) = pod["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    used = [resources["Service"]["spec"]["ports"][0]["targetPort"]]
    used += [
        container[probe]["httpGet"]["port"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")
    ]
    used += [resources["NetworkPolicy"]["spec"]["ingress"][0]["ports"][0]["port"]]
    assert {ports[name] for name in used} == {8080}
    assert {v["name"] for v in container["volumeMounts"]} == {v["name"] for v in pod["spec"]["volumes"]}
    claim = resources["PersistentVolumeClaim"]
    assert pod["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    assert claim["spec"]["volumeName"] == resources["PersistentVolume"]["metadata"]["name"]
    namespace = resources.pop("Namespace")["metadata"]["name"]
    assert {r["metadata"].get("namespace", namespace) for r in resources.values()} == {namespace}


def test_pods_may_do_little(resources):
    """Not root, nothing to write but scratch, no rights of the system or of the cluster; no secret lies in a file."""
    assert "Secret" not in resources
    pod = resources["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert (pod["securityContext"]["runAsNonRoot"], pod["automountServiceAccountToken"]) == (True, False)
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    (key,) = [variable for variable in container["env"] if variable["name"] == "DETECTOR_SERVE__API_KEY"]
    assert "value" not in key
    assert not pod["enableServiceLinks"]
    policy = resources["NetworkPolicy"]["spec"]
    assert (policy["podSelector"], policy["policyTypes"], policy["egress"]) == ({}, ["Ingress", "Egress"], [])
    assert all(rule["from"] and rule["ports"] for rule in policy["ingress"])
    assert resources["Service"]["spec"]["type"] == "ClusterIP"


SECRET = re.compile(
    r"""(?i)\b(?:\w*password|\w*accountkey|securevalue|\w*api_key|secret|token)["']?: *["']?(?P<value>\S+)"""
)


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.*")), ids=lambda path: path.name)
def test_no_key_lies_in_a_file(path):
    """Whatever is called key, password or token is a word to put in, or a reference to a vault."""
    values = [found["value"] for found in SECRET.finditer(path.read_text(encoding="utf-8"))]
    assert [value for value in values if not value.startswith("${")] == []


def test_a_key_in_a_file_is_found():
    """The search above knows keys in YAML, in JSON and in a list of environment variables."""
    for line in ("DETECTOR_SERVE__API_KEY: abc", '"adminPassword": "abc"', "storageAccountKey: 'abc'"):
        assert SECRET.search(line)["value"].startswith("abc")

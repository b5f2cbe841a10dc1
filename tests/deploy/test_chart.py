# SPDX-License-Identifier: Apache-2.0
"""The chart: what it makes is valid, hardened and in agreement with the service."""

import http.client
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from jwt.algorithms import get_default_algorithms

from cds_service.cli.serve import _AT_THE_END
from cds_service.settings import PREFIX, Settings
from tests.conformance.server import serving
from tests.deploy.chart import CHART, VALUES, Json, helm, made_of, one, pods, refusal
from tests.deploy.promtool import alerts
from tests.trust.signing import ISSUER, es384

SETS = sorted(VALUES)
SCRIPT = CHART / "files" / "founding_patient.py"
OF_OPENTELEMETRY = {"OTEL_EXPORTER_OTLP_CERTIFICATE", "OTEL_EXPORTER_OTLP_ENDPOINT"}
FOREIGN = {"ServiceMonitor"}  # of an operator: Kubernetes itself has no schema of it


def test_there_are_three_sets_of_values() -> None:
    assert SETS == ["everything", "postgresql", "sqlite"]


@pytest.mark.parametrize("values", SETS)
def test_helm_finds_nothing_wrong(values: str) -> None:
    done = helm("lint", "--strict", CHART, "--values", VALUES[values])

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("version", ["1.30", "1.34", "1.37"])
@pytest.mark.parametrize("values", SETS)
def test_what_it_makes_is_valid(values: str, version: str) -> None:
    for manifest in made_of(values):
        if manifest["kind"] not in FOREIGN:
            kubernetes_validate.validate(manifest, version, strict=True)


def test_a_manifest_with_a_word_that_kubernetes_does_not_know_is_invalid() -> None:
    wrong = json.loads(json.dumps(one("postgresql", "Deployment")))
    wrong["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, "1.34", strict=True)


@pytest.mark.parametrize("values", SETS)
def test_every_pod_is_hardened(values: str) -> None:
    for name, pod in pods(values).items():
        security = pod["securityContext"]
        assert (security["runAsNonRoot"], security["runAsUser"]) == (True, 65532), name
        assert pod["automountServiceAccountToken"] is False, name
        assert pod["enableServiceLinks"] is False, name
        for container in [*pod.get("initContainers", ()), *pod["containers"]]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, name
            assert {"requests", "limits"} <= set(container["resources"]), name


@pytest.mark.parametrize("values", SETS)
def test_every_variable_is_a_setting_and_every_file_is_mounted(values: str) -> None:
    for name, pod in pods(values).items():
        for container in pod["containers"]:
            mounts = [mount["mountPath"] for mount in container["volumeMounts"]]
            for variable in container.get("env", ()):
                value = variable["value"]
                if variable["name"] not in OF_OPENTELEMETRY:
                    field = variable["name"].removeprefix(PREFIX).lower()
                    setting = field.removesuffix("_file")
                    assert field in Settings.model_fields or setting in Settings.model_fields, name
                if value.startswith(("/etc/", "/run/")):
                    assert any(value.startswith(f"{mount}/") for mount in mounts), value


@pytest.mark.parametrize("values", SETS)
def test_every_mount_has_its_volume_and_every_volume_is_mounted(values: str) -> None:
    for name, pod in pods(values).items():
        containers = [*pod.get("initContainers", ()), *pod["containers"]]
        mounted = {mount["name"] for each in containers for mount in each["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["volumes"]}, name


@pytest.mark.parametrize("values", SETS)
def test_no_manifest_holds_a_secret(values: str) -> None:
    assert not {"Secret", "ConfigMap"} & {each["kind"] for each in made_of(values)}


def test_the_service_leads_to_the_port_where_it_listens_and_is_probed() -> None:
    service = one("everything", "Service")
    (container,) = pods("everything")["cds-cds-service"]["containers"]
    variables = {each["name"]: each["value"] for each in container["env"]}

    assert container["ports"] == [{"name": "http", "containerPort": 8000, "protocol": "TCP"}]
    assert variables["CDS_PORT"] == "8000"
    assert [port["targetPort"] for port in service["spec"]["ports"]] == ["http"]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"]["port"] == "http"


@pytest.mark.server
def test_the_addresses_of_probes_and_metrics_are_addresses_of_the_service(registered: Path) -> None:
    (container,) = pods("everything")["cds-cds-service"]["containers"]
    probes = ("startupProbe", "livenessProbe", "readinessProbe")
    paths = {container[probe]["httpGet"]["path"] for probe in probes}
    endpoint, _ = one("everything", "ServiceMonitor")["spec"]["endpoints"]
    settings = {"clients": registered / "clients.yaml", "public_url": "https://cds.example.org"}
    with serving(**settings) as port:
        for path in (*paths, endpoint["path"]):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            connection.request("GET", path, headers={"Host": f"10.1.2.3:{port}"})
            answered = connection.getresponse().status
            connection.close()
            assert answered == 200, path


def test_a_pod_that_ends_takes_calls_for_a_while_and_has_time_for_them() -> None:
    pod = pods("postgresql")["cds-cds-service"]
    (container,) = pod["containers"]
    program, _, script = container["lifecycle"]["preStop"]["exec"]["command"]
    (waited,) = re.findall(r"^import time; time\.sleep\((\d+)\)$", script)

    assert program == "/usr/bin/python3"
    assert int(waited) >= 5
    assert pod["terminationGracePeriodSeconds"] > int(waited) + _AT_THE_END


def test_the_service_monitor_gives_the_name_that_alerts_look_for() -> None:
    monitor = one("everything", "ServiceMonitor")["spec"]
    labels = one("everything", "Service")["metadata"]["labels"]

    assert monitor["selector"]["matchLabels"].items() <= labels.items()
    for endpoint in monitor["endpoints"]:
        (relabeling,) = endpoint["relabelings"]
        assert f'job="{relabeling["replacement"]}"' in alerts()["CdsServiceDown"]["expr"]


@pytest.mark.parametrize(
    ("values", "name", "part"),
    [
        ("everything", "cds-cds-service-worker-status", "worker"),
        ("everything", "cds-cds-service-listener-status", "listener"),
        ("sqlite", "cds-cds-service-serve-status", "serve"),
    ],
)
def test_prometheus_finds_the_worker_and_the_listener(values: str, name: str, part: str) -> None:
    service = one(values, "Service", name)
    deployments = [each for each in made_of(values) if each["kind"] == "Deployment"]
    labels = {**service["spec"]["selector"], "app.kubernetes.io/component": part}
    (found,) = (
        each["spec"]["template"]
        for each in deployments
        if labels.items() <= each["spec"]["template"]["metadata"]["labels"].items()
    )
    (container,) = found["spec"]["containers"]
    variables = {each["name"]: each["value"] for each in container["env"]}
    ports = {each["name"]: each["containerPort"] for each in container["ports"]}

    assert service["spec"]["clusterIP"] == "None"
    assert [each["targetPort"] for each in service["spec"]["ports"]] == ["status"]
    assert variables["CDS_STATUS_PORT"] == str(ports["status"])
    assert variables["CDS_STATUS_HOST"] == variables["CDS_HOST"]
    if part != "serve":
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            assert container[probe]["httpGet"]["port"] == "status"


def test_every_port_that_is_opened_is_in_the_policy_and_only_where_it_belongs() -> None:
    policy = one("everything", "NetworkPolicy")["spec"]["ingress"]
    by_port = {each["port"]: rule["from"] for rule in policy for each in rule["ports"]}

    assert set(by_port) == {"http", "status", "mllp"}
    assert by_port["mllp"] == [{"ipBlock": {"cidr": "10.0.4.0/24"}}]
    monitoring = {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}
    assert by_port["status"] == [{"namespaceSelector": monitoring}]
    least = one("postgresql", "NetworkPolicy")["spec"]["ingress"]
    assert [each["port"] for rule in least for each in rule["ports"]] == ["http"]


def test_messages_of_hl7_are_taken_over_tls_where_senders_are_seen_as_who_they_are() -> None:
    pod = pods("everything")["cds-cds-service-listener"]
    service = one("everything", "Service", "cds-cds-service-listener")["spec"]
    (container,) = pod["containers"]
    variables = {each["name"]: each["value"] for each in container["env"]}

    assert container["args"] == ["listen", "mllp"]
    assert variables["CDS_MLLP_TLS_KEY"] == "/etc/cds-service/mllp/tls.key"
    assert variables["CDS_MLLP_CLIENT_AUTHORITIES"] == "/etc/cds-service/mllp/ca.crt"
    assert "CDS_MLLP_CLEAR" not in variables
    assert service["externalTrafficPolicy"] == "Local"
    ports = {each["name"]: each["containerPort"] for each in container["ports"]}
    assert [each["targetPort"] for each in service["ports"]] == ["mllp"]
    assert variables["CDS_MLLP_PORT"] == str(ports["mllp"])


def test_where_traces_go_and_whom_to_trust_is_said_to_every_process() -> None:
    for name in ("", "-worker", "-listener"):
        (container,) = pods("everything")[f"cds-cds-service{name}"]["containers"]
        variables = {each["name"]: each["value"] for each in container["env"]}
        assert variables["CDS_AUTHORITIES"] == "/etc/cds-service/authorities/ca.crt"
        assert variables["CDS_TRACES"] == "otlp"
        assert variables["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://collector.observe:4318"
        assert variables["CDS_HOST"] == "::"
    (container,) = pods("postgresql")["cds-cds-service"]["containers"]
    assert "CDS_TRACES" not in {each["name"] for each in container["env"]}


def test_the_database_is_brought_up_to_date_before_anything_starts() -> None:
    job = one("postgresql", "Job", "cds-cds-service-migrate")

    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    assert job["spec"]["template"]["spec"]["containers"][0]["args"] == ["database", "upgrade"]
    assert not [each for each in made_of("sqlite") if each["kind"] == "Job"]


def test_nothing_may_be_reached_but_what_is_listed() -> None:
    egress = one("everything", "NetworkPolicy")["spec"]["egress"]
    blocks = [
        (to["ipBlock"]["cidr"], rule["ports"][0]["port"])
        for rule in egress
        for to in rule["to"]
        if "ipBlock" in to
    ]

    assert sorted(blocks) == [
        ("10.0.1.5/32", 443),
        ("10.0.2.5/32", 5432),
        ("10.0.3.5/32", 4318),
        ("fd00:1::5/128", 443),
    ]
    assert all(rule.get("to") and rule.get("ports") for rule in egress)
    assert one("postgresql", "NetworkPolicy")["spec"]["policyTypes"] == ["Ingress", "Egress"]


def test_with_sqlite_one_process_has_the_file() -> None:
    deployment = one("sqlite", "Deployment")["spec"]

    assert (deployment["replicas"], deployment["strategy"]["type"]) == (1, "Recreate")
    (container,) = deployment["template"]["spec"]["containers"]
    assert container["args"] == ["serve", "--with-worker"]
    kinds = [each["kind"] for each in made_of("sqlite")]
    assert kinds.count("Deployment") == kinds.count("PersistentVolumeClaim") == 1
    assert "PodDisruptionBudget" not in kinds


def test_with_postgresql_the_worker_is_a_deployment_of_its_own() -> None:
    worker = one("everything", "Deployment", "cds-cds-service-worker")["spec"]

    assert worker["template"]["spec"]["containers"][0]["args"] == ["worker"]
    assert worker["selector"] != one("everything", "Deployment")["spec"]["selector"]
    assert "replicas" not in one("everything", "Deployment")["spec"]  # the autoscaler's
    assert one("everything", "HorizontalPodAutoscaler")["spec"]["maxReplicas"] == 9


REFUSED: dict[str, tuple[str, Json, str]] = {
    "SQLite with two replicas": ("sqlite", {"replicas": 2}, "replicas"),
    "SQLite that scales": ("sqlite", {"autoscaling": {"enabled": True}}, "autoscaling"),
    "a password in a value": (
        "postgresql",
        {"settings": {"CDS_DATABASE_URL": "postgresql://a:b@c/d"}},
        "CDS_DATABASE_URL",
    ),
    "a key in a value": ("postgresql", {"settings": {"CDS_HASH_KEY": "x" * 40}}, "CDS_HASH_KEY"),
    "an address with a password": (
        "postgresql",
        {"settings": {"CDS_LANGUAGE": "https://user:password@host"}},
        "settings",
    ),
    "a secret of another form": ("postgresql", {"database": {"password": "x"}}, "password"),
    "no Secret for PostgreSQL": (
        "postgresql",
        {"database": {"existingSecret": ""}},
        "existingSecret",
    ),
    "no clients": ("postgresql", {"clients": {"existingSecret": ""}}, "clients"),
    "plain http": ("postgresql", {"publicUrl": "http://cds.example.org"}, "publicUrl"),
    "no image": ("postgresql", {"image": {"repository": ""}}, "repository"),
    "egress to everywhere": (
        "postgresql",
        {"networkPolicy": {"fhirServers": [{"cidr": "0.0.0.0/0", "port": 443}]}},
        "fhirServers",
    ),
    "egress to everywhere by another name": (
        "postgresql",
        {"networkPolicy": {"fhirServers": [{"cidr": "10.0.0.0/0", "port": 443}]}},
        "fhirServers",
    ),
    "egress to half of all addresses": (
        "postgresql",
        {"networkPolicy": {"database": [{"cidr": "8000::/1", "port": 5432}]}},
        "database",
    ),
    "a database that the policy shuts out": (
        "postgresql",
        {"networkPolicy": {"database": []}},
        "database",
    ),
    "a listener without a worker": ("everything", {"worker": {"enabled": False}}, "worker"),
    "a listener without servers": (
        "everything",
        {"fhirServers": {"existingSecret": ""}},
        "fhirServers",
    ),
    "messages in the clear": (
        "everything",
        {"listener": {"tls": {"existingSecret": ""}}},
        "existingSecret",
    ),
    "a listener beside SQLite": (
        "sqlite",
        {
            "listener": {"enabled": True, "tls": {"existingSecret": "cds-mllp"}},
            "networkPolicy": {"senders": [{"ipBlock": {"cidr": "10.0.4.0/24"}}]},
        },
        "database",
    ),
    "messages from anywhere": ("everything", {"networkPolicy": {"senders": []}}, "senders"),
    "a collector that the policy shuts out": (
        "everything",
        {"networkPolicy": {"collector": []}},
        "collector",
    ),
    "a setting that the chart makes": (
        "postgresql",
        {"settings": {"CDS_STATUS_PORT": "9"}},
        "CDS_STATUS_PORT",
    ),
    "a value that nobody knows": ("postgresql", {"replicaCount": 3}, "replicaCount"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_the_schema_refuses_what_would_not_work(case: str, tmp_path: Path) -> None:
    values, changed, word = REFUSED[case]

    said = refusal(tmp_path, values, **changed)

    assert "values don't meet the specifications of the schema" in said
    assert word in said


@pytest.mark.parametrize(
    ("values", "changed", "said"),
    [
        ("postgresql", {"replicas": 2, "disruption": {"minAvailable": 2}}, "is 2 of 2 replicas"),
        ("everything", {"disruption": {"minAvailable": 3}}, "is 3 of 3 replicas"),
        ("everything", {"autoscaling": {"min": 10}}, "autoscaling.min is more than"),
    ],
    ids=["of the replicas", "of the least that there are", "min and max"],
)
def test_numbers_that_contradict_each_other_are_refused(
    values: str, changed: Json, said: str, tmp_path: Path
) -> None:
    assert said in refusal(tmp_path, values, **changed)


def test_the_defaults_alone_are_refused_for_what_only_a_hospital_knows() -> None:
    done = helm("template", "cds", CHART)

    assert done.returncode != 0
    for word in ("publicUrl", "repository", "clients"):
        assert word in done.stderr


def test_every_value_has_a_place_in_the_schema_and_the_other_way_round() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))

    assert names_in(values) == names_of(schema) - {"global"}


def names_in(values: Any) -> set[str]:
    if not isinstance(values, dict):
        return set()
    below = {f"{key}.{name}" for key, value in values.items() for name in names_in(value)}
    return set(values) | below - {name for name in below if name.startswith("resources.")}


def names_of(schema: Json) -> set[str]:
    properties = schema.get("properties", {})
    return set(properties) | {
        f"{key}.{name}" for key, value in properties.items() for name in names_of(value)
    }


def test_the_test_of_the_chart_has_the_script_and_the_addresses() -> None:
    pod = one("everything", "Pod", "cds-cds-service-test")
    (container,) = pod["spec"]["containers"]

    assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
    assert container["args"] == [
        SCRIPT.read_text(encoding="utf-8"),
        "http://cds-cds-service:8080",
        "https://cds.example.org/advice",
    ]


def run_script(client: Path, *addresses: str) -> subprocess.CompletedProcess[str]:
    """The script as the pod runs it, in an environment like that of the image."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("CDS_")}
    return subprocess.run(
        [sys.executable, "-c", SCRIPT.read_text(encoding="utf-8"), *addresses],
        env={**environ, "CDS_HOST": "0.0.0.0", "TEST_CLIENT": str(client)},  # noqa: S104
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.fixture(name="registered")
def _registered(tmp_path: Path) -> Path:
    """A folder with the file of clients and with what the Secret of the test holds."""
    signer = es384()
    clients = {"clients": [{"id": "test", "issuer": ISSUER, "keys": [signer.jwk]}]}
    (tmp_path / "clients.yaml").write_text(json.dumps(clients), encoding="utf-8")
    method = get_default_algorithms()["ES384"]
    private = method.to_jwk(signer.private, as_dict=True)
    private.pop("key_ops", None)
    key = {**private, "kid": signer.kid, "alg": "ES384"}
    (tmp_path / "key.json").write_text(json.dumps(key), encoding="utf-8")
    (tmp_path / "issuer").write_text(f"{ISSUER}\n", encoding="utf-8")
    return tmp_path


@pytest.mark.server
def test_the_founding_patient_gets_a_card_from_a_service_that_knows_the_client(
    registered: Path,
) -> None:
    public = "https://cds.example.org/advice"
    settings = {"clients": registered / "clients.yaml", "public_url": public}
    with serving(**settings) as port:
        service = f"http://127.0.0.1:{port}"
        done = run_script(registered, service, public)
        elsewhere = run_script(registered, service, "https://another.example.org")

    assert done.returncode == 0, done.stderr
    assert "Very low ALT" in done.stdout
    assert elsewhere.returncode != 0
    assert "401" in elsewhere.stderr


@pytest.mark.server
def test_without_a_key_the_image_itself_is_asked(tmp_path: Path) -> None:
    with serving() as port:
        done = run_script(tmp_path, f"http://127.0.0.1:{port}", "https://cds.example.org")

    assert done.returncode == 0, done.stderr
    assert "inside of this pod" in done.stdout
    assert "Very low ALT" in done.stdout


def test_the_script_needs_nothing_that_is_not_in_the_image() -> None:
    imported = [
        line.split()[1].partition(".")[0]
        for line in SCRIPT.read_text(encoding="utf-8").splitlines()
        if line.strip().startswith(("import ", "from "))
    ]
    assert set(imported) - set(sys.stdlib_module_names) == {"jwt"}

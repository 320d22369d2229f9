"""Containers, manifests and units: held against their schemas, and what they would start is started."""

import json
import re
import shlex
import shutil
import ssl
import subprocess
import sys
import urllib.request
from pathlib import Path

import jsonschema
import kubernetes_validate
import pytest
import yaml

from edgewright.bundles import verify
from edgewright.exports import export, make
from edgewright.testing.certificates import make_certificate
from edgewright.testing.exports import check_hostile

LONG = 120.0
PROGRAM = "/opt/edgewright/bin/edgewright"


def started(command, places):
    """The command as a process here, each word's path replaced; its URL and the process, once it listens."""
    words = []
    for word in command:
        for there, here in places.items():
            word = word.replace(there, str(here))
        words.append(word)
    words = [sys.executable, "-m", "edgewright", *words[1:]] if words[0] == PROGRAM else words
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    said = []
    for line in process.stderr:
        said.append(line)
        found = re.search(r"https?://[\d.]+:\d+", line)
        if "listening" in line and found:
            return found[0], process
    process.wait(LONG)
    raise AssertionError("".join(said))


def ended(process):
    process.terminate()
    process.communicate(timeout=LONG)


def dockerfile(text):
    """Its instructions in order: (word, rest)."""
    lines = [line for line in text.replace("\\\n", " ").splitlines() if line.strip() and not line.startswith("#")]
    return [tuple(line.split(None, 1)) for line in lines]


KNOWN = {
    "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "RUN", "STOPSIGNAL", "USER",
    "WORKDIR",
}  # fmt: skip


def image(made, root):
    """What the last stage's COPY instructions put where: the files of the image, below ``root``, and what it runs."""
    told, stages = dockerfile((made / "Dockerfile").read_text()), {}
    allowed = {line[1:] for line in (made / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for word, rest in told:
        assert word in KNOWN, word
        if word == "FROM":
            stage = rest.split()[-1]
            stages[stage] = {"root": root / f"stage-{len(stages)}"}
        elif word == "COPY":
            *sources, target = [one for one in rest.split() if not one.startswith("--")]
            for source in sources:
                if "--from=build" in rest:
                    there = stages["build"]["root"] / source.lstrip("/")
                else:
                    assert source.split("/")[0] in allowed, f"{source} is kept out of the build"
                    there = made / source
                here = stages[stage]["root"] / target.lstrip("/")
                if there.is_dir():
                    shutil.copytree(there, here, dirs_exist_ok=True)
                elif there.exists():
                    here = here / there.name if target.endswith("/") else here
                    here.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(there, here)
                else:
                    assert source == "/opt/edgewright", f"{source} is not there to be copied"
        elif word not in ("RUN", "ARG"):
            stages.setdefault(stage, {})[word] = rest
        elif word == "RUN" and "bundle verify" in rest:
            stages[stage]["verify"] = rest
    return stages


def test_the_image_is_small_of_rights_and_starts(tiny, tmp_path):
    made = export(tiny, "docker", tmp_path / "made").path
    stages = image(made, tmp_path)
    last = stages["${PYTHON}"]
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", last["USER"])
    places = {"/srv/": f"{last['root']}/srv/", "/etc/": f"{last['root']}/etc/", "0.0.0.0:8000": "127.0.0.1:0"}
    check = shlex.split(stages["build"]["verify"])
    here = [word.replace("/srv/", f"{stages['build']['root']}/srv/") for word in check[1:]]
    assert "passed" in subprocess.run(
        [sys.executable, "-m", "edgewright", *here], capture_output=True, text=True, check=True
    ).stdout  # fmt: skip
    url, process = started([*json.loads(last["ENTRYPOINT"]), *json.loads(last["CMD"])], places)
    try:
        probe = json.loads(last["HEALTHCHECK"][last["HEALTHCHECK"].index("[") :])
        script = Path(f"{last['root']}{probe[1]}")
        healthy = [sys.executable, str(script), url]
        assert subprocess.run(healthy, check=False, timeout=LONG).returncode == 0
        script.write_text(script.read_text().replace(tiny.digest, "0" * 64))
        found = subprocess.run(healthy, capture_output=True, text=True, check=False, timeout=LONG)
        assert found.returncode == 1 and tiny.digest in found.stdout
    finally:
        ended(process)
    assert subprocess.run(healthy, capture_output=True, check=False, timeout=LONG).returncode == 1


def test_the_image_holds_the_signed_bundle(openvino, tmp_path):
    made = export(openvino, "docker", tmp_path / "made").path
    assert verify(made / "bundle", [openvino.signer]).digest == openvino.digest
    assert (made / "signer.pub").read_text() == openvino.signer.text()
    text = (made / "Dockerfile").read_text()
    assert "edgewright[openvino]==" in text and openvino.digest in text


def checked(schema, path):
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(path)],
        capture_output=True, text=True, check=False, timeout=LONG,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("hostile", [False, True])
def test_the_compose_file_is_one(hostile, tiny, tmp_path):
    files = (check_hostile("docker", tmp_path) if hostile else make(tiny, "docker")).files
    (tmp_path / "compose.yaml").write_bytes(files["compose.yaml"])
    checked("vendor.compose-spec", tmp_path / "compose.yaml")
    service = yaml.safe_load(files["compose.yaml"])["services"]["model"]
    assert service["read_only"] and service["cap_drop"] == ["ALL"] and service["user"] == "10001:10001"
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])


def manifests(made):
    found = {name: yaml.safe_load(data) for name, data in made.files.items() if name.endswith(".yaml")}
    return {name: value for name, value in found.items() if value["kind"] != "Kustomization"}


@pytest.mark.parametrize("hostile", [False, True])
def test_manifests_are_kubernetes_own(hostile, tiny, tmp_path):
    made = check_hostile("kubernetes", tmp_path) if hostile else make(tiny, "kubernetes")
    found = manifests(made)
    assert {value["kind"] for value in found.values()} == {"ConfigMap", "Deployment", "NetworkPolicy", "Service"}
    for value in found.values():
        kubernetes_validate.validate(value, kubernetes_validate.latest_version(), strict=True)
        value["spec" if "spec" in value else "data"]["nonsense"] = {"a": 1}
        with pytest.raises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(value, kubernetes_validate.latest_version(), strict=True)


def test_a_deployment_is_hardened_and_whole(tiny):
    found = {value["kind"]: value for value in manifests(make(tiny, "kubernetes")).values()}
    pod = found["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    rights = container["securityContext"]
    assert pod["securityContext"]["runAsNonRoot"] and not pod["automountServiceAccountToken"]
    assert rights["readOnlyRootFilesystem"] and not rights["allowPrivilegeEscalation"]
    assert rights["capabilities"] == {"drop": ["ALL"]}
    assert {one["name"] for one in container["volumeMounts"]} == {one["name"] for one in pod["volumes"]}
    ports = {port["name"] for port in container["ports"]}
    probes = [container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "readiness", "liveness")]
    assert {probe["port"] for probe in probes} <= ports and {probe["scheme"] for probe in probes} == {"HTTPS"}
    assert found["Service"]["spec"]["ports"][0]["targetPort"] in ports
    assert found["NetworkPolicy"]["spec"]["egress"] == []
    chosen = {"app.kubernetes.io/name": "tiny"}
    assert found["Service"]["spec"]["selector"] == chosen == found["Deployment"]["spec"]["selector"]["matchLabels"]
    assert found["Deployment"]["spec"]["template"]["metadata"]["labels"] == chosen


def test_a_pod_s_command_serves_with_tls_and_tokens(tiny, tmp_path):
    found = {value["kind"]: value for value in manifests(make(tiny, "kubernetes")).values()}
    config = tmp_path / "config"
    config.mkdir()
    for name, text in found["ConfigMap"]["data"].items():
        for there, here in (("/etc/edgewright", str(tmp_path)), ("0.0.0.0:8443", "127.0.0.1:0")):
            text = text.replace(there, here)
        (config / name).write_text(text)
    (tmp_path / "tls").mkdir()
    certificate, key = make_certificate(tmp_path)
    shutil.copy(certificate, tmp_path / "tls" / "tls.crt")
    shutil.copy(key, tmp_path / "tls" / "tls.key")
    trusting = ssl.create_default_context(cafile=certificate)
    (tmp_path / "tokens").mkdir()
    new = [sys.executable, "-m", "edgewright", "serve", "--new-token", str(tmp_path / "tokens" / "tokens"), "infer"]
    token = subprocess.run(new, capture_output=True, text=True, check=True).stdout.strip()
    (container,) = found["Deployment"]["spec"]["template"]["spec"]["containers"]
    tiny.write(tmp_path / "models" / "tiny")
    places = {"/srv/models": tmp_path / "models", "/etc/edgewright": tmp_path}
    url, process = started([*container["command"], *container["args"]], places)
    try:
        assert url.startswith("https://")
        for probe in ("startup", "readiness", "liveness"):
            path = container[f"{probe}Probe"]["httpGet"]["path"]
            with urllib.request.urlopen(f"{url}{path}", context=trusting) as reply:
                assert reply.status == 200
        made = export(tiny, "python", tmp_path / "client").path
        script = (
            "import sys, numpy as np\nfrom tiny_client import *\nurl, ca, token = sys.argv[1:]\n"
            "image = np.zeros((1, 3, 12, 12), np.float32)\n"
            "with Client(url, ca=ca, token=token) as client:\n    client.infer(image)\n"
            "try:\n    Client(url, ca=ca).infer(image)\nexcept ForbiddenError as error:\n    print(error.status)\n"
            "try:\n    Client(url).ready()\nexcept UnreachableError as error:\n    print('not trusted')\n"
        )
        command = [sys.executable, "-c", script, url, str(certificate), token]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=made / "src", timeout=LONG)
        assert done.stdout.split("\n")[:2] == ["401", "not trusted"], done.stderr
    finally:
        ended(process)


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="no kubectl here")
def test_kustomize_puts_them_together(tiny, tmp_path, run_in):
    made = export(tiny, "kubernetes", tmp_path / "made")
    there = list(yaml.safe_load_all(run_in(["kubectl", "kustomize", "."], made.path)))
    assert len(there) == 4
    (deployment,) = [one for one in there if one["kind"] == "Deployment"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"tiny:{tiny.digest[:12]}"


@pytest.mark.parametrize("hostile", [False, True])
def test_an_inference_service(hostile, tiny, tmp_path):
    made = check_hostile("kserve", tmp_path) if hostile else make(tiny, "kserve")
    (value,) = manifests(made).values()
    schema = json.loads(Path(__file__).with_name("kserve.schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(value)
    pod = {key: one for key, one in value["spec"]["predictor"].items() if "Replicas" not in key}
    meta = {"name": "x", "labels": {"a": "b"}}
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}}, "spec": pod}}
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec}
    kubernetes_validate.validate(deployment, kubernetes_validate.latest_version(), strict=True)


def test_a_predictor_s_command_serves(tiny, tmp_path):
    (value,) = manifests(make(tiny, "kserve")).values()
    (container,) = value["spec"]["predictor"]["containers"]
    last = image(export(tiny, "docker", tmp_path / "made").path, tmp_path)["${PYTHON}"]
    places = {"/srv/": f"{last['root']}/srv/", "/etc/": f"{last['root']}/etc/", "0.0.0.0:8080": "127.0.0.1:0"}
    url, process = started([*json.loads(last["ENTRYPOINT"]), *container["args"]], places)
    try:
        for probe in ("readiness", "liveness"):
            with urllib.request.urlopen(url + container[f"{probe}Probe"]["httpGet"]["path"]) as reply:
                assert reply.status == 200
    finally:
        ended(process)


def lines_of(unit, key):
    return [line.partition("=")[2] for line in unit.splitlines() if line.startswith(f"{key}=")]


def test_a_unit_s_commands_serve(tiny, tmp_path):
    made = export(tiny, "systemd", tmp_path / "made").path
    (file,) = made.glob("*.service")
    unit = file.read_text()
    places = {"/opt/edgewright/models/tiny": made}
    config = made / "runtime.toml"
    config.write_text(
        config.read_text().replace("127.0.0.1:8000", "127.0.0.1:0").replace("/run/edgewright-tiny", str(made))
    )
    (before,), (start,) = ([shlex.split(one) for one in lines_of(unit, key)] for key in ("ExecStartPre", "ExecStart"))
    tested = [word.replace("/opt/edgewright/models/tiny", str(made)) for word in before[1:]]
    command = [sys.executable, "-m", "edgewright", *tested]
    assert subprocess.run(command, capture_output=True, check=False, timeout=LONG).returncode == 0
    url, process = started(start, places)
    try:
        with urllib.request.urlopen(f"{url}/v2/models/tiny") as reply:
            assert json.load(reply)["parameters"]["digest"] == tiny.digest
    finally:
        ended(process)
    packed = bytearray((made / "tiny.ewb").read_bytes())
    packed[-2000] ^= 1
    (made / "tiny.ewb").write_bytes(packed)
    assert subprocess.run(command, capture_output=True, check=False, timeout=LONG).returncode == 1


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")
@pytest.mark.parametrize("hostile", [False, True])
def test_systemd_can_read_the_unit(hostile, tiny, tmp_path):
    """Its syntax alone: no systemd runs here."""
    files = (check_hostile("systemd", tmp_path) if hostile else make(tiny, "systemd")).files
    ((name, data),) = [pair for pair in files.items() if pair[0].endswith(".service")]
    (tmp_path / name).write_text(data.decode().replace(PROGRAM, "/bin/true"))
    command = ["systemd-analyze", "verify", "--man=no", str(tmp_path / name)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LONG, check=False)
    told = [line for line in (done.stdout + done.stderr).splitlines() if name in line]
    assert done.returncode == 0 and not told, told

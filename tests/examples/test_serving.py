"""What docker compose starts with is complete, can be read, and lets in nobody by itself."""

import io
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.serving.hostile import Certificates

FOLDER = Path(__file__).parents[2] / "examples/serving"


def test_every_file_that_compose_mounts_is_here():
    text = (FOLDER / "compose.yaml").read_text("utf-8")
    mounted = re.findall(r"- (\./\S+?):", text)
    # the model is what `keras-cpm export` writes
    assert [name for name in mounted if not (FOLDER / name).exists()] in ([], ["./models/cpm"])
    assert "./batching.config" in mounted


def test_the_batches_are_those_that_the_server_knows():
    lines = (FOLDER / "batching.config").read_text("utf-8").splitlines()
    fields = [re.fullmatch(r"(\w+) \{ value: (\d+) \}", line) for line in lines if line[0] != "#"]
    values = {field[1]: int(field[2]) for field in fields}
    # BatchingParameters of tensorflow_serving/servables/tensorflow/session_bundle_config.proto
    known = {"max_batch_size", "batch_timeout_micros", "num_batch_threads", "max_enqueued_batches"}
    assert set(values) == known
    # the exports take at most 64 rows
    assert 1 <= values["max_batch_size"] <= 64


def test_the_server_is_for_this_machine_and_owns_nothing():
    text = (FOLDER / "compose.yaml").read_text()
    lines = [line.strip() for line in text.splitlines() if not line.strip().startswith("#")]
    (ports,) = [line for line in lines if line.startswith("ports:")]
    assert re.findall(r'"([^"]+)"', ports) == ["127.0.0.1:8500:8500", "127.0.0.1:8501:8501"]
    for wanted in ('user: "65534:65534"', "read_only: true", "mem_limit: 4g", "cap_drop: [ALL]"):
        assert wanted in lines
    assert all(line.endswith(":ro") for line in lines if line.startswith("- ./"))


@pytest.mark.skipif(not shutil.which("nginx"), reason="needs nginx")
def test_the_proxy_is_one_to_nginx(tmp_path):
    certificates = Certificates(tmp_path)
    (tmp_path / "tokens.map").write_text('"Bearer a" 1;\n')
    text = (FOLDER / "nginx.conf").read_text()
    for place, file in (
        ("/etc/nginx/tokens.map", str(tmp_path / "tokens.map")),
        ("/etc/nginx/certificates/poses.pem", certificates["server.pem"]),
        ("/etc/nginx/certificates/poses.key", certificates["server.key"]),
    ):
        assert place in text
        text = text.replace(place, file)
    # its own folders may belong to another user
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    folders = "".join(f"{kind}_temp_path {tmp_path}/{kind};" for kind in kinds)
    text = text.replace("http {", f"http {{ access_log off; {folders}", 1)
    (tmp_path / "nginx.conf").write_text(f"pid {tmp_path}/pid;\n{text}")
    command = ["nginx", "-t", "-c", str(tmp_path / "nginx.conf"), "-e", str(tmp_path / "log")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_image_has_the_model_inside_and_belongs_to_nobody():
    parse = pytest.importorskip("dockerfile_parse", reason="dockerfile-parse is not installed")
    file = parse.DockerfileParser(fileobj=io.BytesIO((FOLDER / "Dockerfile").read_bytes()))
    compose = (FOLDER / "compose.yaml").read_text()
    lines = [(one["instruction"], one["value"]) for one in file.structure]
    lines = [line for line in lines if line[0] != "COMMENT"]
    # the server that was tried
    assert [f"image: {file.baseimage}"] == re.findall(r"^ *(image: .+)$", compose, re.M)
    copied = [value.split() for name, value in lines if name == "COPY"]
    assert [words[0] for words in copied] == ["--chmod=755"] * 2
    # the model is what `keras-cpm export` writes
    assert [words[1] for words in copied] == ["batching.config", "models/cpm"]
    targets = dict(line[1:] for line in copied)
    assert targets["models/cpm"] == f"/models/{file.envs['MODEL_NAME']}"
    (command,) = [json.loads(value) for name, value in lines if name == "CMD"]
    assert command[-1].endswith(f"={targets['batching.config']}")
    assert f"command: {json.dumps(command)}" in compose
    assert [value for name, value in lines if name == "USER"] == ["65534:65534"]
    # no program runs while it is built, and nothing is fetched
    assert {name for name, _ in lines} <= {"FROM", "COPY", "ENV", "USER", "EXPOSE", "CMD"}


@pytest.mark.skipif(not shutil.which("hadolint"), reason="needs hadolint")
def test_a_linter_has_nothing_to_say_of_the_image():
    done = subprocess.run(["hadolint", FOLDER / "Dockerfile"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_service_is_one_to_kserve():
    """Each field by the class that KServe's package has for it."""
    yaml = pytest.importorskip("yaml")
    kserve = pytest.importorskip("kserve", reason="KServe's package is not installed")
    kubernetes = pytest.importorskip("kubernetes").client

    def made(value, kind):
        if inner := re.fullmatch(r"list\[(.+)\]", kind):
            return [made(one, inner[1]) for one in value]
        model = getattr(kserve, kind, None) or getattr(kubernetes, kind, None)
        if model is None:
            assert type(value).__name__ == re.split(r"\W", kind)[0].lower(), (value, kind)
            return value
        fields = {model.attribute_map[name]: name for name in model.openapi_types}
        names = {fields[key]: one for key, one in value.items()}
        return model(**{name: made(one, model.openapi_types[name]) for name, one in names.items()})

    service = yaml.safe_load((FOLDER / "kserve.yaml").read_text())
    predictor = made(service, "V1beta1InferenceService").spec.predictor
    assert predictor.model.model_format.name == "tensorflow"
    with pytest.raises(KeyError, match="modelFormt"):
        made({"spec": {"predictor": {"model": {"modelFormt": {}}}}}, "V1beta1InferenceService")


def test_the_repository_is_one_to_triton_and_of_what_is_exported():
    messages = pytest.importorskip(
        "tritonclient.grpc.model_config_pb2", reason="tritonclient[grpc] is not installed"
    )
    from google.protobuf import text_format

    text = (FOLDER / "triton/cpm/config.pbtxt").read_text()
    config = text_format.Parse(text, messages.ModelConfig())
    assert config.platform == "tensorflow_savedmodel" and config.max_batch_size == 64
    # as docs/serving.md has serving_default, of 14 parts
    fields = {field.name: field for field in (*config.input, *config.output)}
    found = {
        name: (messages.DataType.Name(field.data_type), [*field.dims])
        for name, field in fields.items()
    }
    assert found == {
        "image": ("TYPE_STRING", [1]),
        "keypoints": ("TYPE_FP32", [14, 2]),
        "scores": ("TYPE_FP32", [14]),
        "error": ("TYPE_STRING", [1]),
    }
    # a text a row, and not a list of one
    for name in ("image", "error"):
        assert fields[name].HasField("reshape") and not fields[name].reshape.shape

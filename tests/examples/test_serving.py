"""What docker compose starts with is complete, can be read, and lets in nobody by itself."""

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

"""What docker compose starts with is complete and can be read."""

import re
from pathlib import Path

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

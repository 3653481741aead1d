"""What a training leaves for TensorBoard, in MLflow's own store, and in W&B's files."""

import dataclasses
import json
import struct
import sys
import types

import pytest

import keras_cpm
from keras_cpm.training import processes, trackers
from keras_cpm.training.trackers import tensorboard_callbacks
from tests.cli.running import TRAIN, failure, run

pytest.importorskip("tensorboard")
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

RECIPE = dataclasses.replace(keras_cpm.MODERN, epochs=1, batch_size=4)
LOGS = {"loss": 3.0, "stage2_loss": 1.0, "val_stage2_pck": 0.5}


@pytest.fixture
def epochs(tiny_spec, tiny_model, drawn_records, tmp_path):
    """Function: an untrained network and the losses above as epochs of a training in `folder`."""

    def go(tracker, numbers, folder=tmp_path / "run", **changes):
        folder.mkdir(exist_ok=True)
        job = types.SimpleNamespace(
            **{"model": tiny_model, "records": drawn_records[:3], "validation_records": ()},
            **{"recipe": dataclasses.replace(RECIPE, **changes), "spec": tiny_spec},
            **{"augment": None, "network": {"width": 8}, "directory": folder},
        )
        with trackers.tracked(tracker, job) as callbacks:
            for callback in callbacks:
                callback.set_model(tiny_model)
                callback.on_train_begin()
                for number in numbers:
                    callback.on_epoch_end(number, LOGS)
        return folder

    return go


@pytest.fixture
def mlflow(tmp_path, monkeypatch):
    """MLflow with a store of its own."""
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'store.db'}")
    return mlflow


@pytest.mark.slow
def test_mlflow_has_one_run_of_a_training_that_goes_on(
    mlflow, epochs, tiny_spec, drawn_records, tmp_path
):
    model = keras_cpm.build_cpm(2, tiny_spec, backbone="light", stage_block="light", width=8)
    people, folder = (drawn_records[:4], drawn_records[4:]), tmp_path / "run"
    options = {"directory": folder, "verbose": 0, "tracker": "mlflow"}
    history = keras_cpm.train(model, *people, RECIPE, tiny_spec, **options).history
    # nothing is left to do, and no run is opened
    keras_cpm.train(model, *people, RECIPE, tiny_spec, **options)
    epochs("mlflow", [1, 2], folder, epochs=3)
    (found,) = mlflow.search_runs(output_format="list")
    assert found.info.run_id == (folder / "mlflow.id").read_text().strip()
    assert (found.info.status, found.info.run_name) == ("FINISHED", "run")
    assert found.data.params["box_size"] == "64" and found.data.params["people"] == "4"
    # what it began with stays
    assert found.data.params["epochs"] == "1"
    client = mlflow.MlflowClient()
    assert {"stage1_loss", "stage2_pck", "val_stage2_pck"} <= found.data.metrics.keys()
    for name, (value,) in history.items():
        first = client.get_metric_history(found.info.run_id, name)[0]
        assert first.step == 0 and first.value == pytest.approx(value)
    steps = [point.step for point in client.get_metric_history(found.info.run_id, "stage2_loss")]
    assert steps == [0, 1, 2]
    files = [file.path for file in client.list_artifacts(found.info.run_id, "images")]
    pictures = [path for path in files if path.endswith(".png")]
    # two were held out
    assert len(pictures) == 2 and all("+step+0+" in path for path in pictures)
    assert mlflow.active_run() is None


@pytest.mark.slow
def test_mlflow_that_fails_is_said_once_and_a_run_of_others_stays_open(mlflow, epochs, monkeypatch):
    def fail(*_, **__):
        raise OSError("the network is away\nand so on")

    with mlflow.start_run() as theirs:
        with monkeypatch.context() as broken, pytest.warns(UserWarning) as said:
            broken.setattr(mlflow, "log_metrics", fail)
            epochs("mlflow", [1, 2, 3])
        (warning,) = [str(w.message) for w in said if "goes on without it" in str(w.message)]
        assert warning.startswith("mlflow failed") and warning.endswith("the network is away")
        folder = epochs("mlflow", [1])
        assert mlflow.active_run().info.run_id == theirs.info.run_id
    assert mlflow.get_run(theirs.info.run_id).data.metrics["loss"] == 3.0
    assert (folder / "mlflow.id").read_text().strip() == theirs.info.run_id


def test_where_mlflow_cannot_begin_the_training_does(mlflow, epochs, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nowhere://at.all")
    with pytest.warns(UserWarning, match="mlflow failed.*the same command again tries"):
        folder = epochs("mlflow", [0, 1])
    assert not (folder / "mlflow.id").exists()


def records_of_wandb(folder):
    """What W&B wrote: a log of LevelDB's form, of messages of its own."""
    from wandb.proto.wandb_internal_pb2 import Record

    (path,) = folder.glob("*.wandb")
    data, at, whole = path.read_bytes(), 7, b""
    while at + 7 <= len(data):
        if (left := 32768 - at % 32768) < 7:
            at += left
            continue
        size, kind = struct.unpack_from("<HB", data, at + 4)
        whole += data[at + 7 : at + 7 + size]
        at += 7 + size
        if kind in (1, 4):
            yield Record.FromString(whole)
            whole = b""


@pytest.mark.slow
def test_wandb_has_one_run_of_a_training_that_goes_on(epochs, monkeypatch):
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    folder = epochs("wandb", [0, 1])
    epochs("wandb", [2], epochs=3)
    # only then all is in the files
    wandb.teardown()
    first, second = (
        [*records_of_wandb(path)] for path in sorted(folder.glob("wandb/offline-run-*"))
    )
    number = (folder / "wandb.id").read_text().strip()
    for records, steps, count in ((first, [0, 1], 1), (second, [2], 3)):
        (begun,) = [record.run for record in records if record.WhichOneof("record_type") == "run"]
        assert (begun.run_id, begun.display_name) == (number, "run")
        config = {i.key: json.loads(i.value_json) for r in records for i in r.config.update}
        assert config["epochs"] == count and config["box_size"] == 64 and config["width"] == 8
        rows = [
            {"/".join(i.nested_key) or i.key: json.loads(i.value_json) for i in r.history.item}
            for r in records
            if r.WhichOneof("record_type") == "history"
        ]
        assert [row["epoch"] for row in rows] == [row["_step"] for row in rows] == steps
        assert all(row["val_stage2_pck"] == 0.5 for row in rows)
        assert ("person 3/path" in rows[0]) == (steps[0] == 0)
    pictures = [path.name for path in folder.glob("wandb/*/files/media/images/*.png")]
    assert sorted(name[:8] for name in pictures) == ["person 1", "person 2", "person 3"]


def test_a_library_that_is_not_there_is_said_before_anything_is_done(
    drawn_records, tiny_model, tiny_spec, tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, "wandb", None)
    options = {"directory": tmp_path / "run", "tracker": "wandb"}
    with pytest.raises(ImportError, match=r"pip install 'keras-cpm\[wandb\]'"):
        keras_cpm.train(tiny_model, drawn_records, (), RECIPE, tiny_spec, **options)
    assert not (tmp_path / "run").exists()
    with pytest.raises(ValueError, match="`tracker` must be one of"):
        trackers.check("sacred")
    keras_cpm.write_records(drawn_records[:2], tmp_path / "people.jsonl")
    words = ["train", tmp_path / "people.jsonl", "--out", tmp_path / "run", *TRAIN]
    assert "keras-cpm[wandb]" in failure(*words, "--tracker", "wandb")


def test_other_processes_than_the_first_log_nothing(epochs, monkeypatch):
    monkeypatch.setattr(processes, "is_first", lambda: False)
    assert not [*epochs("mlflow", [0]).iterdir()]


def read(folder):
    events = EventAccumulator(str(folder), size_guidance={"tensors": 0, "images": 0})
    events.Reload()
    return {tag: events.Tensors(tag) for tag in events.Tags()["tensors"]}


@pytest.mark.slow
def test_losses_pck_and_pictures(drawn_records, tmp_path):
    spec = keras_cpm.PoseSpec(box_size=64)
    model = keras_cpm.build_cpm(2, spec, backbone="light", stage_block="light", width=8)
    recipe = dataclasses.replace(keras_cpm.MODERN, epochs=3, batch_size=4)
    logs = tmp_path / "logs"
    callbacks = tensorboard_callbacks(logs, drawn_records, spec, parts=["neck", "head"], every=2)
    people = drawn_records[:4], drawn_records[4:]
    keras_cpm.train(
        model, *people, recipe, spec, directory=tmp_path / "run", verbose=0, callbacks=callbacks
    )
    learnt, validated = read(logs / "train"), read(logs / "validation")
    for name in ("epoch_stage1_loss", "epoch_stage2_loss", "epoch_stage2_pck"):
        assert [event.step for event in learnt[name]] == [0, 1, 2]
        assert len(validated[name]) == 3
    pictures = read(logs / "beliefs")
    assert sorted(pictures) == ["person 1", "person 2", "person 3"]
    assert [event.step for event in pictures["person 1"]] == [0, 2]
    width, height, *encoded = pictures["person 1"][0].tensor_proto.string_val
    # two stages beside each other, two parts above each other
    assert int(width) > 512 and int(height) > 512 and encoded[0][:4] == b"\x89PNG"


@pytest.mark.slow
def test_the_verb_logs_too(drawn_records, tmp_path):
    keras_cpm.write_records(drawn_records[:4], tmp_path / "people.jsonl")
    words = ["--out", tmp_path / "run", "--tensorboard", tmp_path / "logs"]
    run("train", tmp_path / "people.jsonl", *words, *TRAIN, "--tracker", "tensorboard")
    for logs in (tmp_path / "logs", tmp_path / "run/tensorboard"):
        assert "person 1" in read(logs / "beliefs") and "epoch_stage2_pck" in read(logs / "train")
    (text,) = read(tmp_path / "run/tensorboard/settings")["settings"]
    assert "| box_size | 64 |" in text.tensor_proto.string_val[0].decode()


def test_errors(drawn_records, tmp_path):
    spec = keras_cpm.PoseSpec(box_size=64)
    with pytest.raises(ValueError, match="at least one person"):
        tensorboard_callbacks(tmp_path, [], spec)
    with pytest.raises(ValueError, match="tail"):
        tensorboard_callbacks(tmp_path, drawn_records, spec, parts=["tail"])


def test_every_epoch_is_the_least(drawn_records, tmp_path):
    with pytest.raises(ValueError, match="`every` must be at least 1"):
        tensorboard_callbacks(tmp_path, drawn_records, keras_cpm.PoseSpec(), every=0)

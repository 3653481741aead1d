"""What a training leaves for TensorBoard."""

import dataclasses

import pytest

import keras_cpm

pytest.importorskip("tensorboard")
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from keras_cpm.training.callbacks import tensorboard_callbacks
from tests.cli.running import TRAIN, run


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
    run("train", tmp_path / "people.jsonl", *words, *TRAIN)
    assert "person 1" in read(tmp_path / "logs/beliefs")


def test_errors(drawn_records, tmp_path):
    spec = keras_cpm.PoseSpec(box_size=64)
    with pytest.raises(ValueError, match="at least one person"):
        tensorboard_callbacks(tmp_path, [], spec)
    with pytest.raises(ValueError, match="tail"):
        tensorboard_callbacks(tmp_path, drawn_records, spec, parts=["tail"])


def test_every_epoch_is_the_least(drawn_records, tmp_path):
    with pytest.raises(ValueError, match="`every` must be at least 1"):
        tensorboard_callbacks(tmp_path, drawn_records, keras_cpm.PoseSpec(), every=0)

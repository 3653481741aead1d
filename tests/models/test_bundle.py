import json
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest

import keras_cpm
from keras_cpm.export.artefact import Artefact
from keras_cpm.models import bundle
from keras_cpm.models.forward import StageBeliefs
from keras_cpm.models.person import PERSON_SPEC
from tests.data.mutations import mutated


@pytest.fixture
def folder(tiny_model, tiny_spec, tmp_path):
    keras_cpm.save_bundle(tmp_path / "bundle", tiny_model, tiny_spec)
    return tmp_path / "bundle"


def test_round_trip_keeps_outputs_and_spec(folder, tiny_model, tiny_spec):
    model, spec = keras_cpm.load(folder)
    assert spec == tiny_spec
    inputs = [np.full((1, 64, 64, 3), 99.0), np.zeros((1, 64, 64, 1))]
    for ours, theirs in zip(tiny_model(inputs), model(inputs), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_compiled_model_leaves_its_optimiser_behind(tiny_model, tiny_spec, tmp_path):
    keras_cpm.save_bundle(tmp_path / "plain", tiny_model, tiny_spec)
    keras_cpm.compile_cpm(tiny_model, spec=tiny_spec, total_steps=5)
    tiny_model.optimizer.build(tiny_model.trainable_variables)
    keras_cpm.save_bundle(tmp_path / "compiled", tiny_model, tiny_spec)
    sizes = [(tmp_path / name / "model.keras").stat().st_size for name in ("plain", "compiled")]
    assert abs(sizes[0] - sizes[1]) < 2000


def test_what_is_saved_needs_keras_only(tiny_spec, tmp_path):
    options = {"backbone": "light", "stage_block": "light", "width": 8}
    keras_cpm.save_bundle(tmp_path, keras_cpm.build_cpm(2, tiny_spec, **options), tiny_spec)
    path = str(tmp_path / "model.keras")
    code = f"import keras; print(keras.saving.load_model({path!r}).output_names)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout.strip() == "['stage1', 'stage2']", run.stderr


def test_missing_parts_are_named(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no folder nowhere.*Shipped"):
        keras_cpm.load("nowhere")
    (folder / "spec.json").rename(tmp_path / "kept.json")
    with pytest.raises(FileNotFoundError, match=r"has no spec\.json"):
        keras_cpm.load(folder)
    shutil.copy(tmp_path / "kept.json", folder / "spec.json")
    (folder / "model.keras").unlink()
    with pytest.raises(FileNotFoundError, match=r"has no model\.keras"):
        keras_cpm.load(folder)


def test_damaged_files_are_named(folder):
    whole = (folder / "model.keras").read_bytes()
    (folder / "model.keras").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"model\.keras is cut off"):
        keras_cpm.load(folder)
    (folder / "model.keras").write_bytes(whole)
    (folder / "spec.json").write_text('{"version": 99}')
    with pytest.raises(ValueError, match=r"spec\.json.*version=99"):
        keras_cpm.load(folder)


def test_model_and_spec_must_belong_together(tiny_model, tiny_spec, folder):
    with pytest.raises(ValueError, match="10 belief channels"):
        keras_cpm.save_bundle(folder, tiny_model, tiny_spec.replace(skeleton=keras_cpm.FLIC9))
    tiny_spec.replace(box_size=96).save(folder / "spec.json")
    with pytest.raises(ValueError, match="boxes of 96 pixels"):
        keras_cpm.load(folder)


def test_the_arguments_of_the_network_are_kept_beside(folder, tiny_model, tiny_spec):
    assert bundle.describe(folder) == (tiny_spec, None)
    keras_cpm.save_bundle(folder, tiny_model, tiny_spec, {"stages": 2, "width": 8})
    assert bundle.describe(folder) == (tiny_spec, {"stages": 2, "width": 8})
    keras_cpm.save_bundle(folder, tiny_model, tiny_spec)
    assert bundle.describe(folder)[1] == {"stages": 2, "width": 8}
    (folder / bundle.NETWORK_FILE).write_text("{")
    with pytest.raises(ValueError, match=r"network\.json is damaged"):
        bundle.describe(folder)
    # who only looks at a model needs no such file
    keras_cpm.load(folder)


SHIPPED_FILES = [
    file for path in bundle.shipped_bundles().values() for file in path.glob("*.tflite")
]


@pytest.mark.parametrize("file", SHIPPED_FILES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_shipped_litert_files_are_of_the_weights_beside_them(file):
    pytest.importorskip("ai_edge_litert")
    assert all(check.passed for check in keras_cpm.verify(file))
    model, spec = keras_cpm.load(file.parent)
    assert keras_cpm.PoseSpec.load(file.with_suffix(".spec.json")) == spec
    golden = np.load(file.with_suffix(".golden.npz"))
    beliefs_of = StageBeliefs(model, spec)
    # what Keras gave where the file was made; and what the file gave, of 8 bits roughly the same
    near = 0.1 if Artefact(file).read_manifest()["quantize"] == "int8" else 1e-4
    for image, keras_gave, file_gave in zip(
        golden["image"], golden["keras_beliefs"], golden["beliefs"], strict=True
    ):
        beliefs = np.asarray(beliefs_of(image[None].astype(np.float32))[-1])[0]
        np.testing.assert_allclose(beliefs, keras_gave, atol=1e-4)
        np.testing.assert_allclose(file_gave, keras_gave, atol=near)


class OwnLoss(keras.losses.Loss):
    """Says nothing of how it is made again."""

    def __init__(self, factor):
        super().__init__(name="own")
        self.factor = factor

    def call(self, y_true, y_pred):
        return self.factor * keras.ops.mean(keras.ops.square(y_true - y_pred), axis=(1, 2, 3))


@pytest.mark.parametrize("options", [{}, {"backbone": "light", "stage_block": "light"}])
def test_a_loss_of_one_s_own_stays_behind(tiny_spec, tmp_path, options):
    model = keras_cpm.build_cpm(2, tiny_spec, width=8, **options)
    model.compile("adam", {name: OwnLoss(2.0) for name in model.output_names})
    keras_cpm.save_bundle(tmp_path, model, tiny_spec)
    loaded, _ = keras_cpm.load(tmp_path)
    assert not loaded.compiled and model.compiled
    for ours, theirs in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    "policy", ["mixed_bfloat16", pytest.param("mixed_float16", marks=pytest.mark.slow)]
)
def test_a_bundle_of_mixed_precision_computes_in_float32(tiny_spec, tmp_path, policy):
    options = {"backbone": "light", "stage_block": "light", "width": 8}
    keras.config.set_dtype_policy(policy)
    try:
        model = keras_cpm.build_cpm(2, tiny_spec, **options)
        keras_cpm.save_bundle(tmp_path, model, tiny_spec)
        # one that was saved as it was
        model.save(tmp_path / "mixed.keras")
        loaded, _ = keras_cpm.load(tmp_path)
    finally:
        keras.config.set_dtype_policy("float32")
    (tmp_path / "mixed.keras").replace(tmp_path / "model.keras")
    earlier, _ = keras_cpm.load(tmp_path)
    plain = keras_cpm.build_cpm(2, tiny_spec, **options)
    plain.set_weights(model.get_weights())
    inputs = [np.full((1, 64, 64, 3), 99.0, np.float32), np.zeros((1, 64, 64, 1), np.float32)]
    for one in (loaded, earlier):
        for ours, theirs in zip(one(inputs), plain(inputs), strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_a_layer_that_no_file_can_hold_is_named(tiny_spec, tmp_path):
    def tower(x, *, width, name):
        x = keras.layers.Lambda(lambda v: v / 255, name=f"{name}_scale")(x)
        return keras.layers.Conv2D(width, 3, strides=8, padding="same", name=f"{name}_conv")(x)

    model = keras_cpm.build_cpm(2, tiny_spec, backbone=tower, stage_block="light", width=8)
    with pytest.raises(ValueError, match=r"Received: the Lambda 'stage1_scale', of which Keras"):
        keras_cpm.save_bundle(tmp_path / "bundle", model, tiny_spec)
    assert not (tmp_path / "bundle").exists()


@pytest.mark.parametrize("input_size", [None, "any"])
def test_a_spec_of_another_stride_is_refused(tiny_spec, tmp_path, input_size):
    model = keras_cpm.build_cpm(2, tiny_spec, width=8, input_size=input_size)
    keras_cpm.save_bundle(tmp_path, model, tiny_spec)
    keras_cpm.load(tmp_path)
    tiny_spec.replace(stride=4).save(tmp_path / "spec.json")
    with pytest.raises(ValueError, match=r"of 16 cells .* stride=4\). Received: 8 cells; mend"):
        keras_cpm.load(tmp_path)


def test_mutated_specs_and_networks(tiny_spec, tmp_path):
    """Each is right, or one sentence that names the file."""
    keras_cpm.save_bundle(tmp_path, keras_cpm.build_cpm(1, tiny_spec, width=8), tiny_spec)
    spec = json.loads((tmp_path / "spec.json").read_text())
    network = {"stages": 3, "width": 64, "dropout": 0.5, "backbone": "light", "input_size": None}
    sound = 0
    for seed in range(60):
        name, content = (("spec.json", spec), ("network.json", network))[seed % 2]
        tiny_spec.save(tmp_path / "spec.json")
        (tmp_path / name).write_text(mutated(content, seed), "utf-8")
        try:
            found, arguments = bundle.describe(tmp_path)
        except ValueError as error:
            assert name in str(error) and "\n" not in str(error), (seed, error)
            continue
        sound += 1
        # what is taken says the same once more, and can be drawn and built
        assert keras_cpm.PoseSpec.from_json(found.to_json()) == found
        assert isinstance(arguments, dict)
    assert 0 < sound < 60


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ([], "must be an object"),
        ({"width": 10**9}, "`width` must be a whole number, 4 to 4096. Received: width=1000000000"),
        ({"stages": True}, "`stages` must be a whole number, 1 to 64. Received: stages=True"),
        ({"colour": 1}, r"Received also: \['colour'\]"),
        ({"backbone": ["light"]}, "`backbone` must be one of"),
    ],
)
def test_arguments_that_no_network_has(folder, tiny_model, tiny_spec, network, message):
    (folder / bundle.NETWORK_FILE).write_text(json.dumps(network))
    with pytest.raises(ValueError, match=rf"network\.json is damaged.*{message}"):
        bundle.describe(folder)
    with pytest.raises(ValueError, match=message):
        keras_cpm.save_bundle(folder, tiny_model, tiny_spec, network)


def test_what_is_used_where_no_bundle_is_named(tiny_spec, tmp_path, monkeypatch):
    """A network that finds people never stands in for one of poses, whatever their names."""
    specs = {
        "a-finder": PERSON_SPEC,
        "b-poses": tiny_spec,
        "c-poses": tiny_spec,
        "d-finder": PERSON_SPEC,
    }
    for name, spec in specs.items():
        (tmp_path / name).mkdir()
        spec.save(tmp_path / name / "spec.json")
    shipped = {name: tmp_path / name for name in reversed(specs)}
    monkeypatch.setattr(bundle, "shipped_bundles", lambda: shipped)
    assert bundle.default_bundle() == "b-poses"
    assert bundle.default_person_bundle() == "a-finder"

    shipped = {name: tmp_path / name for name in specs if "poses" in name}
    with pytest.raises(ValueError, match="--person-model"):
        bundle.default_person_bundle()
    shipped = {"a-finder": tmp_path / "a-finder"}
    with pytest.raises(ValueError, match="--model"):
        bundle.default_bundle()

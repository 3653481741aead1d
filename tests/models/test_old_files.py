"""Files of earlier versions name modules that have moved; what counts are registered names."""

import json
import re
import subprocess
import sys
import zipfile

import keras
import numpy as np
import pytest

import keras_cpm
from keras_cpm.models import bundle
from keras_cpm.models.forward import StageBeliefs

# of a module today -> what it was called; the optimisers had two
MOVED = {
    "keras_cpm.models.fourier.layer": "keras_cpm.models.fast_conv",
    "keras_cpm.training.losses": "keras_cpm.losses",
    "keras_cpm.evaluation.metrics": "keras_cpm.metrics",
}
STAYED = {"keras_cpm.models.layers", "keras_cpm.models.batch_norm"}
NETWORKS = {
    "FusedAdamW": (
        keras_cpm.MODERN,
        {"backbone": "light", "stage_block": "light", "input_size": "any"},
        "keras_cpm.fused_adamw",
    ),
    "ReleaseSGD": (keras_cpm.RELEASE, {}, "keras_cpm.optimizers"),
}


def modules_of(path):
    text = zipfile.ZipFile(path).read("config.json").decode()
    return set(re.findall(r'"module": "(keras_cpm[^"]*)"', text))


def rename_modules(source, target, moved):
    """Copies a .keras file, with other names of modules in its config."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "config.json":
                text = data.decode()
                for today, before in moved.items():
                    text = text.replace(f'"{today}"', f'"{before}"')
                data = json.dumps(json.loads(text)).encode()
            new.writestr(name, data)


@pytest.fixture(
    params=[pytest.param("FusedAdamW", marks=pytest.mark.slow), "ReleaseSGD"], scope="module"
)
def old(request, tiny_spec, tmp_path_factory):
    """A folder as of an earlier version, its compiled and trained model, and the optimiser."""
    folder = tmp_path_factory.mktemp("old")
    recipe, options, optimizers = NETWORKS[request.param]
    keras.utils.set_random_seed(0)
    model = keras_cpm.build_cpm(2, tiny_spec, width=8, **options)
    keras_cpm.compile_cpm(model, recipe, tiny_spec, total_steps=10)
    inputs = {one.name: np.ones((2, 64, 64, one.shape[-1]), "float32") for one in model.inputs}
    targets = {name: np.ones((2, 8, 8, 15), "float32") for name in model.output_names}
    model.fit(inputs, targets, verbose=0)
    model.save(folder / "today.keras")
    moved = MOVED | {"keras_cpm.training.optimizers": optimizers}
    rename_modules(folder / "today.keras", folder / bundle.MODEL_FILE, moved)
    tiny_spec.save(folder / bundle.SPEC_FILE)
    found = modules_of(folder / bundle.MODEL_FILE)
    assert set(moved.values()) <= found <= set(moved.values()) | STAYED
    return folder, model, request.param


def same_beliefs(one, other, spec):
    boxes = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3)).astype("float32")
    both = (StageBeliefs(model, spec)(boxes) for model in (one, other))
    for ours, theirs in zip(*both, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5 * np.abs(theirs).max())


def test_a_bundle_loads(old, tiny_spec):
    folder, model, _ = old
    loaded, spec = keras_cpm.load(folder)
    assert spec == tiny_spec
    same_beliefs(loaded, model, spec)


def test_a_compiled_file_loads_with_its_optimiser(old, tiny_spec):
    """Keras' own function knows optimisers, losses and metrics that have been imported."""
    folder, model, optimizer = old
    loaded = keras.saving.load_model(folder / bundle.MODEL_FILE)
    same_beliefs(loaded, model, tiny_spec)
    assert type(loaded.optimizer).__name__ == optimizer
    for ours, theirs in zip(loaded.optimizer.variables, model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.slow
def test_a_bundle_loads_where_nothing_else_has_been_imported(old):
    code = f"import keras_cpm; print(keras_cpm.load({str(old[0])!r})[0].output_names)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout.strip() == "['stage1', 'stage2']", run.stderr


@pytest.mark.slow
def test_keras_reads_the_shipped_bundles():
    """One of them has a layer of this package, whose module stays where it is."""
    shipped = bundle.shipped_bundles()
    paths = [str(folder / bundle.MODEL_FILE) for folder in shipped.values()]
    assert {"keras_cpm.models.layers"} == set.union(*map(modules_of, paths))
    code = (
        "import keras, keras_cpm.models.layers\n"
        f"for path in {paths}: print(len(keras.saving.load_model(path).outputs))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    stages = [str(len(keras_cpm.load(name)[0].outputs)) for name in shipped]
    assert run.stdout.split() == stages, run.stderr


@pytest.mark.parametrize("name", bundle.shipped_bundles())
def test_shipped_bundles_load_by_name(name):
    model, spec = keras_cpm.load(name)
    assert all(stage.shape[-1] == spec.num_channels for stage in model.outputs)


def test_checkpoints_name_no_module(old, tmp_path):
    """Weights, averages and moments by number, and settings as JSON."""
    from keras_cpm.training import checkpoints

    _, model, _ = old
    saved = {"epoch": 1, "best": 0.5, "settings": {}}
    checkpoints.save(tmp_path, model, saved)
    state, arrays = checkpoints.load(tmp_path)
    assert state == saved and all(re.fullmatch(r"[a-z]+\d+", name) for name in arrays)

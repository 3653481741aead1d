"""What `import keras_cpm` alone does, in processes of their own."""

import json
import os
import subprocess
import sys

import keras
import pytest

import keras_cpm


def python(code, **environment):
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **environment}
    command = [sys.executable, "-W", "ignore", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def last_line(text):
    return text.strip().splitlines()[-1]


def test_it_loads_nothing_heavy():
    code = "import sys, keras_cpm; print({'keras', 'tensorflow', 'numpy'} & set(sys.modules))"
    assert python(code).stdout.strip() == "set()"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Files of Keras, as `fit`'s ModelCheckpoint and `model.save` leave them."""
    folder = tmp_path_factory.mktemp("files")
    spec = keras_cpm.PoseSpec(box_size=64)
    model = keras_cpm.build_cpm(2, spec, backbone="light", stage_block="light", width=8)
    model.save(folder / "plain.keras")
    metric = {"stage2": [keras_cpm.BeliefPCK(spec)]}
    model.compile("adam", keras_cpm.stage_losses(model), metrics=metric)
    keras.saving.save_model(model, folder / "adam.h5")
    keras_cpm.compile_cpm(model, spec=spec, total_steps=9)
    model.optimizer.build(model.trainable_variables)
    model.save(folder / "adamw.keras")
    keras_cpm.compile_cpm(model, keras_cpm.RELEASE, spec, total_steps=9)
    model.save(folder / "release.keras")
    return folder


LOAD = """
import glob, json, sys
found = {}
for path in sorted(glob.glob(sys.argv[1] if len(sys.argv) > 1 else FILES)):
    for compiled in (True, False):
        model = keras.models.load_model(path, compile=compiled)
        found[path.split("/")[-1] + " "[:compiled]] = [model.compiled, model.count_params()]
watching = [type(finder).__module__ for finder in sys.meta_path]
print(json.dumps([found, watching]))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "head",
    [
        "import keras, keras_cpm",
        "import keras_cpm, keras",
        # a module of ours that waits for Keras when it comes
        "from keras_cpm.pose import codec; import keras",
        "from keras_cpm.models import bundle; import keras",
    ],
)
def test_files_of_keras_load_in_a_new_process(files, head):
    done = python(f"{head}\nFILES = {str(files / '*')!r}\n{LOAD}")
    assert done.returncode == 0, done.stderr[-2000:]
    found, watching = json.loads(last_line(done.stdout))
    # what waited for Keras has left
    assert "keras_cpm" not in watching
    count = keras.models.load_model(files / "plain.keras").count_params()
    compiled = {name: [name.endswith(" ") and "plain" not in name, count] for name in found}
    assert found == compiled and len(found) == 8


@pytest.mark.slow
def test_two_threads_may_import_at_the_same_time(files):
    head = """
import threading, keras_cpm
def first():
    keras_cpm.Predictor
failures = []
threading.excepthook = lambda hook: failures.append(hook.exc_value)
worker = threading.Thread(target=first)
worker.start()
import keras
worker.join()
print(failures)
"""
    done = python(f"{head}\nFILES = {str(files / 'plain.keras')!r}\n{LOAD}")
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(json.loads(last_line(done.stdout))[0]) == 2 and done.stdout.startswith("[]")


@pytest.mark.slow
def test_files_load_under_jax(files):
    pytest.importorskip("jax")
    environment = {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    code = f"import keras_cpm, keras\nFILES = {str(files / 'plain.keras')!r}\n{LOAD}"
    done = python(code, **environment)
    assert len(json.loads(last_line(done.stdout))[0]) == 2, done.stderr[-2000:]


@pytest.mark.parametrize("backend", ["torch", "theano", "numpy"])
def test_another_backend_is_refused_before_keras_is_loaded(backend):
    code = "import keras_cpm; print(keras_cpm.PoseSpec().box_size); keras_cpm.build_cpm"
    done = python(code, KERAS_BACKEND=backend)
    # what needs no Keras goes on
    assert done.stdout.strip() == "368"
    assert last_line(done.stderr).startswith(
        'ValueError: keras_cpm needs Keras\' `backend` to be "tensorflow" or "jax"; '
    )
    received = f"Received: backend={backend!r}"
    assert "KERAS_BACKEND" in done.stderr and received in done.stderr
    code = "from keras_cpm.cli.main import main; main(['doctor'])"
    done = python(code, KERAS_BACKEND=backend)
    (line,) = [line for line in done.stdout.splitlines() if "backend" in line]
    assert line.startswith("mend    keras_cpm needs") and line.endswith(received)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"backend": "torch"}, "Received: backend='torch'"),
        ({"image_data_format": "channels_first"}, "Received: image_data_format='channels_first'"),
        ({"floatx": "float64"}, "Received: floatx='float64'"),
        ([1], "must hold an object"),
    ],
)
def test_the_file_of_keras_is_named(tmp_path, said, message):
    (tmp_path / "keras.json").write_text(json.dumps(said))
    environment = {"KERAS_HOME": str(tmp_path)}
    done = python("import keras_cpm; keras_cpm.build_cpm", **environment)
    assert message in last_line(done.stderr) and str(tmp_path / "keras.json") in done.stderr
    # the command line says the same, and how it is
    code = "from keras_cpm.cli.main import main; main()"
    for verb in ("predict", "doctor"):
        done = python(code.replace("main()", f"main([{verb!r}])"), **environment)
        assert message in done.stdout + done.stderr and done.returncode == 1
        assert "Traceback" not in done.stderr
    assert python(code.replace("main()", "main(['predict', '--help'])"), **environment).stdout

# %% [markdown]
# # Serve it and ship it
#
# From the trained model to a SavedModel for TensorFlow Serving and LiteRT files for phones, each of which proves that it gives
# the same keypoints.

# %% tags=["install"]
# %pip install -q "keras-cpm[mobile,quantize] @ git+REPOSITORY"

# %%
import os

import numpy as np
import tensorflow as tf

import keras_cpm
from keras_cpm.export import compare

SMOKE = bool(os.environ.get("KERAS_CPM_SMOKE"))  # a small run, for tests
tf.get_logger().setLevel("ERROR")  # it announces every file

# %%
model, spec = keras_cpm.load("cpm-light-lsp")
people = keras_cpm.draw_records("people", 6 if SMOKE else 40, others=0, occluders=0)
pose = keras_cpm.Predictor(model, spec)(people[0].image)

# %% [markdown]
# ## A SavedModel
#
# It takes the bytes of photographs of any size and gives keypoints in their pixels; a bad one costs its own row alone.

# %%
keras_cpm.export_saved_model(model, spec, "served/cpm")
serve = tf.saved_model.load("served/cpm/1").signatures["serving_default"]
bytes_of_files = [tf.io.read_file(people[0].image), tf.constant(b"no photograph")]
answer = serve(image=tf.stack(bytes_of_files))
print("difference:", np.abs(answer["keypoints"][0] - pose.keypoints).max(), "pixels")
print("errors:", answer["error"].numpy().tolist())

# %% [markdown]
# A running server is asked by a client (`pip install "keras-cpm[serving]"` where it runs); here is no server, so this shows the
# lines only.
#
# ```python
# client = keras_cpm.Client("grpc://localhost:8500", "served/cpm/spec.json")
# pose = client("photo.jpg", box=(40, 20, 210, 380))
# ```
#
# `docs/serving.md` starts one.

# %% [markdown]
# ## LiteRT
#
# One file a phone, with float, half, or 8-bit numbers inside. 8-bit features need some people to be fitted to; with 8 bits
# two peaks that are nearly as high may change places.

# %%
kinds = ["none", "int8"] if SMOKE else ["none", "float16", "dynamic", "int8"]
for kind in kinds:
    path = f"phone/{kind}.tflite"
    keras_cpm.export_tflite(model, spec, path, quantize=kind, calibration=people)
    moved = compare.compare(model, spec, people, path)
    half, most = np.percentile(moved.displacements, [50, 95])
    print(
        f"{kind:8s} {moved.size / 1e6:5.2f} MB, half of the keypoints move by less than {half:.3f} pixels,"
    )
    print(f"{'':17s} 95 % of them by less than {most:.2f}")

# %% [markdown]
# ## It proves itself
#
# Checksums, signatures and golden vectors lie beside every export: copy the folder to the phone's build machine, and ask there.

# %%
for check in keras_cpm.verify("phone/none.tflite"):
    print("ok" if check.passed else "FAILED", check.name, "-", check.seen)

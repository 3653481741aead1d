# %% [markdown]
# # A pose in two minutes
#
# A Convolutional Pose Machine finds the parts of a person: one *belief map* a part says where it may be, and each
# *stage* reads the beliefs of the stage before. This notebook loads a trained one and looks at a picture with it.

# %% tags=["install"]
# %pip install -q "keras-cpm @ git+REPOSITORY"

# %%
import os

import matplotlib.pyplot as plt

import keras_cpm
from keras_cpm.images.decode import upright_array

SMOKE = bool(os.environ.get("KERAS_CPM_SMOKE"))  # a small run, for tests

# %% [markdown]
# ## A picture
#
# Give the path of a photograph of your own, and where the person stands in it: `box=(x0, y0, x1, y1)`, or `None` where they fill
# it. Without a photograph a person is drawn: the model learnt from photographs and is less sure of drawings.

# %%
photograph, box = None, None  # "me.jpg", (40, 20, 210, 380)
if photograph is None:
    drawn = keras_cpm.draw_records("people", 1, seed=4, others=0, occluders=0)[0]
    photograph, box = drawn.image, drawn.people[0].box
image = upright_array(photograph)
plt.imshow(image)
_ = plt.axis("off")

# %% [markdown]
# ## The pose
#
# `load` knows the models that come with the package. Keypoints are x, y in pixels of the photograph; (0, 0) is the middle of
# the first pixel. A score is the height of the belief: about 1 where the network is sure.

# %%
model, spec = keras_cpm.load("cpm-light-lsp")
predictor = keras_cpm.Predictor(model, spec, flip=True)
pose = predictor(photograph, box=box)
for part, (x, y), score in zip(pose.parts, pose.keypoints, pose.scores):
    print(f"{part:15s} {x:6.1f} {y:6.1f}   {score:.2f}")

# %%
# names=True writes names and scores, too
plt.imshow(keras_cpm.draw_pose(image, pose, spec.skeleton))
_ = plt.axis("off")

# %% [markdown]
# ## Stage by stage
#
# Stage 1 has only looked at small windows of the picture. The later stages have read its beliefs, too.

# %%
plt.figure(figsize=(10, 7))
plt.imshow(keras_cpm.draw_stages(image, pose, ["head", "right_wrist"]))
_ = plt.axis("off")

# %% [markdown]
# ## Five lines of Keras
#
# The model is a plain Keras model: `compile`, `fit` and `save` are Keras' own. Here a small one learns to find drawn people.

# %%
small = keras_cpm.PoseSpec(box_size=96, part_sigma=9.0)
people = keras_cpm.draw_records("drawn", 40 if SMOKE else 1000)
network = keras_cpm.build_cpm(2, small, backbone="light", stage_block="light", width=32)
dataset = keras_cpm.make_dataset(people, small, stages=2, batch_size=8, shuffle=True)
network.compile("adam", loss=keras_cpm.stage_losses(network))
history = network.fit(dataset, epochs=1 if SMOKE else 10, shuffle=False, verbose=2)

# %% [markdown]
# The sum of the stages' losses falls. `02_your_own_skeleton` goes on with labels of your own, and measures.

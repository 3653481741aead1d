# %% [markdown]
# # What it looks at
#
# tf-keras-vis on a network whose outputs are maps. A score that means something for a belief map is its peak, or the belief at a
# point; the mean over a map, which suits classes, says nothing here. `keras_cpm.explain` brings the two together.

# %% tags=["install"]
# %pip install -q "keras-cpm[vis] @ git+REPOSITORY"

# %%
import os

import matplotlib.pyplot as plt
import numpy as np

import keras_cpm
from keras_cpm.data.crop import network_box
from keras_cpm.pose import geometry
from keras_cpm.visualization.beliefs import heat_over
from keras_cpm.visualization.saliency import METHODS, concentration, maximize

SMOKE = bool(os.environ.get("KERAS_CPM_SMOKE"))  # a small run, for tests

# %%
model, spec = keras_cpm.load("cpm-light-lsp")
record = keras_cpm.draw_records("people", 1, seed=4, others=0, occluders=0)[0]
box, network_from_image = network_box(record, spec)
part = "left_knee"
point = geometry.apply(network_from_image, record.people[0].keypoints[spec.skeleton.index(part)])

# %% [markdown]
# ## Four methods, one part, the last stage
#
# The number says how many times more of a map lies within a tenth of the person around the labelled part than elsewhere.

# %%
methods = METHODS[:2] if SMOKE else METHODS
figure, axes = plt.subplots(1, 1 + len(methods), figsize=(12, 3))
axes[0].imshow(box)
for axis, method in zip(axes[1:], methods):
    heat = keras_cpm.explain(model, spec, box, part, method=method)
    axis.imshow(heat, cmap="magma")
    axis.set_title(f"{method}: {concentration(heat, point, spec.person_height / 10):.1f}x")
for axis in axes:
    axis.axis("off")

# %% [markdown]
# ## Stage by stage
#
# Stage 1 sees the knee alone; later stages look at the rest of the body to decide whose knee it is.

# %%
figure, axes = plt.subplots(1, 3, figsize=(12, 4))
for stage, axis in enumerate(axes, 1):
    heat = keras_cpm.explain(model, spec, box, part, stage=stage, method="saliency")
    axis.imshow(heat_over(box, np.sqrt(heat)))
    axis.set_title(f"stage {stage}")
    axis.axis("off")

# %% [markdown]
# ## What a part likes best
#
# The box that makes the belief in its middle as high as possible, found by climbing the gradient from noise.

# %%
plt.imshow(maximize(model, spec, part, stage=1, steps=5 if SMOKE else 200))
_ = plt.axis("off")

# %% [markdown]
# # Inside a Convolutional Pose Machine
#
# Figures 1, 2 and 7 of the paper on a picture of your own: what each stage can see, what it believes, and what the center map
# does.

# %% tags=["install"]
# %pip install -q "keras-cpm[vis] @ git+REPOSITORY"

# %%
import os

import matplotlib.pyplot as plt
import numpy as np

import keras_cpm
from keras_cpm.data.crop import network_box
from keras_cpm.images.decode import upright_array
from keras_cpm.models.receptive_field import receptive_field
from keras_cpm.pose import codec
from keras_cpm.visualization.saliency import concentration

SMOKE = bool(os.environ.get("KERAS_CPM_SMOKE"))  # a small run, for tests

# %%
people = keras_cpm.draw_records("people", 4, seed=57, others=1, occluders=0)
record = people[0]  # or your own: Record("me.jpg", (height, width), parts, (person,))
image = upright_array(record.image)
model, spec = keras_cpm.load("cpm-light-lsp")
names = model.output_names

# %% [markdown]
# ## How far a stage sees
#
# The theoretical receptive field of one belief, in pixels of the network box: every stage adds to it (Sec. 3.2.1). The paper
# speaks of 160 pixels in stage 1 and 400 in stage 2, with pools of 2x2; those of the released network are 3x3 and see 7 pixels more.

# %%
paper = keras_cpm.build_cpm(stages=3)
for name in names:
    sides = receptive_field(model, name, "image"), receptive_field(paper, name, "image")
    print(
        f"{name}: {sides[0]} pixels of {spec.box_size} here, {sides[1]} of 368 in the paper's network"
    )

# %% [markdown]
# Not all of it counts alike. The *effective* receptive field is where the gradient of one belief has its energy (Luo et al. 2016).

# %%
boxes = np.stack([network_box(person, spec)[0] for person in people[: 1 if SMOKE else 4]])
figure, axes = plt.subplots(1, len(names), figsize=(10, 3.5))
for stage, axis in enumerate(axes, 1):
    field = keras_cpm.effective_receptive_field(model, spec, "left_elbow", boxes, stage=stage)
    near = concentration(field, (spec.center, spec.center), spec.box_size / 8)
    axis.imshow(np.sqrt(field), cmap="magma")
    axis.set_title(f"stage {stage}: {near:.0f}x in the middle")
    axis.axis("off")

# %% [markdown]
# ## What a stage believes
#
# Figure 7: parts that look alike are mixed up in stage 1 and told apart later.

# %%
predictor = keras_cpm.Predictor(model, spec)
pose = predictor(record.image, box=record.people[0].box)
plt.figure(figsize=(10, 10))
plt.imshow(keras_cpm.draw_stages(image, pose, ["right_elbow", "left_elbow", "left_ankle"]))
_ = plt.axis("off")

# %% [markdown]
# ## Who is meant
#
# With two people in the box the *center map*, a Gaussian in the middle, says who is meant: move the box, and the answer moves.

# %%
figure, axes = plt.subplots(1, 2, figsize=(10, 5))
for axis, person in zip(axes, record.people):
    pose = predictor(record.image, box=person.box)
    axis.imshow(keras_cpm.draw_pose(image, pose, spec.skeleton))
    axis.axis("off")

# %% [markdown]
# And without it: the same network with an empty center map. From stage 2 on it does not know whom to choose.

# %%
crop = network_box(record, spec)[0][None].astype("float32")
center = codec.encode_center([spec.center] * 2, spec)[None].numpy()
for title, given in (("with", center), ("without", np.zeros_like(center))):
    beliefs = model.predict_on_batch([crop, given])
    heights = [float(np.max(stage[0, ..., : spec.num_parts], (0, 1)).mean()) for stage in beliefs]
    print(f"{title:8s} the center map: mean of the parts' highest beliefs", np.round(heights, 2))

# %% [markdown]
# # Your own skeleton
#
# From labels made in a COCO tool to a trained and measured model. The example is a quadruped that the package draws; put the
# file and the folder of your own in its place.

# %% tags=["install"]
# %pip install -q "keras-cpm @ git+REPOSITORY"

# %%
import dataclasses
import os

import matplotlib.pyplot as plt

import keras_cpm
from keras_cpm.data.checks.check import check
from keras_cpm.images.decode import upright_array
from keras_cpm.models.transfer import transfer_weights
from keras_cpm.visualization.plots import plot_training
from keras_cpm.visualization.pose import draw_keypoints

SMOKE = bool(os.environ.get("KERAS_CPM_SMOKE"))  # a small run, for tests

# %% [markdown]
# ## Labels
#
# A COCO tool writes one JSON file: categories with names of keypoints and a skeleton, images, annotations. Names that begin
# with left and right are taken for mirror images. Here the file is made of drawn animals.

# %%
drawn = keras_cpm.draw_records("animals", 60 if SMOKE else 1200, figure=keras_cpm.QUADRUPED)
images = keras_cpm.write_coco(drawn, "animals.json", category="animal")
skeleton = keras_cpm.coco_skeleton("animals.json")
animals = keras_cpm.load_coco("animals.json", images)
print(skeleton.parts, len(animals), "animals")

# %% [markdown]
# ## Look before you train
#
# `check` finds what is usually wrong: x and y swapped, sides mixed up, boxes of an impossible size.

# %%
for finding in check(animals):
    print(finding)
person = animals[0].people[0]
image = upright_array(animals[0].image)
plt.imshow(draw_keypoints(image, person.keypoints, person.visible, skeleton))
_ = plt.axis("off")

# %% [markdown]
# ## Fine-tune the shipped model
#
# It knows people, not animals; its features of edges and limbs serve all the same. What depends on the parts starts anew.

# %%
trained, base = keras_cpm.load("cpm-light-lsp")
spec = base.replace(skeleton=skeleton, box_size=96)
network = {"stages": 3, "backbone": "light", "stage_block": "light", "width": 128}
model = keras_cpm.build_cpm(spec=spec, **network)
fresh = transfer_weights(trained, model, same_parts=False)
print("start anew:", ", ".join(fresh))

# %%
held_out, learnt = animals[: len(animals) // 10], animals[len(animals) // 10 :]
recipe = dataclasses.replace(
    keras_cpm.MODERN, epochs=1 if SMOKE else 6, batch_size=8, warmup_steps=20, ema=0.9
)
no_mirror = keras_cpm.AugmentSpec(flip_probability=0.0)  # shade tells left from right here
options = {"directory": "animal", "augment": no_mirror, "verbose": 2}
history = keras_cpm.train(model, learnt, held_out, recipe, spec, **options)

# %% [markdown]
# Loss and PCK of every stage; stage 1 sees least and stays behind.

# %%
plt.figure(figsize=(12, 4))
plt.imshow(plot_training("animal/log.csv", "animal/training.png"))
_ = plt.axis("off")

# %% [markdown]
# ## Measure
#
# PCK@0.2: the share of parts found within a fifth of the animal's size, in percent, part by part and stage by stage.

# %%
result = keras_cpm.evaluate(model, held_out, spec)
for stage, scores in result.scores(0.2).items():
    (metric,) = scores.values()
    print(stage, f"{metric['total']:.1f}")

# %%
model, spec = keras_cpm.load("animal")
animal = held_out[0]
pose = keras_cpm.Predictor(model, spec)(animal.image, box=animal.people[0].box)
plt.imshow(keras_cpm.draw_pose(upright_array(animal.image), pose, skeleton))
_ = plt.axis("off")

"""`python in_tensorflow_215.py EXPORT OUT.npz` in an environment of TensorFlow 2.15.1 and
tensorflow-addons: asks an export of ours for its golden vectors, and fine-tunes it.

Writes how far keypoints are from the golden ones, the losses of each step, the weights that come of
them, and what the SavedModel then believes of `image`.
"""

import sys

import numpy as np
import tensorflow as tf
import tensorflow_addons as tfa


def displacement(served, golden):
    """Pixels, the largest of both signatures."""
    ends = np.cumsum(golden["lengths"])
    data = golden["encoded"].tobytes()
    images = [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    found = {
        "serving_default": served.signatures["serving_default"](image=tf.constant(images)),
        "boxes": served.signatures["boxes"](
            image=tf.constant(images), box=tf.constant(golden["box"])
        ),
    }
    return max(
        np.linalg.norm(outputs["keypoints"] - golden[f"{name}_keypoints"], axis=-1).max()
        for name, outputs in found.items()
    )


def fine_tune(served, image, steps):
    """The losses on the way to beliefs of nothing, and the share of weights with a gradient."""
    beliefs = served.signatures["beliefs"]
    variables = [variable for variable in served.weights if variable.trainable]
    optimizer = tfa.optimizers.MovingAverage(
        tfa.optimizers.AdamW(weight_decay=1e-6, learning_rate=1e-3), average_decay=0.9
    )
    losses = []
    for _ in range(steps):
        with tf.GradientTape() as tape:
            loss = tf.add_n([tf.nn.l2_loss(stage) for stage in beliefs(image=image).values()])
        gradients = tape.gradient(loss, variables)
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
        losses.append(float(loss))
    return losses, sum(gradient is not None for gradient in gradients) / len(variables)


def main(export, out):
    served = tf.saved_model.load(f"{export}/1")
    golden = np.load(f"{export}/golden.npz")
    moved = displacement(served, golden)
    side = served.signatures["beliefs"].structured_input_signature[1]["image"].shape[1]
    image = np.random.default_rng(0).uniform(0, 255, (2, side, side, 3)).astype(np.float32)
    losses, share = fine_tune(served, tf.constant(image), 4)
    believed = served.signatures["beliefs"](image=tf.constant(image))
    np.savez(
        out,
        tensorflow=tf.__version__,
        displacement=moved,
        losses=losses,
        share=share,
        image=image,
        **believed,
        **{f"weight{i}": variable.numpy() for i, variable in enumerate(served.weights)},
    )


if __name__ == "__main__":
    main(*sys.argv[1:])

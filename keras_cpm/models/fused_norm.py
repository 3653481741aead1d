"""Batch normalisation as one TensorFlow operation."""

import tensorflow as tf


def fused_norm(inputs, gamma, beta, epsilon):
    """Normalises with the statistics of the batch.

    Args:
        inputs: (B, H, W, C).
        gamma: (C,) float32.
        beta: (C,) float32.
        epsilon: float, added to the variance.

    Returns:
        outputs like inputs, mean (C,) and variance (C,), float32.

    Example:
        >>> import tensorflow as tf
        >>> from keras_cpm.models.fused_norm import fused_norm
        >>> x = tf.reshape(tf.range(8.0), (2, 2, 2, 1))
        >>> outputs, mean, variance = fused_norm(x, tf.ones(1), tf.zeros(1), 1e-3)
        >>> float(mean[0]), round(float(variance[0]), 4)
        (3.5, 5.25)
    """
    outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=inputs, scale=gamma, offset=beta, mean=[], variance=[], epsilon=epsilon, is_training=True
    )
    # the operation gives the variance of the population, Keras keeps that of the batch
    count = tf.cast(tf.size(inputs) // tf.shape(inputs)[-1], tf.float32)
    return outputs, mean, variance * (count - 1) / count

"""An image and where the person is -> a `Pose` in the pixels of that image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..images import decode, sampling
from ..models import bundle
from ..pose import codec, geometry, multiscale
from ..pose.arithmetic import by_numpy, tf, traced
from ..pose.pose import Pose
from ..pose.spec import Array, PoseSpec
from .engine import stage_beliefs

if TYPE_CHECKING:
    import keras

    from ..models.litert.network import LiteRTNetwork

# crops a batch: 16 of 368 pixels hold 1.1 GB in the released network's first layer
_BATCH = 16


class Predictor:
    """Finds one person's pose in an image.

    Threads may share it: photographs are read at the same time, the network runs for one after the
    other. Weights that change are followed; a copy, also by pickle, has a model of its own.

    Args:
        model: `keras.Model` as `build_cpm` makes it, or a `LiteRTNetwork`, see `engine.load`.
        spec: `PoseSpec` of the model.
        scales: zooms of the person at which the network looks; their beliefs are averaged.
        flip: also looks at the mirror image, and averages.
        refine: how peaks are read, see `codec.decode`.
        merge: where the beliefs of several scales meet. "box": on a grid of a quarter of the stride
            in the network box. "image": at every pixel of the photograph, as in the release's
            benchmark; see `multiscale.decode_on_image`.

    Raises:
        ValueError: model and spec do not belong together, no scale, a scale that is not positive,
            an unknown `refine` or `merge`.

    Example:
        >>> import numpy as np, keras_cpm
        >>> spec = keras_cpm.PoseSpec(box_size=64)
        >>> predictor = keras_cpm.Predictor(keras_cpm.build_cpm(2, spec, width=8), spec, flip=True)
        >>> pose = predictor(np.zeros((480, 640, 3)), center=(310, 204), person_height=280)
        >>> pose.keypoints.shape
        (14, 2)
    """

    def __init__(
        self,
        model: keras.Model | LiteRTNetwork,
        spec: PoseSpec,
        *,
        scales: Sequence[float] = (1.0,),
        flip: bool = False,
        refine: str = "log",
        merge: str = "box",
    ) -> None:
        bundle.check_model(model, spec)
        scales = tuple(scales)
        if not scales or not all(0 < scale < np.inf for scale in scales):
            raise ValueError(
                f"`scales` must be positive factors, at least one. Received: scales={scales!r}"
            )
        if refine not in codec.REFINEMENTS:
            raise ValueError(
                f"`refine` must be one of {list(codec.REFINEMENTS)}. Received: refine={refine!r}"
            )
        if merge not in ("box", "image"):
            raise ValueError(f'`merge` must be "box" or "image". Received: merge={merge!r}')
        self.model, self.spec, self.refine, self.merge = model, spec, refine, merge
        self.scales, self.flip = scales, flip
        self._stages = stage_beliefs(model, spec)

    def __call__(
        self,
        image: Path | str | bytes | Array,
        *,
        center: Array | None = None,
        person_height: float | None = None,
        box: Array | None = None,
    ) -> Pose:
        """Predicts.

        Args:
            image: path, bytes of an image file, or array (H, W, 3) RGB 0..255.
            center: (x, y) of the person, image frame; together with `person_height`.
            person_height: pixels; MPII: 200 x `scale`.
            box: (x0, y0, x1, y1) around the person, image frame. Its longest side counts as the
                height. With neither, the person is taken to fill the image
                (`geometry.network_from_size`).

        Returns:
            `Pose`.

        Raises:
            FileNotFoundError, ValueError: one sentence about the image, the box, or the centre.
        """
        return self.predict_people(
            image, [{"center": center, "person_height": person_height, "box": box}]
        )[0]

    def predict_people(
        self, image: Path | str | bytes | Array, places: Sequence[dict[str, Any]]
    ) -> list[Pose]:
        """Predicts several people of one image, all in one batch.

        Args:
            image: see `__call__`.
            places: list of dicts, one a person, each with "box", or with "center" and
                "person_height", or empty; see `__call__`.

        Returns:
            list of `Pose`, in the order of `places`.

        Example:
            >>> import numpy as np, keras_cpm
            >>> spec = keras_cpm.PoseSpec(box_size=64)
            >>> predictor = keras_cpm.Predictor(keras_cpm.build_cpm(2, spec, width=8), spec)
            >>> boxes = [{"box": (10, 10, 90, 200)}, {"box": (80, 20, 160, 220)}]
            >>> len(predictor.predict_people(np.zeros((240, 320, 3)), boxes))
            2
        """
        pixels, upright_from_stored = decode.open_image(image)
        size = geometry.upright_size(tf.shape(pixels)[:2], upright_from_stored)
        return self.predict_opened(pixels, upright_from_stored, size, places)

    def predict_opened(
        self,
        pixels: Array,
        upright_from_pixels: Array,
        size: Array,
        places: Sequence[dict[str, Any]],
    ) -> list[Pose]:
        """`predict_people` for a photograph that is open, of which there may be pixels of another
        resolution, see `images.sampling.at_side`.

        Args:
            pixels: (H, W, 3) RGB 0..255.
            upright_from_pixels: (3, 3) from there to the image frame.
            size: (height, width) of the image.
            places: image frame, see `predict_people`.

        Returns:
            list of `Pose`, image frame.

        Example:
            >>> import numpy as np, keras_cpm
            >>> spec = keras_cpm.PoseSpec(box_size=64)
            >>> predictor = keras_cpm.Predictor(keras_cpm.build_cpm(2, spec, width=8), spec)
            >>> half, image_from_half = np.zeros((120, 160, 3)), keras_cpm.geometry.resize_matrix(2)
            >>> places = [{"box": (10, 10, 90, 200)}]
            >>> len(predictor.predict_opened(half, image_from_half, (240, 320), places))
            1
        """
        if not places:
            return []
        size, matrices = np.asarray(size), []
        for number, place in enumerate(places):
            try:
                # of so little, to call one operation after the other would be all of the time
                with by_numpy():
                    matrices.append(self._place(size, **place))
            except ValueError as error:
                which = f"Person {number + 1} of {len(places)}: " if len(places) > 1 else ""
                raise ValueError(f"{which}{error}") from None
        crops = [self._crops(pixels, upright_from_pixels, matrix) for matrix in matrices]
        stages = self._run(np.asarray(tf.concat(crops, axis=0)))
        # of each person (Z, T, h, w, C)
        by_zoom = list(np.stack([self._straight(stage) for stage in stages], axis=2))
        return self._read(by_zoom, matrices, size)

    def _place(self, size, center=None, person_height=None, box=None):
        if box is not None:
            if center is not None or person_height is not None:
                raise ValueError(
                    "Give either `box` or `center` and `person_height`. Received: both"
                )
            return geometry.network_from_box(_checked_box(box, np.asarray(size)), self.spec)
        if (center is None) != (person_height is None):
            raise ValueError(
                "`center` and `person_height` belong together. "
                f"Received: center={center!r}, person_height={person_height!r}"
            )
        if center is None:
            return geometry.network_from_size(size, self.spec)
        if (
            np.shape(center) != (2,)
            or not np.isfinite(center).all()
            or not 0 < person_height < np.inf
        ):
            raise ValueError(
                "`center` must be a finite (x, y) and `person_height` positive, in image pixels. "
                f"Received: center={center!r}, person_height={person_height!r}"
            )
        return geometry.network_from_image(center, person_height, self.spec)

    def _run(self, crops):
        """(n, H, W, 3) -> list of T arrays (n, h, w, C)."""
        firsts = range(0, len(crops), _BATCH)
        chunks = [self._stages(crops[first : first + _BATCH]) for first in firsts]
        return [np.concatenate(stage) for stage in zip(*chunks, strict=True)]

    def _zoomed(self, network_from_image):
        """A matrix a scale."""
        with by_numpy():
            return [
                geometry.compose(geometry.zoomed_from_network(scale, self.spec), network_from_image)
                for scale in self.scales
            ]

    def _crops(self, pixels, upright_from_stored, network_from_image):
        """(n, H, W, 3): one crop a scale, then the same mirrored."""
        matrices = self._zoomed(network_from_image)
        fill, side = self.spec.pad_value, self.spec.box_size
        crops = _crop_all(pixels, upright_from_stored, matrices, fill, side)
        return tf.concat([crops, tf.reverse(crops, [2])], 0) if self.flip else crops

    def _read(self, by_zoom, matrices, size):
        merged = [self._merge(one) for one in by_zoom]
        beliefs, spec = [one for one, _ in merged], merged[0][1]
        if self.merge == "image":
            found = [
                multiscale.decode_on_image(
                    one, self._zoomed(matrix), size, self.spec, refine=self.refine
                )
                for one, matrix in zip(by_zoom, matrices, strict=True)
            ]
        else:
            found = self._in_boxes(beliefs, matrices, spec)
        read = [tuple(map(np.asarray, one)) for one in found]
        return [
            Pose(
                keypoints=keypoints[-1],
                scores=scores[-1],
                parts=self.spec.skeleton.parts,
                stage_keypoints=keypoints,
                stage_scores=scores,
                beliefs=list(seen),
                network_from_image=np.asarray(matrix),
                spec=spec,
            )
            for seen, matrix, (keypoints, scores) in zip(beliefs, matrices, read, strict=True)
        ]

    def _in_boxes(self, beliefs, matrices, spec):
        """Keypoints (T, P, 2), image frame, and scores (T, P) of each person, all read at once."""
        keypoints, scores = codec.decode(np.concatenate(beliefs), spec, refine=self.refine)
        shape = (len(matrices), len(beliefs[0]), spec.num_parts)
        image_from_network = geometry.invert(tf.stack(matrices))
        keypoints = np.asarray(keypoints).reshape(len(matrices), -1, 2)
        keypoints = np.asarray(geometry.apply(image_from_network, keypoints))
        return zip(keypoints.reshape(*shape, 2), np.asarray(scores).reshape(shape), strict=True)

    def _straight(self, stage):
        """Beliefs of one stage at all places, (N, Z, h, w, C) of N people and Z scales, averaged
        with those of the mirror images.
        """
        by_crop = stage.reshape(-1, 1 + self.flip, len(self.scales), *stage.shape[1:])
        if not self.flip:
            return by_crop[:, 0]
        straight, mirrored = by_crop[:, 0], by_crop[:, 1].reshape(-1, *stage.shape[1:])
        mirrored = np.asarray(codec.mirror(mirrored, self.spec))
        return (straight + mirrored.reshape(straight.shape)) / 2

    def _merge(self, by_zoom):
        """(Z, T, h, w, C) of all scales -> (T, h, w, C) in the box, and the spec to read it."""
        if self.scales == (1.0,):
            return by_zoom[0], self.spec
        merged, spec = multiscale.merge_zooms(by_zoom, self.scales, self.spec)
        return np.asarray(merged), spec


@traced(reduce_retracing=True, autograph=False)
def _crop_all(pixels, upright_from_stored, matrices, fill, side):
    """(n, H, W, 3): a crop for each of n matrices.

    It takes numbers of a spec, because TensorFlow traces numbers once and objects again.
    """
    spec = PoseSpec(box_size=side, pad_value=fill)
    # not once a crop
    pixels = tf.cast(pixels, tf.float32)
    return tf.stack([sampling.crop(pixels, upright_from_stored, m, spec) for m in matrices])


def _checked_box(box, size):
    height, width = size
    if (
        np.shape(box) != (4,)
        or not np.isfinite(box).all()
        or not (box[0] < box[2] and box[1] < box[3])
    ):
        raise ValueError(
            "`box` must be (x0, y0, x1, y1) with x0 < x1 and y0 < y1, in image pixels. "
            f"Received: box={box!r}"
        )
    if box[2] < 0 or box[3] < 0 or box[0] > width - 1 or box[1] > height - 1:
        raise ValueError(
            f"`box` must overlap the image of {width} x {height} pixels (width x height). "
            f"Received: box={box!r}"
        )
    return box

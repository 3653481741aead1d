"""`PoseMachine`: the predecessor of the network, forests over hand-made features in stages.

Ramakrishna, Munoz, Hebert, Bagnell, Sheikh, "Pose Machines: Articulated Pose Estimation via
Inference Machines", ECCV 2014: [29] of the paper, which says of it what Section 3.1 has. In every
stage and for every level, from single parts to the whole body, a classifier gives each cell a
probability for each part; from stage 2 on it is told what all levels believed before.
"""

import dataclasses
import types
import zipfile
import zlib
from pathlib import Path

import cv2
import numpy as np

from ..images import limits, marks
from ..pose import output
from ..pose.spec import PoseSpec
from .context_features import Context, as_bytes, num_features_of
from .forests import load_forest, nodes_of, num_classes, predict_forest
from .hand_features import FEATURES, cell_features, hand_features, pyramid

_ARMS_AND_LEGS = tuple(
    tuple(f"{side}_{part}" for part in limb)
    for limb in (("shoulder", "elbow", "wrist"), ("hip", "knee", "ankle"))
    for side in ("right", "left")
)
_TRUNK = ("right_shoulder", "left_shoulder", "right_hip", "left_hip")
# what stands between single parts and the whole body
COMPOSITES = ((("head", "neck"), _TRUNK, *_ARMS_AND_LEGS), (_TRUNK,))
_SPEC_FILE = "spec.json"
# cells
_BLUR = 1.0
MOST_STAGES, MOST_LEVELS = 8, 8


class Look:
    """What all stages see of one network box.

    Args:
        box: (H, H, 3) RGB 0..255.
        spec: `PoseSpec`.

    Example:
        >>> import numpy as np
        >>> from keras_cpm import PoseSpec
        >>> from keras_cpm.paper.pose_machine import Look
        >>> look = Look(np.zeros((64, 64, 3)), PoseSpec(box_size=64, stride=4))
        >>> look.covered.shape, look.at(np.array([3]), np.array([4])).shape
        ((16, 16), (1, 750))
    """

    def __init__(self, box, spec):
        features, self.covered = cell_features(np.asarray(box), spec)
        self._levels = pyramid(features)

    def at(self, rows, columns, maps=None):
        """The features of some cells.

        Args:
            rows, columns: (M,) int.
            maps: (N, N, C) uint8 of the stage before, all levels; `None` in stage 1.

        Returns:
            (M, F) uint8.
        """
        found = hand_features(self._levels, rows, columns)
        if maps is None:
            return found
        return np.concatenate([found, Context(maps).at(rows, columns)], axis=1)


def stage_beliefs(look, forests, maps):
    """What one stage believes of a look.

    Args:
        look: `Look`.
        forests: one a level.
        maps: see `Look.at`.

    Returns:
        list of (N, N, C) float32, one a level, background last; channels sum to 1.
    """
    rows, columns = np.nonzero(look.covered)
    features, beliefs = look.at(rows, columns, maps), []
    for forest in forests:
        found = predict_forest(forest, features)
        level = np.zeros((*look.covered.shape, found.shape[1]), np.float32)
        # nobody is where there is no photograph
        level[..., -1] = 1.0
        level[rows, columns] = found
        # a forest decides cell by cell
        beliefs.append(cv2.GaussianBlur(level, (0, 0), _BLUR, borderType=cv2.BORDER_REPLICATE))
    return beliefs


def as_maps(beliefs):
    """The beliefs of all levels as the next stage gets them: (N, N, sum of C) uint8."""
    return as_bytes(np.concatenate(beliefs, axis=-1))


@dataclasses.dataclass(frozen=True, eq=False)
class PoseMachine:
    """Forests in stages, in the place of a network: `Predictor` and `evaluate` take it as a model.

    Its beliefs are probabilities after the sampling of the training, no Gaussians; only their order
    within a map counts.

    Args:
        forests: of `machine_training.fit_pose_machine`, a list a stage, in it one a level; the last
            stage has the level of single parts alone.
        spec: `PoseSpec`.

    Example:
        >>> from keras_cpm import PoseSpec, Predictor
        >>> from keras_cpm.paper.pose_machine import PoseMachine
        >>> spec = PoseSpec(box_size=64, stride=4)
        >>> Predictor(PoseMachine([["a forest"]], spec), spec).model.output_names
        ['stage1']
    """

    forests: list
    spec: PoseSpec

    @property
    def inputs(self):
        """One, with the shape of a batch of network boxes."""
        side = self.spec.box_size
        return [types.SimpleNamespace(shape=(None, side, side, 3))]

    @property
    def outputs(self):
        """One a stage, with the shape of its belief maps."""
        side, channels = self.spec.grid_size, self.spec.num_parts + 1
        return [types.SimpleNamespace(shape=(None, side, side, channels)) for _ in self.forests]

    @property
    def output_names(self):
        """stage1, stage2, ..."""
        return [f"stage{t}" for t in range(1, len(self.forests) + 1)]

    def predict_on_batch(self, inputs):
        """Predicts.

        Args:
            inputs: list of one array (n, H, W, 3) RGB 0..255.

        Returns:
            list of T arrays (n, N, N, P + 1) float32.
        """
        people = [self._stages(Look(box, self.spec)) for box in np.asarray(inputs[0])]
        return [np.stack(stage) for stage in zip(*people, strict=True)]

    def _stages(self, look):
        maps, stages = None, []
        for forests in self.forests:
            beliefs = stage_beliefs(look, forests, maps)
            stages.append(beliefs[0])
            maps = as_maps(beliefs)
        return stages

    def save(self, path):
        """Writes the machine into one file, whole or not at all.

        Args:
            path: of a .zip file; its members are the spec, and the nodes of a forest a stage and
                level.
        """
        with (
            output.whole(path) as partial,
            zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as file,
        ):
            # by which it is known as ours
            file.comment = marks.MARK
            file.writestr(_SPEC_FILE, self.spec.to_json())
            for t, forests in enumerate(self.forests, 1):
                for level, forest in enumerate(forests, 1):
                    file.writestr(_member(t, level), nodes_of(forest))

    @classmethod
    def load(cls, path):
        """Reads what `save` wrote; nothing in it is run.

        Args:
            path: of the file.

        Returns:
            `PoseMachine`.

        Raises:
            FileNotFoundError, ValueError: one sentence that names the file, and what is wrong.
            ImportError: the extra `forest` is not installed.
        """
        if not Path(path).is_file():
            raise FileNotFoundError(f"There is no Pose Machine at {path}; check the path.")
        try:
            with zipfile.ZipFile(path) as file:
                spec = PoseSpec.from_json(_read(file, _SPEC_FILE).decode())
                return cls(_read_stages(file, spec), spec)
        # what `zipfile` says of damaged files
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError) as error:
            raise ValueError(
                f"{path} is no Pose Machine, or damaged; copy it again. {error!s:.300}"
            ) from None


def _read_stages(file, spec):
    """The forests, of which XGBoost would not see that they are not each other's, or the spec's."""
    names, stages = set(file.namelist()), []
    features = before = FEATURES
    while _member(len(stages) + 1, 1) in names and len(stages) < MOST_STAGES:
        t, forests = len(stages) + 1, []
        while (name := _member(t, len(forests) + 1)) in names and len(forests) < MOST_LEVELS:
            try:
                forests.append(load_forest(_read(file, name), features))
            except ValueError as error:
                raise ValueError(f"Of {name}: {error}.") from None
        counts = [num_classes(forest) for forest in forests]
        if counts[0] != spec.num_channels:
            raise ValueError(
                f"Its spec has {spec.num_channels} channels, and {_member(t, 1)} has {counts[0]}."
            )
        stages.append(forests)
        features = before + num_features_of(sum(counts))
    if not stages:
        raise ValueError(f"It holds no {_member(1, 1)}.")
    return stages


def _read(file, name):
    if name not in file.namelist():
        raise ValueError(f"It holds no {name}.")
    # before anything is unpacked
    if file.getinfo(name).file_size > limits.MAX_BYTES:
        raise ValueError(f"Its member {name} has more than {limits.MAX_BYTES:,} bytes.")
    return file.read(name)


def _member(stage, level):
    return f"stage{stage}_level{level}.nodes"

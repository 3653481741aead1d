"""`PoseMachine`: the predecessor of the network, forests over hand-made features in stages.

Ramakrishna, Munoz, Hebert, Bagnell, Sheikh, "Pose Machines: Articulated Pose Estimation via
Inference Machines", ECCV 2014: [29] of the paper, which says of it what Section 3.1 has. In every
stage and for every level, from single parts to the whole body, a classifier gives each cell a
probability for each part; from stage 2 on it is told what all levels believed before.
"""

import dataclasses
import hashlib
import json
import types
from pathlib import Path

import cv2
import numpy as np

from ..pose import output, schema
from ..pose.spec import PoseSpec
from .context_features import Context, as_bytes
from .forests import load_forest, predict_forest
from .hand_features import cell_features, hand_features, pyramid

_ARMS_AND_LEGS = tuple(
    tuple(f"{side}_{part}" for part in limb)
    for limb in (("shoulder", "elbow", "wrist"), ("hip", "knee", "ankle"))
    for side in ("right", "left")
)
_TRUNK = ("right_shoulder", "left_shoulder", "right_hip", "left_hip")
# what stands between single parts and the whole body
COMPOSITES = ((("head", "neck"), _TRUNK, *_ARMS_AND_LEGS), (_TRUNK,))
_MACHINE_FILE, _SPEC_FILE = "machine.json", "spec.json"
# cells
_BLUR = 1.0
_MOST_STAGES = 8


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
        features, self.covered = cell_features(np.asarray(box), spec.stride, spec.pad_value)
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

    def save(self, directory):
        """Writes the machine into a folder, whole or not at all: its spec, and forests as .ubj."""
        with output.whole(directory) as partial:
            partial.mkdir()
            self.spec.save(partial / _SPEC_FILE)
            stages = []
            for t, forests in enumerate(self.forests, 1):
                data = [bytes(forest.save_raw("ubj")) for forest in forests]
                for level, content in enumerate(data, 1):
                    (partial / _name(t, level)).write_bytes(content)
                stages.append([hashlib.sha256(content).hexdigest() for content in data])
            (partial / _MACHINE_FILE).write_text(json.dumps({"sha256": stages}, indent=2) + "\n")

    @classmethod
    def load(cls, directory):
        """Reads what `save` wrote; nothing of it is run.

        Raises:
            FileNotFoundError, ValueError: naming the file that is missing or damaged.
            ModuleNotFoundError: the extra `forest` is not installed.
        """
        directory = Path(directory)
        spec = PoseSpec.load(directory / _SPEC_FILE)
        try:
            described = schema.parse(_read(directory / _MACHINE_FILE))
            stages = schema.check(described, {"sha256": _STAGES})["sha256"]
        except ValueError as error:
            raise ValueError(
                f"{directory / _MACHINE_FILE} is damaged; copy the folder again. {error!s:.300}"
            ) from None
        forests = []
        for t, digests in enumerate(stages, 1):
            forests.append([])
            for level, digest in enumerate(digests, 1):
                path = directory / _name(t, level)
                data = _read(path)
                if hashlib.sha256(data).hexdigest() != digest:
                    raise ValueError(f"{path} is damaged; copy the folder again.")
                forests[-1].append(load_forest(data, path))
        return cls(forests, spec)


_STAGES = schema.Field(
    f"a list of 1 to {_MOST_STAGES} stages, each a list of SHA-256 sums of its levels",
    lambda v: (
        isinstance(v, list)
        and 1 <= len(v) <= _MOST_STAGES
        and all(
            isinstance(stage, list)
            and 1 <= len(stage) <= 1 + len(COMPOSITES)
            and all(isinstance(digest, str) for digest in stage)
            for stage in v
        )
    ),
)


def _name(stage, level):
    return f"stage{stage}_level{level}.ubj"


def _read(path):
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no file {path}; name a folder that `PoseMachine.save` wrote."
        )
    return path.read_bytes()

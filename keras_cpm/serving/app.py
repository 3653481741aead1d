"""A page for people who do not write code: a photograph in, everybody's pose out.

It needs gradio: `pip install 'keras-cpm[app]'`. Nothing is loaded from elsewhere, nothing reported.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import tensorflow as tf

from ..images import decode, marks
from ..inference.people import as_json, find_poses
from ..models.person import THRESHOLD
from ..visualization.beliefs import draw_stages
from ..visualization.results import draw_everybody

if TYPE_CHECKING:
    import gradio

    from ..inference.predictor import Predictor
    from ..pose.spec import Array

# what a visitor may send, and for how many seconds the server keeps it
_MOST_BYTES = 100 * 2**20
_KEPT = 3600
_FILE = "poses.json"

_ABOUT = (
    "Everybody's pose in a photograph, by a Convolutional Pose Machine. Right is orange, left is "
    "blue; a dot is as full as its part is sure."
)
_STAGES = (
    "### What the stages believe of the surest person\nStage 1 looks at the photograph alone, "
    "every later stage also at the beliefs before it. Bright is where it believes the part to be."
)
_CHOOSE = "Choose a photograph, or take one with the camera."
_NOBODY = (
    "Nobody was found. People should be seen from head to feet and be at least a seventh of the "
    "picture tall; with a lower threshold more is taken for a person."
)
_TOO_LARGE = "There is not enough memory for the photograph; make it smaller."


class Answer(NamedTuple):
    """What the page shows; without people, or of what is no photograph, a sentence alone."""

    said: str
    poses: np.ndarray | None = None  # (H, W, 3) uint8 RGB: the photograph with everybody's pose
    stages: np.ndarray | None = None  # the beliefs of the surest person, a panel a stage
    found: dict[str, Any] | None = None  # JSON values, see `inference.people.as_json`


def look(
    image: bytes | Path | str | Array,
    predictor: Predictor,
    find: Callable[[np.ndarray], list[dict[str, Any]]],
    threshold: float = THRESHOLD,
) -> Answer:
    """What the page answers; of what cannot be looked at, a sentence that says why.

    Args:
        image, predictor, find, threshold: see `find_poses`.

    Returns:
        `Answer`. Of the surest person the strip shows the part that the later stages made surest.

    Example:
        >>> import keras_cpm
        >>> from keras_cpm.serving.app import look
        >>> spec = keras_cpm.PoseSpec(box_size=64)
        >>> predictor = keras_cpm.Predictor(keras_cpm.build_cpm(2, spec, width=8), spec)
        >>> look(b"no photograph", predictor, lambda photograph: []).said[:27]
        'The image cannot be decoded'
    """
    try:
        photograph = decode.upright_array(image)
        people = find_poses(photograph, predictor, find, threshold=threshold)
        found = as_json(people, photograph.shape[:2])
        if not people:
            return Answer(_NOBODY, found=found)
        surest = people[0].pose
        first, last = np.asarray(surest.stage_scores)[[0, -1]]
        part = surest.parts[np.argmax(last - first)]
        poses = draw_everybody(photograph, [person.pose for person in people])
        stages = draw_stages(photograph, surest, part)
    except (MemoryError, tf.errors.ResourceExhaustedError):
        return Answer(_TOO_LARGE)
    except ValueError as error:
        return Answer(str(error))
    who = "One person" if len(people) == 1 else f"{len(people)} people, the surest"
    return Answer(f"{who} with a score of {people[0].score:.2f}.", poses, stages, found)


def launch_app(
    predictor: Predictor,
    find: Callable[[np.ndarray], list[dict[str, Any]]],
    *,
    host: str | None = None,
    port: int | None = None,
    share: bool = False,
) -> gradio.Blocks:
    """Shows the page to browsers: `keras-cpm app`.

    Photographs go to this process and no farther, and are deleted after an hour. There is no
    password: whoever reaches the address may use it.

    Args:
        predictor, find: see `find_poses`; `inference.person_finder.load_finder` makes a `find`.
        host: address to listen at; `None` is this machine alone, 127.0.0.1, or what the variable
            GRADIO_SERVER_NAME says. "0.0.0.0" is every network that this machine is in.
        port: `None` is the first free one from 7860, or GRADIO_SERVER_PORT.
        share: whether gradio's company also gives the page a public address for a week; what
            visitors send then passes through its servers.

    Returns:
        `gradio.Blocks` that serves in the background at `local_url`; `block_thread()` waits for
        Ctrl-C, `close()` ends it.

    Raises:
        ImportError: without the extra.
        OSError: the port is in use.

    Example:
        >>> import keras_cpm
        >>> from keras_cpm.inference.person_finder import load_finder
        >>> predictor = keras_cpm.Predictor(*keras_cpm.load("cpm-light"))
        >>> app = keras_cpm.launch_app(predictor, load_finder())  # doctest: +SKIP
        >>> app.block_thread()  # doctest: +SKIP
    """
    # read when it is imported
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    try:
        import gradio
    except ImportError:
        raise ImportError("The page needs a library: pip install 'keras-cpm[app]'") from None
    page = _page(gradio, predictor, find)
    page.launch(
        server_name=host,
        server_port=port,
        share=share,
        max_file_size=_MOST_BYTES,
        prevent_thread_lock=True,
        quiet=True,
        footer_links=[],
        ssr_mode=False,
    )
    return page


def _page(gradio, predictor, find):
    with gradio.Blocks(
        title="keras_cpm", analytics_enabled=False, delete_cache=(_KEPT, _KEPT)
    ) as page:
        gradio.Markdown(f"# Poses\n{_ABOUT}")
        with gradio.Row():
            with gradio.Column():
                photograph = gradio.Image(
                    show_label=False,
                    sources=["upload", "webcam", "clipboard"],
                    # a mirror image would swap left and right
                    webcam_options=gradio.WebcamOptions(mirror=False),
                )
                threshold = gradio.Slider(
                    0, 1, THRESHOLD, step=0.05, label="Score from which somebody is a person"
                )
            shown = {"show_label": False, "format": "jpeg", "interactive": False}
            shown["buttons"] = ["download", "fullscreen"]
            with gradio.Column():
                said = gradio.Markdown(_CHOOSE)
                poses = gradio.Image(alt_text="The poses", **shown)
                download = gradio.DownloadButton("Download as JSON", interactive=False)
        gradio.Markdown(_STAGES)
        stages = gradio.Image(alt_text="The beliefs of each stage", **shown)

        def answer(upload, threshold):
            folder = Path(photograph.GRADIO_CACHE).resolve()
            data, path = _uploaded(upload, folder), None
            seen = Answer(_CHOOSE) if data is None else look(data, predictor, find, threshold)
            if seen.found is not None:
                # there gradio deletes it with the photograph
                path = folder / secrets.token_hex(16) / _FILE
                marks.write_values(path, {upload.get("orig_name") or "camera": seen.found})
            file = {"value": path and str(path), "interactive": path is not None}
            return seen.said, seen.poses, seen.stages, gradio.DownloadButton(**file)

        gradio.on(
            [photograph.change, threshold.change],
            answer,
            [photograph, threshold],
            [said, poses, stages, download],
            api_name="predict",
            # the file as it came: which are photographs, and what they hold, this package knows
            preprocess=False,
            # moved while the last one is looked at, the slider counts once
            trigger_mode="always_last",
        )
    # nobody passes those who wait
    return page.queue(api_open=False)


def _uploaded(upload, folder):
    """The bytes of the photograph, or `None`: an hour later, or of a path that was never sent."""
    path = Path((upload or {}).get("path") or "").resolve()
    return path.read_bytes() if path.is_relative_to(folder) and path.is_file() else None

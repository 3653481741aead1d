"""What belongs to an export and how it reads, in a file beside it; needs no TensorFlow.

NAME.tflite    NAME.spec.json       NAME.golden.npz       NAME.manifest.json
NAME.onnx      NAME.onnx.spec.json  NAME.onnx.golden.npz  NAME.onnx.manifest.json
FOLDER/1/...   spec.json            golden.npz            manifest.json         (SavedModel)
"""

import contextlib
import hashlib
import json
import os
from pathlib import Path

from .. import __version__
from ..pose import output, schema

LITERT, ONNX, SAVED_MODEL = "litert", "onnx", "savedmodel"
# by the ending of the file; a SavedModel is a folder
FILES = {".tflite": LITERT, ".onnx": ONNX}
# of a SavedModel, perhaps written later: requests with which a server warms up
WARMUP_FILE = "assets.extra/tf_serving_warmup_requests"
# A request to a server is answered in one piece, so this bounds the memory that one can ask for.
MAX_ROWS = 64


class Artefact:
    """The files of one export.

    Args:
        path: of a .tflite or .onnx file, of the folder of a SavedModel, or of the version folder in
            it.
        exists: whether it must be there already.

    Raises:
        FileNotFoundError: naming the path and what is expected there.

    Example:
        >>> from keras_cpm.export.artefact import Artefact
        >>> Artefact("runs/cpm.tflite", exists=False).golden.name
        'cpm.golden.npz'
    """

    def __init__(self, path, exists=True):
        path = Path(path)
        if (path / "saved_model.pb").is_file():
            path = path.resolve().parent
        self.path = path
        self.kind = FILES.get(path.suffix, SAVED_MODEL)
        self.model = path if self.is_file else path / "1"
        graph = path if self.is_file else self.model / "saved_model.pb"
        if exists and not graph.is_file():
            raise FileNotFoundError(
                f"There is no export at {path}; name a .tflite or .onnx file or the folder of a "
                "SavedModel, as `keras-cpm export` writes them."
            )
        self.spec, self.golden, self.manifest = map(
            self._beside, ("spec.json", "golden.npz", "manifest.json")
        )

    @property
    def is_file(self):
        """Whether the model is one file, which takes a network box; a SavedModel is a folder."""
        return self.kind in FILES.values()

    def _beside(self, name):
        if self.kind == LITERT:
            return self.path.with_suffix(f".{name}")
        # the whole name, so that a .tflite file of the same name keeps what is its own
        return self.path.with_name(f"{self.path.name}.{name}") if self.is_file else self.path / name

    @property
    def folder(self):
        """That all its files are in."""
        return self.path.parent if self.is_file else self.path

    def files(self):
        """All files but the manifest, sorted."""
        # what has the name of the version folder may be a file of somebody's
        model = [self.model, *self.model.rglob("*")]
        return sorted(path for path in [*model, self.spec, self.golden] if path.is_file())

    def size(self):
        """Bytes of the model alone."""
        beside = {self.spec, self.golden}
        return sum(path.stat().st_size for path in self.files() if path not in beside)

    def checksums(self):
        """dict of name -> SHA-256 of the contents."""
        return {
            self._name(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in self.files()
        }

    def _name(self, path):
        return path.relative_to(self.folder).as_posix()

    def check_replaceable(self):
        """Refuses to write here unless what is here is an export of ours, as its manifest says.

        Raises:
            ValueError: naming a file of somebody else's.
        """
        there, written = {self._name(path) for path in self.files()}, {f"1/{WARMUP_FILE}"}
        if os.path.lexists(self.manifest):
            try:
                written |= set(self.read_manifest()["files"])
            except (ValueError, TypeError):
                there.add(self.manifest.name)
        foreign = sorted(there - written)
        if foreign:
            raise ValueError(
                f"{self.folder} holds {foreign[0]}, which no export to this `path` wrote; name "
                "another `path`, or move that away."
            )

    @contextlib.contextmanager
    def replaced(self):
        """Yields an `Artefact` in a hidden folder; what is written there takes the place of this.

        If the block fails, everything stays what it was. A kill at the end may leave files of both,
        which `verify` finds; the same export again mends it.

        Raises:
            OSError: no room, or no right to write here.
        """
        hidden = output.hidden(self.folder / "export")
        try:
            with output.naming(self.path):
                hidden.mkdir(parents=True)
                new = Artefact(hidden / self.path.name, exists=False)
                yield new
                # first, so that all that follows is known as ours, and as not whole before the last
                for old, path in (
                    (new.manifest, self.manifest),
                    (new.spec, self.spec),
                    (new.golden, self.golden),
                    (new.model, self.model),
                ):
                    output.replace(old, path)
        finally:
            output.remove(hidden)

    def write_manifest(self, quantize, signatures):
        """Call it last.

        Args:
            quantize: as in `export_tflite` and `export_onnx`.
            signatures: dict of name -> {"inputs": ..., "outputs": ...}, each name -> [shape, type].
        """
        content = {
            "kind": self.kind,
            "quantize": quantize,
            "keras_cpm": __version__,
            "signatures": signatures,
            "files": self.checksums(),
        }
        self.manifest.write_text(json.dumps(content, indent=1) + "\n", "utf-8")

    def read_manifest(self):
        """The dict that `write_manifest` wrote."""
        if not self.manifest.is_file():
            raise FileNotFoundError(
                f"{self.path} has no {self.manifest.name} beside it; copy it along, or export "
                "again."
            )
        try:
            content = schema.parse(self.manifest.read_text("utf-8"))
            return schema.check(content, _MANIFEST, optional=("keras_cpm",), more=True)
        except ValueError as error:
            raise ValueError(
                f"{self.manifest} is damaged; copy it again. It says: {error}"
            ) from None


def _are_signatures(value):
    """Whether this is a dict of name -> {"inputs": ..., "outputs": ...}, see `write_manifest`."""
    if not isinstance(value, dict):
        return False
    sides = [
        signature.get(side) if isinstance(signature, dict) else None
        for signature in value.values()
        for side in ("inputs", "outputs")
    ]
    return all(isinstance(side, dict) and all(map(_is_tensor, side.values())) for side in sides)


def _is_tensor(value):
    """Whether this is [shape, type]."""
    if not isinstance(value, list) or len(value) != 2 or not isinstance(value[0], list):
        return False
    sizes = all(size is None or type(size) is int for size in value[0])
    return sizes and isinstance(value[1], str)


_MANIFEST = {
    "kind": schema.one_of((*FILES.values(), SAVED_MODEL)),
    "quantize": schema.one_of(("none", "float16", "dynamic", "int8")),
    "keras_cpm": schema.TEXT,
    "signatures": schema.Field("an object of inputs and outputs by name", _are_signatures),
    "files": schema.Field(
        "an object of checksums by name",
        lambda v: isinstance(v, dict) and all(isinstance(text, str) for text in v.values()),
    ),
}

"""What belongs to an export and how it reads, in a file beside it; needs no TensorFlow.

NAME.tflite    NAME.spec.json  NAME.golden.npz  NAME.manifest.json
FOLDER/1/...   spec.json       golden.npz       manifest.json        (SavedModel)
"""

import hashlib
import json
from pathlib import Path

from .. import __version__

LITERT, SAVED_MODEL = "litert", "savedmodel"


class Artefact:
    """The files of one export.

    Args:
        path: of a .tflite file, of the folder of a SavedModel, or of the version folder in it.
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
        self.kind = LITERT if path.suffix == ".tflite" else SAVED_MODEL
        self.model = path if self.kind == LITERT else path / "1"
        graph = path if self.kind == LITERT else self.model / "saved_model.pb"
        if exists and not graph.is_file():
            raise FileNotFoundError(
                f"There is no export at {path}; name a .tflite file or the folder of a SavedModel, "
                "as `keras-cpm export` writes them."
            )
        self.spec, self.golden, self.manifest = map(
            self._beside, ("spec.json", "golden.npz", "manifest.json")
        )

    def _beside(self, name):
        return self.path.with_suffix(f".{name}") if self.kind == LITERT else self.path / name

    def files(self):
        """All files but the manifest, sorted."""
        model = [self.path] if self.kind == LITERT else self.model.rglob("*")
        return sorted(path for path in [*model, self.spec, self.golden] if path.is_file())

    def size(self):
        """Bytes of the model alone."""
        beside = {self.spec, self.golden}
        return sum(path.stat().st_size for path in self.files() if path not in beside)

    def checksums(self):
        """dict of name -> SHA-256 of the contents."""
        folder = self.path.parent if self.kind == LITERT else self.path
        return {
            path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in self.files()
        }

    def write_manifest(self, quantize, signatures):
        """Call it last.

        Args:
            quantize: as in `export_tflite`.
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
            content = json.loads(self.manifest.read_text("utf-8"))
            return {key: content[key] for key in ("kind", "quantize", "signatures", "files")}
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{self.manifest} is damaged; copy it again. It says: {error}"
            ) from None

"""Poses with Apache Beam, by the SavedModel that `keras-cpm export` writes, for pipelines that are
there already: Beam has runners for many clusters, and begins again from the start.

python examples/bulk/beam_poses.py 'photographs/*.jpg' SAVED_MODEL poses/part --runner=DirectRunner
"""

import sys

import apache_beam as beam
import pyarrow as pa
import tensorflow as tf
from apache_beam.io import fileio
from apache_beam.ml.inference.base import KeyedModelHandler, ModelHandler, RunInference
from apache_beam.options.pipeline_options import PipelineOptions

FLOATS = pa.list_(pa.float32())
COLUMNS = {"keypoints": pa.list_(FLOATS), "scores": FLOATS, "error": pa.string()}


class Served(ModelHandler):
    def __init__(self, folder):
        super().__init__(max_batch_size=16)
        self.folder = folder

    def load_model(self):
        return tf.saved_model.load(f"{self.folder}/1")

    def run_inference(self, batch, model, inference_args=None):
        found = model.signatures["serving_default"](image=tf.constant(list(batch)))
        for row in zip(*(found[name].numpy() for name in COLUMNS), strict=True):
            keypoints, scores, error = row
            yield dict(zip(COLUMNS, (keypoints.tolist(), scores, error.decode()), strict=True))


if __name__ == "__main__":
    photographs, folder, out, *options = sys.argv[1:]
    with beam.Pipeline(options=PipelineOptions(options)) as pipeline:
        _ = (
            pipeline
            | fileio.MatchFiles(photographs)
            | beam.Reshuffle()
            | fileio.ReadMatches()
            | beam.Map(lambda file: (file.metadata.path, file.read()))
            | RunInference(KeyedModelHandler(Served(folder)))
            | beam.Map(lambda found: {"path": found[0], **found[1]})
            | beam.io.WriteToParquet(
                out, pa.schema({"path": pa.string(), **COLUMNS}), file_name_suffix=".parquet"
            )
        )

"""What the graph of a SavedModel can do, read from its file without running any of it.

A SavedModel is a program: TensorFlow has operations that read and write files and talk to other
machines, and whoever runs a graph runs those. An export of ours has none but those that store its
own weights, which no signature calls.
"""

from pathlib import Path

# Arithmetic, arrays, control and images: those of our exports, and those of layers that people put
# into towers of their own. None of them knows a file, a socket, a device or Python.
_NAMES = """
Abs Acos Acosh Add AddV2 All Any ApproximateEqual ArgMax ArgMin AsString Asin Asinh Assert
AssignVariableOp Atan Atan2 Atanh AvgPool BatchDatasetV2 BatchMatMulV2 BatchMatMulV3 BatchToSpaceND
BiasAdd Bincount Bitcast BitwiseAnd BitwiseOr BitwiseXor BroadcastArgs BroadcastTo Case Cast Ceil
ClipByValue Complex ComplexAbs ConcatV2 ConcatenateDataset Conj Const Conv2D Conv2DBackpropInput Cos
Cosh CropAndResize Cross Cumprod Cumsum DatasetToSingleElement DecodeAndCropJpeg DecodeBmp DecodeGif
DecodeImage DecodeJpeg DecodePaddedRaw DecodePng DecodeRaw DenseBincount DepthToSpace
DepthwiseConv2dNative DepthwiseConv2dNativeBackpropInput DisableCopyOnRead Div DivNoNan Einsum Elu
EmptyTensorList EncodeJpeg EncodePng EnsureShape Equal Erf Erfc Erfinv EuclideanNorm Exp ExpandDims
Expm1 ExtractImagePatches ExtractJpegShape FFT2D Fill Floor FloorDiv FloorMod FusedBatchNormV3
GatherNd GatherV2 Greater GreaterEqual IFFT2D IRFFT IRFFT2D Identity IdentityN If
IgnoreErrorsDataset Imag ImageProjectiveTransformV3 Invert InvertPermutation IsFinite IsInf IsNan
L2Loss LRN LeakyRelu LeftShift Less LessEqual LinSpace Log Log1p LogSoftmax LogicalAnd LogicalNot
LogicalOr LowerBound MapDataset MatMul MatrixBandPart MatrixDiagV3 Max MaxPool Maximum Mean Min
Minimum MirrorPad Mod Mul Neg NoOp NonMaxSuppressionV3 NonMaxSuppressionWithOverlaps NotEqual OneHot
OnesLike Pack Pad PadV2 ParallelMapDatasetV2 PartitionedCall Placeholder PlaceholderWithDefault Pow
Prod RFFT RFFT2D RaggedRange RaggedTensorFromVariant RaggedTensorToTensor RaggedTensorToVariant
Range Rank ReadVariableOp Real RealDiv Reciprocal RegexFullMatch Relu Relu6 Reshape ResizeArea
ResizeBicubic ResizeBilinear ResizeNearestNeighbor ReverseSequence ReverseV2 RightShift Rint Roll
Round Rsqrt ScaleAndTranslate ScatterNd SegmentMax SegmentSum Select SelectV2 Selu Shape ShapeN
Sigmoid Sign Sin Sinh Size Slice Softmax Softplus Softsign SpaceToBatchND SpaceToDepth Split SplitV
Sqrt Square SquaredDifference Squeeze StatefulPartitionedCall StatelessCase StatelessIf
StatelessWhile StaticRegexFullMatch StopGradient StridedSlice StringFormat StringJoin StringLength
StringLower StringSplitV2 StringUpper Sub Substr Sum TakeDataset Tan Tanh TensorDataset
TensorListConcatV2 TensorListElementShape TensorListFromTensor TensorListGetItem TensorListLength
TensorListPopBack TensorListPushBack TensorListReserve TensorListSetItem TensorListStack
TensorScatterAdd TensorScatterMax TensorScatterMin TensorScatterUpdate TensorSliceDataset Tile
TopKV2 Transpose TruncateDiv TruncateMod Unique UniqueV2 Unpack UnsortedSegmentMax
UnsortedSegmentMin UnsortedSegmentProd UnsortedSegmentSum UpperBound VarHandleOp VarIsInitializedOp
Where While Xdivy Xlogy ZerosLike
"""
KNOWN = frozenset(_NAMES.split())
# What stores and restores weights, wherever it is told to.
_STORING = frozenset(("MergeV2Checkpoints", "RestoreV2", "SaveV2", "ShardedFilename"))


def unknown(folder):
    """Names of the operations of a SavedModel that no export of ours has, sorted.

    Args:
        folder: path of a version, which holds saved_model.pb.

    Raises:
        ImportError: without TensorFlow, which knows the file's format.
        ValueError: a file of another format.

    Example:
        >>> import keras_cpm, tempfile
        >>> from keras_cpm.export import operations
        >>> spec, folder = keras_cpm.PoseSpec(box_size=64), tempfile.mkdtemp()
        >>> keras_cpm.export_saved_model(keras_cpm.build_cpm(1, spec, width=8), spec, folder)
        >>> operations.unknown(f"{folder}/1")
        []
    """
    return sorted({name for graph in _graphs(folder) for name in _unknown_of(graph)})


def check(folder):
    """Refuses a SavedModel that is more than an export of ours.

    Args:
        folder: path of a version, which holds saved_model.pb.

    Raises:
        ImportError: without TensorFlow.
        ValueError: naming the operations that no export has.
    """
    found = unknown(folder)
    if found:
        raise ValueError(
            f"The SavedModel in {folder} has operations that no export has: {', '.join(found)}; it "
            "is a program that may read and write files, so run it with `trust` only if you trust "
            "who made it."
        )


def _graphs(folder):
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import saved_model_pb2

    path = Path(folder) / "saved_model.pb"
    model = saved_model_pb2.SavedModel()
    try:
        model.ParseFromString(path.read_bytes())
    except DecodeError as error:
        raise ValueError(f"{path} is damaged; copy it again. It says: {error}") from None
    return model.meta_graphs


def _unknown_of(graph):
    functions = {one.signature.name: one.node_def for one in graph.graph_def.library.function}
    storing = _storing_functions(graph, functions)
    for name, nodes in (("", graph.graph_def.node), *functions.items()):
        allowed = KNOWN | _STORING if name in storing else KNOWN
        yield from (
            node.op for node in nodes if node.op not in allowed and node.op not in functions
        )


def _storing_functions(graph, functions):
    """Those with which TensorFlow stores and restores weights, where nothing else calls them."""
    saver = graph.saver_def
    names = {saver.save_tensor_name.partition(":")[0], saver.restore_op_name}
    called = {name for node in graph.graph_def.node if node.name in names for name in _calls(node)}
    others = [node for node in graph.graph_def.node if node.name not in names]
    inner = [node for nodes in functions.values() for node in nodes]
    elsewhere = {name for node in (*others, *inner) for name in _calls(node)}
    # what a loaded model can be asked for; without it TensorFlow 1's way runs the graph as it is
    offered = graph.object_graph_def.SerializeToString()
    if not offered:
        return set()
    return {name for name in called - elsewhere if name.encode() not in offered}


def _calls(node):
    """Names of the functions that a node may call."""
    yield node.op
    for value in node.attr.values():
        yield value.func.name
        yield from (one.name for one in value.list.func)

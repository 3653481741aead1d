"""How much one photograph may ask for: looked at before a pixel is decoded, wherever it is read.

A file of some kilobytes can declare gigabytes of pixels, or work of minutes. Each bound is far
above what cameras and programs write.
"""

# Of a file, or of a member of a shard: a PNG of MAX_PIXELS is smaller as a rule.
MAX_BYTES = 500_000_000
# A phone's largest photographs have 200 million.
MAX_PIXELS = 250_000_000
# A progressive JPEG goes over its picture once a scan; usual are 10.
MAX_SCANS = 1000
MAX_SCANNED_PIXELS = 1_000_000_000
# Segments, chunks and data blocks up to the end of what is needed of a file.
MAX_BLOCKS = 16_384
# Bytes of a member of a shard for each one that is stored: photographs do not become smaller.
MAX_RATIO = 100
# Shards larger than this together are read as a training goes, and not held in memory.
MAX_HELD_BYTES = 4_000_000_000

# What the errors of the decoder say, and the sentences of `decode.open_image`.
BYTES = f"it has more than {MAX_BYTES:,} bytes; make it smaller first"
PIXELS = f"it declares more than {MAX_PIXELS:,} pixels; make it smaller first"
SCANS = (
    f"it has more than {MAX_SCANS:,} scans, or more than {MAX_SCANNED_PIXELS:,} pixels over all "
    "scans; save it as a JPEG that is not progressive"
)
BLOCKS = f"it has more than {MAX_BLOCKS:,} blocks of data; save it again with another program"
ALL = (BYTES, PIXELS, SCANS, BLOCKS)

"""The size of a JPEG photograph from its header, without decoding it."""

import struct

# SOF0..SOF15 without DHT, JPG and DAC: the segments of a JPEG file that hold its size.
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def jpeg_size(path) -> tuple[int, int]:
    """Reads how large a photograph is.

    Args:
        path: of a JPEG file.

    Returns:
        (height, width) in pixels, as stored: a turn that EXIF asks for is not made. The photographs
        of LSP and LSPET ask for none.

    Raises:
        ValueError: no JPEG file, or one that ends before its size.

    Example:
        >>> import pathlib, tempfile
        >>> from keras_cpm.data.formats.jpeg import jpeg_size
        >>> path = pathlib.Path(tempfile.mkdtemp(), "a.jpg")
        >>> _ = path.write_bytes(bytes.fromhex("ffd8 ffc0 000b 08 0060 0080"))
        >>> jpeg_size(path)
        (96, 128)
    """
    with open(path, "rb") as file:
        is_jpeg = file.read(2) == b"\xff\xd8"
        while is_jpeg and len(head := file.read(9)) == 9 and head[0] == 0xFF:
            if head[1] in _FRAME_HEADERS:
                return struct.unpack(">HH", head[5:])
            # A segment is its marker and as many bytes as it says; 0xFF before a marker is filling.
            length = 1 if head[1] == 0xFF else 2 + int.from_bytes(head[2:4], "big")
            file.seek(length - len(head), 1)
    raise ValueError(f"{path} must be a whole JPEG file; extract the data set's archive again.")

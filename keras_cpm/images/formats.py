"""Which format a file has, by its first bytes, and what to say of those that are not read."""

DAMAGED = "the file is cut off or damaged; copy or download it again"
READ_KINDS = ("JPEG", "PNG", "GIF", "BMP", "WebP", "TIFF")
READ = "JPEG, PNG, GIF, BMP, WebP or TIFF"
_FIRST_BYTES = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "BigTIFF",
    b"MM\0+": "BigTIFF",
    b"\0\0\0\x0cjP  ": "JPEG 2000",
    b"\0\0\0\x0cJXL ": "JPEG XL",
    b"\xff\x0a": "JPEG XL",
    b"8BPS": "PSD",
    b"%PDF": "PDF",
}
_BRANDS = {b"avif": "AVIF", b"avis": "AVIF", b"crx ": "CR3"} | dict.fromkeys(
    (b"heic", b"heix", b"hevc", b"heim", b"heis", b"hevx", b"mif1", b"msf1"), "HEIC"
)


def kind_of(data):
    """The format of a file by its first bytes; of camera files only those that are not TIFF.

    Args:
        data: bytes, at least the first 16 of the file.

    Returns:
        "JPEG", "PNG", "GIF", "BMP", "WebP" or "TIFF", which are read; the name of another format,
        which is not; or `None`.

    Example:
        >>> from keras_cpm.images import formats
        >>> formats.kind_of(b"GIF89a" + bytes(10)), formats.kind_of(b"a text")
        ('GIF', None)
    """
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WebP"
    if data[4:8] == b"ftyp":
        return _BRANDS.get(data[8:12])
    return next((kind for first, kind in _FIRST_BYTES.items() if data.startswith(first)), None)


def refusal(kind):
    """What to say of a file that is of no format that is read, after "it is".

    Args:
        kind: as `kind_of` says it.
    """
    if kind == "HEIC":
        return (
            "a HEIC file, as iPhones write them; convert it to JPEG, or choose Settings > Camera > "
            "Formats > Most Compatible on the phone"
        )
    name = f"a {kind} file, which is not a" if kind else "not a"
    return f"{name} {READ} file; convert it to JPEG or PNG"

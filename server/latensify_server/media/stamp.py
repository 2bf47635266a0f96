"""The key of a rendered frame in its file: as an attribute, and in a text field where a format keeps only those."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import OpenImageIO as oiio

from latensify_server.media.image import read_metadata

KEY = "latensify:key"
_DESCRIPTION = "ImageDescription"
_FIELD = dict.fromkeys(("tif", "tiff", "jpg", "jpeg", "tga", "sgi"), _DESCRIPTION) | {"dpx": "DocumentName"}
_NOTE = re.compile(rf" ?\[{KEY} ([0-9a-f]+)\]")


def stamp(spec: oiio.ImageSpec, kind: str, metadata: Mapping[str, str | int]) -> None:
    """Puts `metadata` into a header. A text field keeps what the plate's said, before our note."""
    for name, value in metadata.items():
        spec.attribute(f"latensify:{name}", value)
    field = _FIELD.get(kind)
    if field and "key" in metadata:
        said = _NOTE.sub("", spec.get_string_attribute(field))
        spec.attribute(field, f"{said} [{KEY} {metadata['key']}]".lstrip())


def key_of(path: Path) -> str:
    """The key that `stamp` left in a file; empty where the format kept none, or there is no readable file."""
    found = read_metadata(path)
    note = _NOTE.search(found.get(_FIELD.get(path.suffix[1:].lower(), ""), ""))
    return found.get(KEY) or (note[1] if note else "")

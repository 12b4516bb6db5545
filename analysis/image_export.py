"""Images with what they were made from: copies whose metadata has the prompts, and a JSON file beside each."""

import json
from typing import Any

from analysis.exports.folder import ExportFolder
from analysis.exports.media import StoredFiles
from analysis.exports.names import file_stem
from analysis.image_metadata import with_description
from analysis.queries.images import Image


def export_image(image: Image, stored: StoredFiles, folder: ExportFolder) -> str | None:
    """Copy one image and write what is known of it beside it; the name of the copy, None when no file is stored."""
    source = stored.open(image.asset_path)
    if source is None:
        return None
    with source:
        data = source.read()
    ending = (image.asset_path or "").rpartition(".")[2]
    stem = file_stem(image.title or image.tool_prompt or image.user_prompt, f"{image.id}-{(image.sha256 or '')[:12]}")
    prompts = [prompt for prompt in (image.tool_prompt, image.user_prompt) if prompt]
    described = with_description(data, title=image.title, description=prompts[0] if prompts else None, tool=image.tool)
    for name, content in ((f"{stem}.{ending}", described), (f"{stem}.json", _sidecar(image))):
        with folder.writing(name) as file:
            file.write(content)
    return f"{stem}.{ending}"


def _sidecar(image: Image) -> bytes:
    known: dict[str, Any] = {name: value for name, value in image._asdict().items() if value is not None}
    return json.dumps(known, ensure_ascii=False, indent=2).encode() + b"\n"

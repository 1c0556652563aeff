"""`partywidgets schema`: the JSON Schema of a config, for editors."""

from __future__ import annotations

import json
from pathlib import Path


def run(file: Path | None) -> None:
    """Prints the schema, or writes it to a file. Raises StorageError for one that cannot be written."""
    from ..config import config_schema
    from ..scans.table_file import write_text

    text = json.dumps(config_schema(), indent=2, ensure_ascii=False) + "\n"
    if file is None:
        print(text, end="")
        return
    write_text(file, text)
    print(f"{file}: written. The first line of a config beside it: # yaml-language-server: $schema={file.name}")

"""Reads every page below a folder over one call and writes one JSON object a line.

    python examples/batch_folder.py scans/ --document-type receipt --at-once 8 > receipts.jsonl

Pages are read from disk as there is room for them. What the server has no room for is sent again when it
says so. A document that fails is a line with `error`, and the others go on.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from tessera import BatchResult, Client, TesseraError

PAGES = {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".pdf"}


def line(result: BatchResult) -> dict[str, object]:
    found: dict[str, object] = {"file": str(result.source)}
    if result.answer is None:
        reason = result.error.reason if isinstance(result.error, TesseraError) else ""
        return {**found, "error": str(result.error), "reason": reason}
    fields = result.answer.fields
    doubted = [name for name, field in fields.items() if (field.confidence or 0) < 0.9]
    return {**found, "document": result.answer.document, "doubted": doubted}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--document-type", default="receipt")
    parser.add_argument("--address", default="localhost:50051")
    parser.add_argument("--at-once", type=int, default=8)
    args = parser.parse_args()

    files = sorted(file for file in args.folder.rglob("*") if file.suffix.lower() in PAGES)
    failed = 0
    with (
        Client(args.address, attempts=10) as client,
        client.batch(
            files, document_type=args.document_type, in_flight=args.at_once
        ) as results,
    ):
        for result in results:
            failed += result.error is not None
            print(json.dumps(line(result), ensure_ascii=False), flush=True)
    print(f"{len(files)} documents, {failed} failed", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

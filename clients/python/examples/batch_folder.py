"""Reads every page below a folder and writes one JSON object a line.

    python examples/batch_folder.py scans/ --document-type receipt --at-once 8 > receipts.jsonl

The server batches what runs at once; what it has no room for waits in its queue, and a full queue
says when to come back. A document that fails is a line with `error`, and the others go on.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path

from tessera import AsyncClient, TesseraError

PAGES = {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".pdf"}


async def read(client: AsyncClient, file: Path, document_type: str) -> dict[str, object]:
    try:
        answer = await client.extract(file, document_type=document_type, priority="batch")
    except TesseraError as error:
        return {"file": str(file), "error": error.message, "reason": error.reason}
    doubted = [
        name for name, field in answer.fields.items() if (field.confidence or 0) < 0.9
    ]
    return {"file": str(file), "document": answer.document, "doubted": doubted}


async def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--document-type", default="receipt")
    parser.add_argument("--address", default="localhost:50051")
    parser.add_argument("--at-once", type=int, default=8)
    args = parser.parse_args()

    files = sorted(file for file in args.folder.rglob("*") if file.suffix.lower() in PAGES)
    room = asyncio.Semaphore(args.at_once)
    failed = 0

    async with AsyncClient(args.address, attempts=10) as client:

        async def one(file: Path) -> dict[str, object]:
            async with room:
                return await read(client, file, args.document_type)

        for task in asyncio.as_completed([one(file) for file in files]):
            line = await task
            failed += "error" in line
            print(json.dumps(line, ensure_ascii=False), flush=True)
    print(f"{len(files)} documents, {failed} failed", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))

"""Stops at the first field it wanted; the server stops with it.

    python examples/cancel.py receipt.png /SUPPLIER_NAME
"""

from __future__ import annotations

import sys

from tessera import Client, FieldCompleted


def main(file: str, pointer: str = "/SUPPLIER_NAME", address: str = "localhost:50051") -> int:
    with Client(address) as client:
        # Leaving the block ends the call.
        with client.stream(file, document_type="receipt", events=("fields",)) as events:
            for event in events:
                if isinstance(event, FieldCompleted) and event.field.pointer == pointer:
                    print(event.field.value)
                    return 0
    print(f"there is no {pointer}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

"""Gives a document so many seconds, and keeps the fields that were whole by then.

    python examples/deadline.py statement.png 2.5
"""

from __future__ import annotations

import json
import sys

from tessera import Client, DeadlineExceededError, FieldCompleted


def main(file: str, seconds: str = "5", address: str = "localhost:50051") -> int:
    fields: dict[str, object] = {}
    with Client(address) as client:
        try:
            with client.stream(
                file, document_type="bank-statement", events=("fields",), timeout=float(seconds)
            ) as events:
                for event in events:
                    if isinstance(event, FieldCompleted):
                        fields[event.field.pointer] = event.field.value
        except DeadlineExceededError as error:
            phase = error.metadata.get("phase", "the network")
            print(f"out of time in {phase}; whole by then: {len(fields)}", file=sys.stderr)
    print(json.dumps(fields, ensure_ascii=False, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

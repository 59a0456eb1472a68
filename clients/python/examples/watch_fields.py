"""Shows fields as they complete, long before the answer ends.

    python examples/watch_fields.py receipt.png
"""

from __future__ import annotations

import sys

from tessera import Client, Completed, FieldCompleted, Progress


def main(file: str, address: str = "localhost:50051") -> None:
    with (
        Client(address) as client,
        client.stream(file, document_type="receipt", events=("fields",)) as events,
    ):
        for event in events:
            match event:
                case Progress(phase=phase):
                    print(f"… {phase.lower()}", file=sys.stderr)
                case FieldCompleted(field=field):
                    trust = "" if field.confidence is None else f"{field.confidence:5.0%}"
                    print(f"{field.pointer:28} {trust}  {field.raw}", flush=True)
                case Completed(checks=checks):
                    for check in checks:
                        print(f"{'✓' if check.passed else '✗'} {check.rule} {check.message}")


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Reads one document with Tessera and prints the answer while it is written.

    python extract.py receipt.png --document-type receipt
    python extract.py page-1.png page-2.png --prompt 'Who sent this?'

The answer goes to standard output, everything else to standard error. Several files are the
pages of one document. Ctrl-C ends the call, and with it the work on the server.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from tessera import Accepted, Client, Completed, Event, TesseraError, TokenDelta


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("files", nargs="+", type=Path, help="pages, in their order")
    parser.add_argument("--address", default="localhost:50051", help="host:port, or https://…")
    parser.add_argument("--timeout", type=float, default=300.0, help="seconds (%(default)s)")
    task = parser.add_mutually_exclusive_group(required=True)
    task.add_argument("--document-type", help="extract its fields: receipt, invoice, bank-statement, auto")
    task.add_argument("--prompt", help="ask this instead")
    return parser.parse_args()


def main() -> int:
    args = parse_args()
    task = {"prompt": args.prompt} if args.prompt else {"document_type": args.document_type}
    # A token, where the server asks for one, belongs in no list of processes.
    token = os.environ.get("TESSERA_TOKEN")
    with Client(args.address, token=token) as client:
        try:
            with client.stream(args.files, timeout=args.timeout, **task) as events:
                for event in events:
                    show(event)
        except (TesseraError, OSError, ValueError) as error:
            print(error, file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            return 130
    return 0


def show(event: Event) -> None:
    match event:
        case Accepted():
            pages = len(event.tiles_per_page)
            print(
                f"{event.model}: {pages} {'page' if pages == 1 else 'pages'}, {event.input_tokens} input tokens,"
                f" request {event.request_id}",
                file=sys.stderr,
            )
        case TokenDelta(text=text):
            print(text, end="", flush=True)
        case Completed():
            print(flush=True)
            print(
                f"{event.finish_reason}: {event.usage.output_tokens} output tokens,"
                f" first after {event.timings.time_to_first_token:.3f} s,"
                f" all after {event.timings.total:.3f} s",
                file=sys.stderr,
            )
            if event.document_error:
                print(f"not a document: {event.document_error}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())

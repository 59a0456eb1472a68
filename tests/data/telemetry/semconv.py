"""Writes semconv.txt: the names that OpenTelemetry's conventions have, where this program uses their namespaces.

    pip install opentelemetry-semantic-conventions==0.66b2
    python3 tests/data/telemetry/semconv.py > tests/data/telemetry/semconv.txt

That release is of schema 1.44. What it calls deprecated because it moved to the repository of the GenAI
conventions is current there; everything else that is deprecated is left out.
"""

import pathlib
import re
from importlib import metadata

import opentelemetry.semconv as conventions

SPACES = ["error", "gen_ai", "host", "network", "os", "otel", "process", "rpc", "server", "service", "telemetry"]
ENTRY = re.compile(r'^[A-Z0-9_]+: Final = "([^"]+)"\n(?:"""(.*?)""")?', re.S | re.M)
# In the GenAI repository, which has made no release yet.
UNRELEASED = ["gen_ai.usage.image.input_tokens"]


def names(kind):
    # Read, not imported: modules of metrics want the whole API. Those in the first folder are stable.
    top = pathlib.Path(conventions.__path__[0])
    for file in [*top.glob(f"{kind}/*.py"), *top.glob(f"_incubating/{kind}/*.py")]:
        source = file.read_text()
        for name, text in ENTRY.findall(source):
            moved = "Moved to the [OpenTelemetry GenAI" in text
            if name.split(".")[0] in SPACES and (moved or "Deprecated" not in text):
                unit = re.search(r"^Unit: (.*)$", text, re.M)
                yield f"{name} {unit[1]}" if unit else name


print(f"# opentelemetry-semantic-conventions {metadata.version('opentelemetry-semantic-conventions')}")
for kind in ("attributes", "metrics"):
    print(f"[{kind}]")
    print("\n".join(sorted({*names(kind), *(UNRELEASED if kind == "attributes" else [])})))

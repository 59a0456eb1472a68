"""One Markdown table of half-precision errors: transformers (from full_size.py) beside Tessera (from its dumps).

    python tests/parity/compare.py --reference MODEL/reference-full.safetensors --errors errors.json \\
        --bf16 bf16.safetensors --f16 f16.safetensors [--f32 f32.safetensors] [--json tessera.json]

Each cell is the relative L2 distance from transformers' f32, and the largest absolute difference; a count of values
that are not finite takes their place. Without the full reference, reference.safetensors serves: the distance is then
over its strided values, and the largest difference is left out.
"""

import argparse
import json
import pathlib
import sys

import torch
from safetensors import safe_open

STRIDE = 97  # as in full_size.py


def read(path):
    with safe_open(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}


def tessera_errors(dump, reference):
    """The same figures as full_size.py writes, for one dump."""
    check_inputs(dump, reference)
    strided = any(name.endswith(".strided") for name in reference)
    out = {}
    for name in sites_of(reference):
        value = dump[name].float()
        if strided and name != "logits":
            value, expected = value.flatten()[::STRIDE], reference[f"{name}.strided"]
        else:
            expected = reference[name]
        if value.shape != expected.shape:
            sys.exit(f"{name}: the dump has shape {tuple(value.shape)}, the reference {tuple(expected.shape)}")
        d = value - expected
        out[name] = {
            "relative_l2": (d.norm() / expected.norm()).item(), "max_abs": None if strided else d.abs().max().item(),
            "not_finite": int((~value.isfinite()).sum()),
        }
    out["logits"]["argmax_agrees"] = bool(dump["logits"].argmax() == reference["logits"].argmax())
    return out


def check_inputs(dump, reference):
    """A wrong prompt or picture would make every other figure meaningless."""
    if "tokens" in reference and dump["tokens"].tolist() != reference["tokens"].tolist():
        sys.exit("the dump was made from other token ids")
    if "pixel_values" in reference:
        worst = (dump["pixel_values"].float() - reference["pixel_values"]).abs().max().item()
        print(f"pixel_values: largest difference {worst:.2e}\n")


def sites_of(reference):
    names = {name.removesuffix(".strided") for name in reference if name.split(".")[0] in ("vision", "projector", "hidden", "logits") and not name.endswith((".last", ".norm"))}
    layer = lambda name: int(name.split(".")[1]) if name.startswith("hidden.") else -1
    return sorted(names, key=lambda n: (["vision", "projector", "hidden", "logits"].index(n.split(".")[0]), layer(n)))


def cell(error):
    if error is None:
        return ""
    if error["not_finite"]:
        return f"**{error['not_finite']} not finite**"
    text = f"{error['relative_l2']:.1e}"
    return text if error["max_abs"] is None else f"{text} ({error['max_abs']:.2g})"


def table(columns, sites):
    print("| site | " + " | ".join(columns) + " |")
    print("|---" * (len(columns) + 1) + "|")
    for site in sites:
        print(f"| {site} | " + " | ".join(cell(c.get(site)) for c in columns.values()) + " |")
    agree = [{True: "yes", False: "no"}.get(c.get("logits", {}).get("argmax_agrees"), "") for c in columns.values()]
    print("| same argmax | " + " | ".join(agree) + " |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", type=pathlib.Path, required=True)
    parser.add_argument("--errors", type=pathlib.Path, required=True)
    for name in ("f32", "bf16", "f16"):
        parser.add_argument(f"--{name}", type=pathlib.Path, help=f"dump of Tessera in {name}")
    parser.add_argument("--json", type=pathlib.Path, help="write Tessera's figures here too")
    a = parser.parse_args()

    reference, report = read(a.reference), json.loads(a.errors.read_text())
    tessera = {name: tessera_errors(read(path), reference) for name in ("f32", "bf16", "f16") if (path := getattr(a, name))}
    if a.json:
        a.json.write_text(json.dumps(tessera, indent=1) + "\n")
    columns = {}
    for dtype in ("bf16", "f16"):
        columns |= {f"transformers {dtype} {attention}": report["runs"][f"{dtype}_{attention}"] for attention in ("eager", "sdpa")}
        columns[f"tessera {dtype}"] = tessera.get(dtype, {})
    if "f32" in tessera:
        columns = {"transformers f32 sdpa": report["runs"]["f32_sdpa"], "tessera f32": tessera["f32"]} | columns
    print(f"{report['device']}, {report['tokens']} tokens, {report['tiles']} tiles; relative L2 (largest absolute difference) from transformers f32 eager\n")
    table(columns, sites_of(reference))


if __name__ == "__main__":
    main()

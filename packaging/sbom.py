"""Writes a CycloneDX 1.5 bill of materials of what is linked into the binary.

    python3 sbom.py [--features LIST] > tessera.cdx.json

What counts is cargo's own resolution for this machine: dependencies of the binary, without those of tests
and build scripts. Checksums are those of Cargo.lock.
"""

import argparse
import json
import os
import pathlib
import subprocess
import tomllib
import uuid

ROOT = pathlib.Path(__file__).resolve().parent.parent


def metadata(features):
    cargo = os.environ.get("CARGO", "cargo")
    host = next(
        line.split()[1]
        for line in subprocess.check_output(["rustc", "-vV"], text=True).splitlines()
        if line.startswith("host:")
    )
    command = [cargo, "metadata", "--format-version", "1", "--locked", "--filter-platform", host]
    if features:
        command += ["--features", features]
    return json.loads(subprocess.check_output(command, text=True, cwd=ROOT))


def linked(graph):
    """Ids of the packages that the binary is made of, its own first."""
    nodes = {node["id"]: node for node in graph["resolve"]["nodes"]}
    start = graph["resolve"]["root"]
    found, waiting = [], [start]
    while waiting:
        package = waiting.pop()
        if package in found:
            continue
        found.append(package)
        for dependency in nodes[package]["deps"]:
            if any(kind["kind"] is None for kind in dependency["dep_kinds"]):
                waiting.append(dependency["pkg"])
    return found


def component(package, checksums, kind="library"):
    name, version = package["name"], package["version"]
    purl = f"pkg:cargo/{name}@{version}"
    described = {"type": kind, "bom-ref": purl, "name": name, "version": version, "purl": purl}
    if package.get("license"):
        described["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
    checksum = checksums.get((name, version))
    if checksum:
        described["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    return described


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--features", default="")
    graph = metadata(parser.parse_args().features)
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text())
    checksums = {(p["name"], p["version"]): p.get("checksum") for p in lock["package"]}
    packages = {package["id"]: package for package in graph["packages"]}
    order = linked(graph)
    own = packages[order[0]]
    libraries = sorted(
        (component(packages[id], checksums) for id in order[1:]),
        key=lambda c: (c["name"], c["version"]),
    )
    refs = {id: f"pkg:cargo/{packages[id]['name']}@{packages[id]['version']}" for id in order}
    nodes = {node["id"]: node for node in graph["resolve"]["nodes"]}
    dependencies = [
        {"ref": refs[id], "dependsOn": sorted({refs[d["pkg"]] for d in nodes[id]["deps"] if d["pkg"] in refs})}
        for id in order
    ]
    # The same dependencies are the same document.
    serial = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(libraries))
    print(json.dumps({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": {"component": component(own, checksums, "application")},
        "components": libraries,
        "dependencies": sorted(dependencies, key=lambda d: d["ref"]),
    }, indent=1))


if __name__ == "__main__":
    main()

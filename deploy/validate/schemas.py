"""Writes JSON schemas for kubeconform: of Kubernetes itself and of the custom resources that deploy/ uses.

    python3 schemas.py OUT

The sources are the projects' own Go modules, which hold their OpenAPI files; Go fetches them through its
proxy, so no other host is asked.
"""

import json
import pathlib
import subprocess
import sys

import yaml

KUBERNETES = "k8s.io/kubernetes@v1.35.4"
# Module, and the files in it that hold CustomResourceDefinitions.
CUSTOM = [
    ("sigs.k8s.io/gateway-api@v1.6.1", "config/crd/standard/*.yaml"),
    ("sigs.k8s.io/gateway-api-inference-extension@v1.4.0", "config/crd/bases/*.yaml"),
    ("istio.io/api@v1.32.0", "kubernetes/customresourcedefinitions.gen.yaml"),
    ("github.com/kedacore/keda/v2@v2.21.0", "config/crd/bases/keda.sh_scaledobjects.yaml"),
    (
        "github.com/prometheus-operator/prometheus-operator@v0.85.0",
        "example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml",
    ),
]


def module(name):
    """Where Go keeps the module's files."""
    out = subprocess.run(
        ["go", "mod", "download", "-json", name], capture_output=True, text=True, cwd="/"
    )
    found = json.loads(out.stdout or "{}")
    if "Dir" not in found:
        sys.exit(f"cannot get {name}: {found.get('Error') or out.stderr}")
    return pathlib.Path(found["Dir"])


def strict(schema):
    """The schema with every object closed that lists its properties: a typing error is one."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: strict(value) for key, value in schema.items()}
    if schema.get("x-kubernetes-int-or-string"):
        closed = {"anyOf": [{"type": "integer"}, {"type": "string"}]}
    elif isinstance(schema.get("properties"), dict) and not schema.get("x-kubernetes-preserve-unknown-fields"):
        closed.setdefault("additionalProperties", False)
    # A field that may be left out may be null too, as the server has it.
    return closed


def write(out, kind, group, version, schema):
    # Kubernetes' own group has no name: its version stands for it, as kubeconform asks.
    path = out / f"{kind.lower()}-{group or version}-{version}.json"
    path.write_text(json.dumps(schema))


def reach(definitions, name, needed):
    """Adds the definition and all that it refers to."""
    if name in needed:
        return
    needed[name] = definitions[name]
    parts = [definitions[name]]
    while parts:
        part = parts.pop()
        if isinstance(part, dict):
            reference = part.get("$ref")
            if isinstance(reference, str):
                reach(definitions, reference.removeprefix("#/definitions/"), needed)
            parts.extend(part.values())
        elif isinstance(part, list):
            parts.extend(part)


def kubernetes(out):
    spec = json.loads((module(KUBERNETES) / "api/openapi-spec/swagger.json").read_text())
    definitions = strict(spec["definitions"])
    definitions["io.k8s.apimachinery.pkg.util.intstr.IntOrString"] = {
        "anyOf": [{"type": "integer"}, {"type": "string"}]
    }
    definitions["io.k8s.apimachinery.pkg.api.resource.Quantity"] = {
        "anyOf": [{"type": "number"}, {"type": "string"}]
    }
    wanted = {
        "Deployment", "Service", "ServiceAccount", "PodDisruptionBudget", "NetworkPolicy",
        "HorizontalPodAutoscaler",
    }
    for name, definition in spec["definitions"].items():
        for gvk in definition.get("x-kubernetes-group-version-kind", []):
            if gvk["kind"] in wanted:
                needed = {}
                reach(definitions, name, needed)
                schema = {"$ref": f"#/definitions/{name}", "definitions": needed}
                write(out, gvk["kind"], gvk["group"], gvk["version"], schema)


def custom(out):
    for name, files in CUSTOM:
        found = sorted(module(name).glob(files))
        if not found:
            sys.exit(f"{name} has no {files}")
        for path in found:
            for crd in yaml.safe_load_all(path.read_text()):
                if not crd or crd.get("kind") != "CustomResourceDefinition":
                    continue
                for version in crd["spec"]["versions"]:
                    schema = strict(version["schema"]["openAPIV3Schema"])
                    # What every object has; the definitions list it without its parts.
                    schema["properties"].update(
                        apiVersion={"type": "string"}, kind={"type": "string"}, metadata={"type": "object"}
                    )
                    names = crd["spec"]["names"]
                    write(out, names["kind"], crd["spec"]["group"], version["name"], schema)


def main():
    out = pathlib.Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    kubernetes(out)
    custom(out)
    print(f"{len(list(out.glob('*.json')))} schemas in {out}")


if __name__ == "__main__":
    main()

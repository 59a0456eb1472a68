"""What no schema says of manifests that belong together: selectors select the pods that they are meant for, ports and
targets that are named are there, and limits of memory are what the server may take.

    python3 manifests.py FILE...                      checks each file, as one set
    python3 manifests.py --set KIND PATH VALUE FILE   prints the file with one value of it changed

An empty selector is valid everywhere, and means every pod of the namespace.
"""

import json
import pathlib
import re
import sys

import yaml

LIMITS = pathlib.Path(__file__).resolve().parents[2] / "src/limits.rs"
GIB = 1 << 30

# Where a resource says which pods it is about.
OF_PODS = {
    "Deployment": "spec.selector",
    "Service": "spec.selector",
    "NetworkPolicy": "spec.podSelector",
    "PodDisruptionBudget": "spec.selector",
    "InferencePool": "spec.selector",
    "AuthorizationPolicy": "spec.selector",
    "PeerAuthentication": "spec.selector",
}
# And which Services.
OF_SERVICES = {"ServiceMonitor": "spec.selector"}
WITHOUT_SELECTOR = {
    "DestinationRule", "Gateway", "GRPCRoute", "HTTPRoute", "HorizontalPodAutoscaler", "ScaledObject",
    "ServiceAccount", "VirtualService",
}


def at(value, path):
    """What is at `a.0.b` of `value`, or None."""
    for part in path.split("."):
        if isinstance(value, list):
            value = value[int(part)] if int(part) < len(value) else None
        else:
            value = (value or {}).get(part)
    return value


def name(resource):
    return f"{resource['kind']} {at(resource, 'metadata.name')}"


def unselective(selector, candidates):
    """What is wrong with `selector`, which is to select one of the `candidates`, or None."""
    selector = selector or {}
    labels = selector.get("matchLabels", selector)
    if "matchExpressions" in selector:
        return "has matchExpressions, which this check does not read"
    if not labels:
        return "is empty"
    if not any(labels.items() <= one.items() for one in candidates):
        return f"selects nothing here: {labels}"
    return None


def selectors(resources, pods, services):
    """Each selector as its owner's name, its own and what it has to select one of."""
    for one in resources:
        kind = one["kind"]
        if kind in OF_PODS:
            yield name(one), OF_PODS[kind], at(one, OF_PODS[kind]), pods
        elif kind in OF_SERVICES:
            labels = [at(service, "metadata.labels") or {} for service in services]
            yield name(one), OF_SERVICES[kind], at(one, OF_SERVICES[kind]), labels
        elif kind not in WITHOUT_SELECTOR:
            sys.exit(f"{name(one)}: this check does not know where this kind has selectors")
        template = at(one, "spec.template") or {}
        for constraint in at(template, "spec.topologySpreadConstraints") or []:
            own = [at(template, "metadata.labels") or {}]
            yield name(one), "topologySpreadConstraints", constraint.get("labelSelector"), own


def named_ports(resources, of_pods, of_services):
    """Each port that is asked for by name, with those that there are."""
    for one in resources:
        asked, there = [], of_pods
        if one["kind"] == "Service":
            asked = [port.get("targetPort") for port in at(one, "spec.ports")]
        elif one["kind"] == "NetworkPolicy":
            asked = [port["port"] for rule in at(one, "spec.ingress") or [] for port in rule.get("ports", [])]
        elif one["kind"] == "ServiceMonitor":
            asked, there = [endpoint["port"] for endpoint in at(one, "spec.endpoints")], of_services
        for port in asked:
            if isinstance(port, str):
                yield name(one), port, there


def bound(constant):
    """A number of src/limits.rs."""
    number, shift = re.search(rf"\b{constant}: u\w+ = ([\d_]+)(?: << (\d+))?;", LIMITS.read_text()).groups()
    return int(number) << int(shift or 0)


def size(text):
    number, unit = re.fullmatch(r"(\d+)([MG])iB?", text).groups()
    return int(number) << (20 if unit == "M" else 30)


def too_little_memory(container):
    """What is wrong with the container's limit of memory, or None; docs/operations.md has the parts of the sum."""
    allowed = at(container, "resources.limits.memory")
    env = {one["name"]: one.get("value") for one in container.get("env", [])}
    threads, requests = env.get("TESSERA_INTAKE_THREADS"), env.get("TESSERA_REQUEST_MEMORY")
    if None in (allowed, threads, requests):
        return "memory has no limit, or nothing says how many intake threads and how much of requests shares it"
    # Four of the largest pages are one file's most, at three bytes a pixel.
    thread = bound("PDF_MEMORY_BYTES_MAX") + 4 * 3 * bound("PAGE_PIXELS_MAX")
    needed = bound("PIXEL_BYTES_WAITING_MAX") + size(requests) + int(threads) * thread + GIB
    if size(allowed) < needed:
        return f"memory is limited to {allowed}, and up to {needed / GIB:.1f} GiB are taken"
    return None


def problems(resources):
    workloads = [one for one in resources if at(one, "spec.template.spec.containers")]
    services = [one for one in resources if one["kind"] == "Service"]
    containers = [(name(one), container) for one in workloads for container in at(one, "spec.template.spec.containers")]
    pods = [at(one, "spec.template.metadata.labels") or {} for one in workloads]
    for owner, which, selector, candidates in selectors(resources, pods, services):
        wrong = unselective(selector, candidates)
        if wrong:
            yield f"{owner}: {which} {wrong}"
    of_pods = {port.get("name") for _, container in containers for port in container["ports"]}
    of_services = {port["name"] for one in services for port in at(one, "spec.ports")}
    for owner, port, there in named_ports(resources, of_pods, of_services):
        if port not in there:
            yield f"{owner}: there is no port {port}"
    for one in resources:
        target = at(one, "spec.scaleTargetRef.name")
        if target and target not in [at(workload, "metadata.name") for workload in workloads]:
            yield f"{name(one)}: there is no {target} to scale"
    for owner, container in containers:
        wrong = too_little_memory(container)
        if wrong:
            yield f"{owner}: {wrong}"


def change(resources, kind, path, value):
    *parents, last = path.split(".")
    holder = at(next(one for one in resources if one["kind"] == kind), ".".join(parents))
    if last not in holder:
        sys.exit(f"{kind} has no {path}")
    holder[last] = value


def read(file):
    return [one for one in yaml.safe_load_all(pathlib.Path(file).read_text()) if one]


def main():
    if sys.argv[1] == "--set":
        kind, path, value, file = sys.argv[2:]
        resources = read(file)
        change(resources, kind, path, json.loads(value))
        print(yaml.safe_dump_all(resources), end="")
        return
    wrong = [f"{file}: {problem}" for file in sys.argv[1:] for problem in problems(read(file))]
    if wrong:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()

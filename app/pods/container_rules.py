"""Rules about the containers and volumes of a pod that a schema cannot say.

Unique names, references between parts, exactly-one-of choices, ports (VAL8). Inputs: a spec of any form.
Outputs: violations.
Rules: k8s.io/kubernetes/pkg/apis/core/validation, as far as a batch pod meets them.
"""

from collections.abc import Iterator, Mapping

from app.pods.tree import ContainerSite, container_sites, mapping, sequence, text
from app.pods.violation import Rule, Violation, shown

_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc", "sleep")
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_NOT_FOR_INIT = ("lifecycle", *_PROBES)
_ENV_SOURCES = ("configMapKeyRef", "fieldRef", "fileKeyRef", "resourceFieldRef", "secretKeyRef")
_ENV_FROM_SOURCES = ("configMapRef", "secretRef")


def container_violations(spec: Mapping[str, object], path: str) -> list[Violation]:
    """All violations of containers and volumes."""
    volumes = {text(mapping(volume).get("name")) for volume in sequence(spec.get("volumes"))}
    violations = list(_volumes(spec, path))
    names: set[str] = set()
    ports: set[tuple[object, str]] = set()
    for site in container_sites(spec):
        name = text(site.node.get("name"))
        if name and name in names:
            message = f"there are several containers named {shown(name)!r}"
            violations.append(Violation(rule=Rule.DUPLICATE, path=f"{site.path(path)}.name", message=message))
        names.add(name)
        node = site.node
        if "ports" in node:
            violations += _ports(site, path, ports)
        if "env" in node or "envFrom" in node:
            violations += _environment(site, path)
        if "volumeMounts" in node or "volumeDevices" in node:
            violations += _mounts(site, path, volumes)
        violations += _handlers(site, path)
    return violations


def _volumes(spec: Mapping[str, object], path: str) -> Iterator[Violation]:
    names: set[str] = set()
    for index, value in enumerate(sequence(spec.get("volumes"))):
        volume = mapping(value)
        name = text(volume.get("name"))
        if name and name in names:
            message = f"there are several volumes named {shown(name)!r}"
            yield Violation(rule=Rule.DUPLICATE, path=f"{path}.volumes[{index}].name", message=message)
        names.add(name)
        sources = [key for key in volume if key != "name"]
        if len(sources) > 1:  # none is an emptyDir
            message = f"must have one source, not {' and '.join(map(shown, sources[:5]))}"
            yield Violation(rule=Rule.ONE_OF, path=f"{path}.volumes[{index}]", message=message)


def _ports(site: ContainerSite, path: str, ports: set[tuple[object, str]]) -> Iterator[Violation]:
    """VAL8: the containers of a pod share one network, so two that run together cannot have the same port."""
    names: set[str] = set()
    for index, value in enumerate(sequence(site.node.get("ports"))):
        port = mapping(value)
        where = f"{site.path(path)}.ports[{index}]"
        name = text(port.get("name"))
        if name and name in names:
            message = f"there are several ports named {shown(name)!r} in this container"
            yield Violation(rule=Rule.DUPLICATE, path=f"{where}.name", message=message)
        names.add(name)
        number = port.get("containerPort")
        if site.initial or not isinstance(number, int | float):
            continue
        protocol = text(port.get("protocol")) or "TCP"
        if (number, protocol) in ports:
            message = f"port {number}/{shown(protocol)} is exposed several times in this pod"
            yield Violation(rule=Rule.VAL8, path=f"{where}.containerPort", message=message)
        ports.add((number, protocol))


def _environment(site: ContainerSite, path: str) -> Iterator[Violation]:
    for index, value in enumerate(sequence(site.node.get("env"))):
        variable = mapping(value)
        source = variable.get("valueFrom")
        if source is None:
            continue
        where = f"{site.path(path)}.env[{index}].valueFrom"
        if variable.get("value"):
            message = "value and valueFrom exclude each other"
            yield Violation(rule=Rule.ONE_OF, path=where, message=message)
        yield from _exactly_one(mapping(source), _ENV_SOURCES, where)
    for index, value in enumerate(sequence(site.node.get("envFrom"))):
        yield from _exactly_one(mapping(value), _ENV_FROM_SOURCES, f"{site.path(path)}.envFrom[{index}]")


def _mounts(site: ContainerSite, path: str, volumes: set[str]) -> Iterator[Violation]:
    mounted: set[str] = set()
    for list_name, place in (("volumeMounts", "mountPath"), ("volumeDevices", "devicePath")):
        for index, value in enumerate(sequence(site.node.get(list_name))):
            mount = mapping(value)
            where = f"{site.path(path)}.{list_name}[{index}]"
            name = text(mount.get("name"))
            if name not in volumes:
                message = f"there is no volume named {shown(name)!r} in this pod"
                yield Violation(rule=Rule.REFERENCE, path=f"{where}.name", message=message)
            target = text(mount.get(place))
            if target and target in mounted:
                message = f"{shown(target)!r} is mounted several times in this container"
                yield Violation(rule=Rule.DUPLICATE, path=f"{where}.{place}", message=message)
            mounted.add(target)


def _handlers(site: ContainerSite, path: str) -> Iterator[Violation]:
    """Probes and lifecycle hooks: one handler each, and none at containers that end before the pod runs."""
    for name in _NOT_FOR_INIT:
        value = site.node.get(name)
        if value is None:
            continue
        where = f"{site.path(path)}.{name}"
        if site.initial:
            message = "only main containers and sidecars (restartPolicy: Always) may have it"
            yield Violation(rule=Rule.INIT_CONTAINER, path=where, message=message)
        elif name in _PROBES:
            yield from _exactly_one(mapping(value), _HANDLERS, where)
        else:
            for hook in ("postStart", "preStop"):
                if hook in mapping(value):
                    yield from _exactly_one(mapping(mapping(value)[hook]), _HANDLERS, f"{where}.{hook}")


def _exactly_one(node: Mapping[str, object], choices: tuple[str, ...], path: str) -> Iterator[Violation]:
    given = [choice for choice in choices if choice in node]
    if len(given) != 1:
        found = " and ".join(given) if given else "none"
        yield Violation(
            rule=Rule.ONE_OF, path=path, message=f"must have exactly one of {', '.join(choices)}; it has {found}"
        )

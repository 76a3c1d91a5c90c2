"""Generate app/pods/pod_spec.schema.json, the JSON Schema of a Kubernetes PodSpec.

Purpose: the server validates pod specs without importing the Kubernetes client, so the knowledge of the
client's models (every field, its type, what is required) is written down once as a JSON Schema.
Inputs: the pydantic models of the installed `kubernetes` package, from V1PodSpec through everything that it
reaches, and the tables below: what the models do not carry (enums, number ranges, name syntax, quantities).
Output: the schema as text; `--check` only compares it with the committed file and exits with 1 if it differs.

Run: `python infra/kube/generate_pod_schema.py [--check]`
"""

import argparse
import datetime
import json
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

import kubernetes
from kubernetes.client.models.v1_pod_spec import V1PodSpec
from pydantic import BaseModel

SCHEMA_FILE = Path(__file__).resolve().parents[2] / "app" / "pods" / "pod_spec.schema.json"

GENERATOR = "infra/kube/generate_pod_schema.py"

INT32 = {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1}
INT64 = {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1}

# Shared string syntaxes and number ranges; `description` becomes the error text of a value that does not match.
SHARED: dict[str, dict[str, Any]] = {
    "Quantity": {
        "description": "a Kubernetes quantity such as 2, 500m or 4Gi",
        "type": ["string", "number"],
        "maxLength": 64,
        "pattern": r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]{1,2})?$",
    },
    "DnsLabel": {
        "description": "a DNS-1123 label: at most 63 of a-z, 0-9 and -, beginning and ending with a letter or digit",
        "type": "string",
        "maxLength": 63,
        "pattern": r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
    },
    "DnsSubdomain": {
        "description": "a DNS-1123 subdomain: at most 253 characters, DNS-1123 labels joined by dots",
        "type": "string",
        "maxLength": 253,
        "pattern": r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
    },
    "PortName": {
        "description": "a port name: at most 15 of a-z, 0-9 and -, with at least one letter",
        "type": "string",
        "maxLength": 15,
        "pattern": r"^([0-9]+-)*[0-9]*[a-z]([a-z0-9]|-[a-z0-9])*$",
    },
    "EnvName": {
        "description": "the name of an environment variable: printable ASCII without =",
        "type": "string",
        "minLength": 1,
        "pattern": r"^[ -<>-~]+$",
    },
    "EmptyDirMedium": {
        "description": "a medium: empty, Memory, HugePages or HugePages-<size>",
        "type": "string",
        "pattern": r"^(Memory|HugePages(-.+)?)?$",
    },
    "StopSignal": {
        "description": "a signal such as SIGTERM",
        "type": "string",
        "pattern": r"^SIG[A-Z0-9+-]+$",
    },
    "NonEmpty": {"description": "a text that is not empty", "type": "string", "minLength": 1},
    "PortNumber": {"description": "a port from 1 to 65535", "type": "integer", "minimum": 1, "maximum": 65535},
    "HostPort": {"description": "a port from 0 to 65535", "type": "integer", "minimum": 0, "maximum": 65535},
    "PortNumberOrName": {
        "description": "the number or the name of a port",
        "type": ["integer", "string"],
        "minimum": 1,
        "maximum": 65535,
        "minLength": 1,
    },
    "FileMode": {
        "description": "file mode bits from 0 to 511 (octal 0777)",
        "type": "integer",
        "minimum": 0,
        "maximum": 511,
    },
    "UserOrGroup": {"description": "a user or group id", "type": "integer", "minimum": 0, "maximum": 2**31 - 1},
    "Seconds": {"description": "seconds, at least 1", "type": "integer", "minimum": 1, "maximum": 2**31 - 1},
    "Count": {"description": "a whole number, at least 0", "type": "integer", "minimum": 0, "maximum": 2**31 - 1},
    "Positive": {"description": "a whole number, at least 1", "type": "integer", "minimum": 1, "maximum": 2**31 - 1},
    "Weight": {"description": "a weight from 1 to 100", "type": "integer", "minimum": 1, "maximum": 100},
}

# "Model.field" -> name in SHARED. For maps and lists the shared definition is that of the values.
SYNTAX: dict[str, str] = {
    "ResourceRequirements.limits": "Quantity",
    "ResourceRequirements.requests": "Quantity",
    "VolumeResourceRequirements.limits": "Quantity",
    "VolumeResourceRequirements.requests": "Quantity",
    "PodSpec.overhead": "Quantity",
    "EmptyDirVolumeSource.sizeLimit": "Quantity",
    "ResourceFieldSelector.divisor": "Quantity",
    "EmptyDirVolumeSource.medium": "EmptyDirMedium",
    "EmptyDirVolumeSource.mode": "FileMode",
    "Lifecycle.stopSignal": "StopSignal",
    "Container.name": "DnsLabel",
    "EphemeralContainer.name": "DnsLabel",
    "Volume.name": "DnsLabel",
    "Container.image": "NonEmpty",
    "VolumeMount.mountPath": "NonEmpty",
    "VolumeMount.name": "NonEmpty",
    "VolumeDevice.devicePath": "NonEmpty",
    "EnvVar.name": "EnvName",
    "ContainerPort.name": "PortName",
    "ContainerPort.containerPort": "PortNumber",
    "ContainerPort.hostPort": "HostPort",
    "GRPCAction.port": "PortNumber",
    "HTTPGetAction.port": "PortNumberOrName",
    "TCPSocketAction.port": "PortNumberOrName",
    "PodSpec.hostname": "DnsLabel",
    "PodSpec.subdomain": "DnsLabel",
    "PodSpec.runtimeClassName": "DnsSubdomain",
    "PodSpec.serviceAccountName": "DnsSubdomain",
    "PodSpec.serviceAccount": "DnsSubdomain",
    "PodSpec.activeDeadlineSeconds": "Seconds",
    "PersistentVolumeClaimVolumeSource.claimName": "DnsSubdomain",
    "KeyToPath.mode": "FileMode",
    "DownwardAPIVolumeFile.mode": "FileMode",
    "ConfigMapVolumeSource.defaultMode": "FileMode",
    "SecretVolumeSource.defaultMode": "FileMode",
    "DownwardAPIVolumeSource.defaultMode": "FileMode",
    "ProjectedVolumeSource.defaultMode": "FileMode",
    "PodSecurityContext.fsGroup": "UserOrGroup",
    "PodSecurityContext.runAsGroup": "UserOrGroup",
    "PodSecurityContext.runAsUser": "UserOrGroup",
    "PodSecurityContext.supplementalGroups": "UserOrGroup",
    "SecurityContext.runAsGroup": "UserOrGroup",
    "SecurityContext.runAsUser": "UserOrGroup",
    "PreferredSchedulingTerm.weight": "Weight",
    "WeightedPodAffinityTerm.weight": "Weight",
    "Probe.failureThreshold": "Count",
    "Probe.initialDelaySeconds": "Count",
    "Probe.periodSeconds": "Count",
    "Probe.successThreshold": "Count",
    "Probe.timeoutSeconds": "Count",
    "TopologySpreadConstraint.maxSkew": "Positive",
}

# "Model.field" -> the values that Kubernetes knows. Operators of node affinity are not here: rule VAL7 names them.
ENUMS: dict[str, list[str]] = {
    "PodSpec.restartPolicy": ["Always", "OnFailure", "Never"],
    "PodSpec.dnsPolicy": ["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"],
    "PodSpec.preemptionPolicy": ["Never", "PreemptLowerPriority"],
    "PodOS.name": ["linux", "windows"],
    "Container.imagePullPolicy": ["Always", "Never", "IfNotPresent"],
    "Container.terminationMessagePolicy": ["File", "FallbackToLogsOnError"],
    "Container.restartPolicy": ["Always", "OnFailure", "Never"],
    "ContainerPort.protocol": ["TCP", "UDP", "SCTP"],
    "ContainerResizePolicy.restartPolicy": ["NotRequired", "RestartContainer"],
    "ContainerRestartRule.action": ["Restart", "RestartAllContainers"],
    "ContainerRestartRuleOnExitCodes.operator": ["In", "NotIn"],
    "HTTPGetAction.scheme": ["HTTP", "HTTPS"],
    # Lt and Gt stand behind an alpha gate of Kubernetes and are not scheduled by.
    "Toleration.operator": ["", "Exists", "Equal"],
    "Toleration.effect": ["", "NoSchedule", "PreferNoSchedule", "NoExecute"],
    "LabelSelectorRequirement.operator": ["In", "NotIn", "Exists", "DoesNotExist"],
    "TopologySpreadConstraint.whenUnsatisfiable": ["DoNotSchedule", "ScheduleAnyway"],
    "TopologySpreadConstraint.nodeAffinityPolicy": ["Honor", "Ignore"],
    "TopologySpreadConstraint.nodeTaintsPolicy": ["Honor", "Ignore"],
    "PodSecurityContext.fsGroupChangePolicy": ["OnRootMismatch", "Always"],
    "PodSecurityContext.seLinuxChangePolicy": ["MountOption", "Recursive"],
    "PodSecurityContext.supplementalGroupsPolicy": ["Merge", "Strict"],
    "SecurityContext.procMount": ["Default", "Unmasked"],
    "SeccompProfile.type": ["Unconfined", "RuntimeDefault", "Localhost"],
    "AppArmorProfile.type": ["Unconfined", "RuntimeDefault", "Localhost"],
    "VolumeMount.mountPropagation": ["None", "HostToContainer", "Bidirectional"],
    "VolumeMount.recursiveReadOnly": ["Disabled", "IfPossible", "Enabled"],
    "ImageVolumeSource.pullPolicy": ["Always", "Never", "IfNotPresent"],
    "HostPathVolumeSource.type": [
        "", "DirectoryOrCreate", "Directory", "FileOrCreate", "File", "Socket", "CharDevice", "BlockDevice",
    ],
    "AzureDiskVolumeSource.cachingMode": ["None", "ReadOnly", "ReadWrite"],
    "AzureDiskVolumeSource.kind": ["Shared", "Dedicated", "Managed"],
    "PodCertificateProjection.keyType": ["RSA3072", "RSA4096", "ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519"],
    "PersistentVolumeClaimSpec.accessModes": ["ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"],
    "PersistentVolumeClaimSpec.volumeMode": ["Filesystem", "Block"],
}  # fmt: skip

# Integers are int32 in Kubernetes, except these.
INT64_FIELDS = {
    "PodSpec.terminationGracePeriodSeconds",
    "Probe.terminationGracePeriodSeconds",
    "Toleration.tolerationSeconds",
    "ServiceAccountTokenProjection.expirationSeconds",
    "SleepAction.seconds",
    "ObjectMeta.generation",
    "ObjectMeta.deletionGracePeriodSeconds",
}

# Required by the API server when a pod is created, although the models leave them open.
REQUIRED = {"Container": ["image"]}
NOT_EMPTY = {"PodSpec.containers", "NodeSelector.nodeSelectorTerms"}


def generate() -> str:
    """The schema as text, the same for the same version of the `kubernetes` package."""
    definitions: dict[str, dict[str, Any]] = {}
    used: set[str] = set()
    waiting: list[type[BaseModel]] = [V1PodSpec]
    while waiting:
        model = waiting.pop()
        name = definition_name(model)
        if name in definitions:
            continue
        definitions[name] = object_schema(model, name, waiting, used)
    known = {f"{name}.{field}" for name, schema in definitions.items() for field in schema["properties"]}
    unknown = sorted((set(SYNTAX) | set(ENUMS) | INT64_FIELDS | NOT_EMPTY) - known)
    if unknown:
        raise SystemExit(f"these fields of the tables are not in the models any more: {', '.join(unknown)}")
    definitions.update((name, SHARED[name]) for name in used)
    header = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$comment": f"Generated by {GENERATOR} from kubernetes {kubernetes.__version__}; do not edit.",
        "title": "PodSpec",
        "$ref": "#/$defs/PodSpec",
    }
    return "\n".join(lines_of(header, definitions)) + "\n"


def definition_name(model: type[BaseModel]) -> str:
    """V1PodSpec -> PodSpec, CoreV1ResourceClaim -> ResourceClaim."""
    return model.__name__.removeprefix("Core").removeprefix("V1")


def object_schema(model: type[BaseModel], name: str, waiting: list[type[BaseModel]], used: set[str]) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    required: list[str] = list(REQUIRED.get(name, []))
    for python_name, field in model.model_fields.items():
        json_name = field.serialization_alias or python_name
        properties[json_name] = value_schema(field.annotation, f"{name}.{json_name}", waiting, used)
        if field.is_required():
            required.append(json_name)
    schema: dict[str, Any] = {"type": "object", "additionalProperties": False}
    if required:
        schema["required"] = sorted(required)
    schema["properties"] = dict(sorted(properties.items()))
    return schema


def value_schema(annotation: Any, field: str, waiting: list[type[BaseModel]], used: set[str]) -> dict[str, Any]:
    """The schema of one field's type; `field` is "Model.field" and selects rows of the tables."""
    annotation = without_optional(annotation)
    origin = get_origin(annotation)
    if origin is list:
        schema: dict[str, Any] = {"type": "array", "items": value_schema(get_args(annotation)[0], field, waiting, used)}
        if field in NOT_EMPTY:
            schema["minItems"] = 1
        return schema
    if origin is dict:
        value = get_args(annotation)[1]
        if value is Any:
            return {"type": "object"}
        return {"type": "object", "additionalProperties": value_schema(value, field, waiting, used)}
    if field in SYNTAX:
        used.add(SYNTAX[field])
        return {"$ref": f"#/$defs/{SYNTAX[field]}"}
    if field in ENUMS:
        return {"enum": ENUMS[field]}
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        waiting.append(annotation)
        return {"$ref": f"#/$defs/{definition_name(annotation)}"}
    if annotation is int:
        return INT64 if field in INT64_FIELDS else INT32
    scalars = {str: {"type": "string"}, bool: {"type": "boolean"}}
    if annotation is datetime.datetime:
        return {"type": "string"}
    if annotation not in scalars:
        raise SystemExit(f"{field}: no rule for the type {annotation}")
    return scalars[annotation]


def without_optional(annotation: Any) -> Any:
    """Optional[X] -> X, Annotated[X, ...] -> X."""
    if get_origin(annotation) is Annotated:
        return without_optional(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        members = [member for member in get_args(annotation) if member is not type(None)]
        if len(members) == 1:
            return without_optional(members[0])
    return annotation


def lines_of(header: dict[str, Any], definitions: dict[str, dict[str, Any]]) -> Iterator[str]:
    """One line a field, so that a new version of Kubernetes shows as a readable difference."""
    yield "{"
    for key, value in header.items():
        yield f" {json.dumps(key)}: {json.dumps(value)},"
    yield ' "$defs": {'
    for number, (name, schema) in enumerate(sorted(definitions.items())):
        end = "" if number == len(definitions) - 1 else ","
        properties = schema.get("properties")
        if properties is None:
            yield f"  {json.dumps(name)}: {json.dumps(schema)}{end}"
            continue
        head = ", ".join(f"{json.dumps(key)}: {json.dumps(schema[key])}" for key in schema if key != "properties")
        yield f'  {json.dumps(name)}: {{{head}, "properties": {{'
        for index, (field, value) in enumerate(properties.items()):
            comma = "" if index == len(properties) - 1 else ","
            yield f"   {json.dumps(field)}: {json.dumps(value)}{comma}"
        yield f"  }}}}{end}"
    yield " }"
    yield "}"


def main() -> int:
    parser = argparse.ArgumentParser(description="Generate the JSON Schema of a PodSpec.")
    parser.add_argument("--check", action="store_true", help="compare with the committed file, write nothing")
    text = generate()
    if parser.parse_args().check:
        same = SCHEMA_FILE.exists() and SCHEMA_FILE.read_text(encoding="utf-8") == text
        print(f"{SCHEMA_FILE.name} is {'up to date' if same else 'out of date: run infra/kube/generate_pod_schema.py'}")
        return 0 if same else 1
    SCHEMA_FILE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

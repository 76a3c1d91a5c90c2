"""What a pod of a fake cluster does: its spec, read by this table. Pure; the result is all that its phase depends on.

| spec | what happens |
|---|---|
| `sleep N` (`5`, `0.5`, `10s`, `2m`, `1h`, `infinity`; several add up) | runs that long, exit 0 |
| `exit N`, `true`, `false`, `:` | ends at once with that code, 0, 1, 0 |
| `tail /dev/zero` in a container with a memory limit | takes more than its limit after a second: 137, OOMKilled |
| `echo`, `printf`, `ls`, `cat`, `date`, `env`, `pwd`, `hostname` … | ends at once, exit 0 |
| `sh -c "…"` (also bash, ash, dash; `-ec`, `-lc`) | the commands one after the other; `;`, newline, `&&` and `||` as in
  a shell; `exit` ends it |
| any other command, or none (the image's own) | runs `default_run_ms`, exit 0 |
| image `…/unknown…` or tag `:missing` | never starts: ErrImagePull, then ImagePullBackOff "not found" |
| image `…/unreachable…` | never starts: ImagePullBackOff "connection refused" |
| image with upper case or blanks | never starts: InvalidImageName |
| several containers | begin together; the pod ends when all have ended, Failed if any code is not 0 |
| init containers | run before, one after the other; the first that fails ends the pod; sidecars (restartPolicy Always)
  are ignored |
| `activeDeadlineSeconds` | the pod fails with DeadlineExceeded when it is over |
| namespace `missing…`, `forbidden…` | the create is refused: no such namespace, not allowed there |
| `dnsPolicy: None` without name servers, a mount of a volume that is not there | the create is refused, as invalid |
| annotation `fake-cluster/NAME` (or `argosy.io/fake-NAME`) | `start-delay-ms`, `stop-delay-ms`, `run-ms`, `exit-code`
  replace what was read; `message`: the termination message |
| … `fail-attempts` N | the first N attempts of the job exit 1 |
| … `refuse` REASON | the node refuses the pod at admission (`OutOfcpu`) |
| … `delete-after-ms` | somebody else removes the pod so long after it began |
| … `hang-after-ms` | somebody else asks for the pod's deletion so long after it began, and it does not stop: only force
  removes it |
| … `lose-node-after-ms` | at the first attempt the pod runs for ever, and its node vanishes so long after it began |
| … `wait-for-gang` `true` | what was read begins once all members of the gang have begun, until then its containers
  run |
"""

import re
import shlex
from collections.abc import Mapping

from msgspec import Struct

from app.executor.fake_cluster.spec import FakeClusterSpec
from app.pods.tree import ContainerSite, container_sites, mapping, sequence, text

ANNOTATION_PREFIXES = ("fake-cluster/", "argosy.io/fake-")
FOREVER_MS = 10 * 365 * 86_400_000
KILLED_EXIT_CODE = 137
TERMINATED_EXIT_CODE = 143

_SHELLS = frozenset({"sh", "bash", "ash", "dash"})
_BUILTINS = frozenset({"set", "cd", "export", "trap", "umask", "wait", "unset", "test", "["})
_AT_ONCE = _BUILTINS | frozenset(
    {"echo", "printf", "ls", "cat", "date", "env", "pwd", "hostname", "whoami", "uname", "id", "mkdir", "touch"}
)
_DURATION = re.compile(r"^(\d+(?:\.\d*)?|\.\d+)([smhd]?)$")
_UNIT_MS = {"": 1_000, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_OPERATOR_CHARS = ";&|\n"
_IMAGE = re.compile(r"^[a-z0-9][a-z0-9._/:@-]*$")
_COMMANDS_MAX = 1_000
_TEXT_CHARS_MAX = 4_096
_MEMORY_EATER = ["tail", "/dev/zero"]
_EATEN_MS = 1_000


class ContainerScript(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one container does: runs for run_ms, then ends with exit_code (reason, note: of its termination); or, with a
    waiting reason (and message), never starts."""

    name: str
    init: bool = False
    run_ms: int = 0
    exit_code: int = 0
    waiting: str = ""
    message: str = ""
    reason: str = ""
    note: str = ""


class PodScript(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a pod does. Times from its start: deadline_ms, deleted_after_ms (by somebody else), hangs_after_ms (the
    same, and it does not stop), node_lost_after_ms; 0 = never. refuse: the kubelet's reason for not admitting it.
    waits_for_gang: its containers wait for those of the other members of its gang."""

    containers: tuple[ContainerScript, ...]
    start_delay_ms: int = 0
    stop_delay_ms: int = 0
    grace_seconds: int = 30
    deadline_ms: int = 0
    deleted_after_ms: int = 0
    hangs_after_ms: int = 0
    node_lost_after_ms: int = 0
    refuse: str = ""
    waits_for_gang: bool = False


def read_script(
    pod_spec: Mapping[str, object], annotations: Mapping[str, str], cluster: FakeClusterSpec, attempt: int = 0
) -> PodScript:
    """The script of a pod spec. Whatever the table does not know is passed over: a fake cluster refuses nothing that
    it understands."""
    override = _Overrides(annotations, attempt)
    containers = tuple(_container(site, override, cluster) for site in container_sites(pod_spec) if not site.sidecar)
    deadline_s = pod_spec.get("activeDeadlineSeconds")
    grace_s = pod_spec.get("terminationGracePeriodSeconds")
    return PodScript(
        containers=containers,
        start_delay_ms=override.number("start-delay-ms", cluster.start_delay_ms),
        stop_delay_ms=override.number("stop-delay-ms", cluster.stop_delay_ms),
        grace_seconds=grace_s if isinstance(grace_s, int) and grace_s >= 0 else 30,
        deadline_ms=deadline_s * 1_000 if isinstance(deadline_s, int) and deadline_s > 0 else 0,
        deleted_after_ms=override.number("delete-after-ms", 0),
        hangs_after_ms=override.number("hang-after-ms", 0),
        node_lost_after_ms=override.node_lost_after_ms,
        refuse=override.text("refuse"),
        waits_for_gang=override.text("wait-for-gang") == "true",
    )


def refusal_of(pod_spec: Mapping[str, object]) -> str:
    """What an API server says to a spec that it finds invalid; "" = nothing. Two of its many rules."""
    if pod_spec.get("dnsPolicy") == "None" and not sequence(mapping(pod_spec.get("dnsConfig")).get("nameservers")):
        return "spec.dnsConfig.nameservers: Required value: must provide at least one DNS nameserver"
    volumes = {text(mapping(volume).get("name")) for volume in sequence(pod_spec.get("volumes"))}
    for site in container_sites(pod_spec):
        for at, mount in enumerate(sequence(site.node.get("volumeMounts"))):
            name = text(mapping(mount).get("name"))
            if name not in volumes:
                return f"{site.path('spec')}.volumeMounts[{at}].name: Not found: {name!r}"
    return ""


class _Overrides:
    """Annotations that replace what was read."""

    def __init__(self, annotations: Mapping[str, str], attempt: int) -> None:
        self._values: dict[str, str] = {}
        for key, value in annotations.items():
            for prefix in ANNOTATION_PREFIXES:
                if key.startswith(prefix):
                    self._values[key.removeprefix(prefix)] = value
        self.fails = attempt < self.number("fail-attempts", 0)
        self.node_lost_after_ms = self.number("lose-node-after-ms", 0) if attempt == 0 else 0

    def number(self, name: str, default: int) -> int:
        value = self._values.get(name, "")
        return int(value) if value.isascii() and value.isdigit() and len(value) < 12 else default

    def text(self, name: str) -> str:
        return self._values.get(name, "")[:_TEXT_CHARS_MAX]


def _container(site: ContainerSite, override: _Overrides, cluster: FakeClusterSpec) -> ContainerScript:
    name = text(site.node.get("name")) or f"{site.list_name}-{site.position}"
    image = text(site.node.get("image"))
    waiting, message = _image_trouble(image)
    if waiting:
        return ContainerScript(name=name, init=site.initial, waiting=waiting, message=message)
    words = [word for field in ("command", "args") for word in sequence(site.node.get(field)) if isinstance(word, str)]
    if words == _MEMORY_EATER and mapping(mapping(site.node.get("resources")).get("limits")).get("memory"):
        return ContainerScript(
            name=name, init=site.initial, run_ms=_EATEN_MS, exit_code=KILLED_EXIT_CODE, reason="OOMKilled"
        )
    run_ms, exit_code = _program(words, cluster.default_run_ms)
    if site.initial:
        return ContainerScript(name=name, init=True, run_ms=min(run_ms, FOREVER_MS), exit_code=exit_code & 0xFF)
    run_ms, exit_code = override.number("run-ms", run_ms), override.number("exit-code", exit_code)
    if override.fails:
        exit_code = 1
    if override.node_lost_after_ms:
        run_ms = FOREVER_MS
    return ContainerScript(
        name=name, run_ms=min(run_ms, FOREVER_MS), exit_code=exit_code & 0xFF, note=override.text("message")
    )


def _image_trouble(image: str) -> tuple[str, str]:
    repository, _, tag = image.rpartition(":")
    if (tag == "missing" and repository) or "/unknown" in image:
        return "ImagePullBackOff", f'Back-off pulling image "{image}": manifest unknown: not found'
    if "/unreachable" in image:
        return "ImagePullBackOff", f'Back-off pulling image "{image}": dial tcp: connection refused'
    if not _IMAGE.match(image):
        return "InvalidImageName", f'Failed to apply default image tag "{image}": invalid reference format'
    return "", ""


def _program(words: list[str], default_run_ms: int) -> tuple[int, int]:
    """(run time in ms, exit code) of a command line."""
    if not words:
        return default_run_ms, 0
    name = words[0].rpartition("/")[2]
    if name in _SHELLS and len(words) > 2 and words[1].startswith("-") and words[1].endswith("c"):
        return _shell(words[2], default_run_ms, stops_at_failure="e" in words[1])
    run_ms, exit_code, _ = _command(words, default_run_ms)
    return run_ms, exit_code


def _shell(script: str, default_run_ms: int, *, stops_at_failure: bool) -> tuple[int, int]:
    """Commands one after the other; `&&` and `||` skip what a shell would skip; `set -e` (or `sh -ec`) ends it at a
    failure."""
    run_ms, exit_code, joined_by = 0, 0, ";"
    for words, then in _commands(script)[:_COMMANDS_MAX]:
        if (joined_by == "&&" and exit_code) or (joined_by == "||" and not exit_code):
            joined_by = then
            continue
        if words[0] == "set" and any(word.startswith("-") and "e" in word for word in words[1:]):
            stops_at_failure = True
        took_ms, exit_code, ends = _command(words, default_run_ms, before=exit_code)
        run_ms += took_ms
        if ends or (stops_at_failure and exit_code and then == ";"):
            break
        joined_by = then
    return run_ms, exit_code


def _commands(script: str) -> list[tuple[list[str], str]]:
    """(words, the operator that follows: `;`, `&&` or `||`) of each simple command; quotes are respected, comments
    dropped."""
    tokens = shlex.shlex(script, posix=True, punctuation_chars=_OPERATOR_CHARS)
    tokens.whitespace, tokens.commenters, tokens.whitespace_split = " \t\r", "", True
    commands: list[tuple[list[str], str]] = []
    words: list[str] = []
    in_comment = False
    try:
        for token in tokens:
            if set(token) <= set(_OPERATOR_CHARS):
                operator = token[:2] if token.startswith(("&&", "||")) else ";"
                in_comment = in_comment and "\n" not in token
                if words and not in_comment:
                    commands.append((words, operator))
                    words = []
            elif not in_comment:
                in_comment = token.startswith("#")
                words += [] if in_comment else [token]
    except ValueError:
        # An open quote: a shell would refuse the script.
        return [(["exit", "2"], ";")]
    return [*commands, (words, ";")] if words else commands


def _command(words: list[str], default_run_ms: int, before: int = 0) -> tuple[int, int, bool]:
    """(run time in ms, exit code, whether it ends the shell) of one simple command."""
    name = words[0].rpartition("/")[2]
    if name == "exec" and len(words) > 1:
        run_ms, exit_code, _ = _command(words[1:], default_run_ms)
        return run_ms, exit_code, True
    if name == "exit":
        code = int(words[1]) & 0xFF if len(words) > 1 and words[1].isascii() and words[1].isdigit() else before
        return 0, code, True
    if name == "sleep":
        return _sleep(words[1:])
    if name in ("true", ":"):
        return 0, 0, False
    if name == "false":
        return 0, 1, False
    return (0 if name in _AT_ONCE else default_run_ms), 0, False


def _sleep(durations: list[str]) -> tuple[int, int, bool]:
    total_ms = 0
    for duration in durations:
        if duration in ("infinity", "inf"):
            return FOREVER_MS, 0, False
        found = _DURATION.match(duration)
        if found is None or len(found[1]) > 12:
            return 0, 1, False
        total_ms += round(float(found[1]) * _UNIT_MS[found[2]])
    return total_ms, 0 if durations else 1, False


def image_pull_reason(script: ContainerScript, since_ms: int) -> str:
    """The kubelet says ErrImagePull first, and ImagePullBackOff once it has tried twice."""
    return "ErrImagePull" if script.waiting == "ImagePullBackOff" and since_ms < 1_000 else script.waiting

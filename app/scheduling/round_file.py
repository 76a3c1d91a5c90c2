"""`argosy-round/1`: a round as JSON in Kubernetes terms (reference round-file.md), read into a `Round`.

Input: a JSON document. Output: a `Round`. Errors: RoundError with the path of the first wrong field. round_print.py
writes the same format. Absent fields take the default of the reference; what a job is (id, queue, requests), what a
node is (name, capacity) and all names are required.
"""

from app.scheduling.builder import RoundBuilder, amounts_of
from app.scheduling.errors import RoundError
from app.scheduling.jobs import Gang
from app.scheduling.json_object import JsonObject, checked_text, decode_object
from app.scheduling.kubernetes_terms import ITEMS_MAX, read_affinity, read_taints, read_tolerations
from app.scheduling.resources import RESOURCES_MAX
from app.scheduling.round import Away, Cluster, Limiter, NodeType, PriorityClass, Queue, Round, RoundConfig

ROUND_FORMAT = "argosy-round/1"
DEFAULT_POOL = "cpu"
DEFAULT_CLUSTER = "c0"
DEFAULT_CLASS = "default"
DEFAULT_PRIORITY = 1000
CLUSTERS_MAX = 10_000
CLASSES_MAX = 1_000
QUEUES_MAX = 100_000
NODES_MAX = 1_000_000
JOBS_MAX = 10_000_000
_INT32_MAX = 2**31 - 1
_WEIGHT_MIN, _WEIGHT_MAX = 1e-9, 1e9


def parse_round(document: bytes | str) -> Round:
    """Reads a round. Raises RoundError with the path of the wrong field."""
    root = decode_object(document, ROUND_FORMAT)
    builder = RoundBuilder(
        pool=root.text("pool", DEFAULT_POOL), config=_read_config(root.nested("config")), limiter=_read_limiter(root)
    )
    for item in root.nested_list("clusters", most=CLUSTERS_MAX):
        _read_cluster(item, builder)
    _read_classes(root, builder)
    floating = root.quantities("floatingResources", {})
    builder.add_floating(floating)
    _refuse_negative(amounts_of(floating, "floatingResources"), "floatingResources")
    for item in root.nested_list("nodes", most=NODES_MAX):
        _read_node(item, builder)
    for item in root.nested_list("queues", most=QUEUES_MAX):
        _read_queue(item, builder)
    for item in root.nested_list("jobs", most=JOBS_MAX):
        _read_job(item, builder)
    root.end()
    return builder.build()


def _read_config(item: JsonObject) -> RoundConfig:
    standard = RoundConfig()
    indexed_given = item.has("indexedResources")
    config = RoundConfig(
        fair_share_resources=item.numbers("fairShareResources", standard.fair_share_resources),
        indexed_resources=(
            item.texts("indexedResources", most=RESOURCES_MAX) if indexed_given else standard.indexed_resources
        ),
        protected_fraction_of_fair_share=item.number("protectedFractionOfFairShare", 1.0),
        prefer_large_jobs=item.flag("preferLargeJobs", False),
        max_fraction_per_round=item.numbers("maxFractionPerRound"),
        lookback=item.integer("lookback", standard.lookback, least=0),
        fair_share_preemption=item.flag("fairSharePreemption", True),
        urgency_preemption=item.flag("urgencyPreemption", True),
        fair_share_preemption_budget=_optional_count(item, "fairSharePreemptionBudget"),
        decision_budget=_optional_count(item, "decisionBudget"),
        submit_check=item.flag("submitCheck", False),
    )
    item.end()
    if len(set(config.indexed_resources)) != len(config.indexed_resources):
        raise RoundError(item.path_of("indexedResources"), "must name each resource once")
    return config


def _optional_count(item: JsonObject, name: str) -> int | None:
    return item.integer(name, least=0) if item.has(name) else None


def _read_limiter(owner: JsonObject) -> Limiter | None:
    if not owner.has("limiter"):
        return None
    item = owner.nested("limiter")
    tokens = item.number("tokens", least=-1e15)
    limiter = Limiter(tokens=tokens, burst=item.number("burst", max(tokens, 0.0)))
    item.end()
    return limiter


def _read_cluster(item: JsonObject, builder: RoundBuilder) -> None:
    name = item.text("name")
    cluster = Cluster(
        name=name,
        cordoned=item.flag("cordoned", False),
        unacknowledged=item.integer("unacknowledged", 0, least=0),
        unacknowledged_limit=item.integer("unacknowledgedLimit", 5000, least=0),
    )
    item.end()
    if builder.has_cluster(name):
        raise RoundError(item.path_of("name"), f"{name!r} is already the name of another cluster")
    builder.add_cluster(cluster)


def _read_classes(root: JsonObject, builder: RoundBuilder) -> None:
    """Classes and well-known node types. A round without classes has one, `default`."""
    classes, aways = 0, []
    for item in root.nested_list("priorityClasses", most=CLASSES_MAX):
        away = []
        for each in item.nested_list("away", most=ITEMS_MAX):
            node_type = each.text("nodeType")
            away.append(Away(node_type=node_type, priority=_priority(each, "priority")))
            aways.append((each.path_of("nodeType"), node_type))
            each.end()
        builder.add_class(
            PriorityClass(
                name=item.text("name"),
                priority=_priority(item, "priority", 0),
                preemptible=item.flag("preemptible", True),
                max_fraction_per_queue=item.numbers("maxFractionPerQueue"),
                away=tuple(away),
            )
        )
        item.end()
        classes += 1
    if not classes:
        builder.add_class(PriorityClass(name=DEFAULT_CLASS))
    known = set()
    for item in root.nested_list("nodeTypes", most=CLASSES_MAX):
        node_type = item.text("name")
        builder.add_node_type(NodeType(name=node_type, taints=read_taints(item, "taints")))
        item.end()
        known.add(node_type)
    for path, node_type in aways:
        if node_type not in known:
            raise RoundError(path, f"{node_type!r} is not one of nodeTypes")


def _priority(item: JsonObject, name: str, default: int | None = None) -> int:
    limits = {"least": -_INT32_MAX, "most": _INT32_MAX}
    return item.integer(name, **limits) if default is None else item.integer(name, default, **limits)


def _read_node(item: JsonObject, builder: RoundBuilder) -> None:
    builder.add_node(
        item.text("name"),
        cluster=item.text("cluster", DEFAULT_CLUSTER),
        pool=item.text("pool") if item.has("pool") else None,
        held=item.quantities("held", {}),
        capacity=item.quantities("capacity"),
        labels=item.labels("labels"),
        taints=read_taints(item, "taints"),
        unschedulable=item.flag("unschedulable", False),
    )
    item.end()


def _read_queue(item: JsonObject, builder: RoundBuilder) -> None:
    name = item.text("name")
    fractions = item.nested("maxFractionPerQueue")
    of_classes = {class_name: fractions.numbers(class_name) for class_name in fractions.names()}
    demand = None
    if item.has("demand"):
        demand = amounts_of(item.quantities("demand"), item.path_of("demand"))
        _refuse_negative(demand, item.path_of("demand"))
    penalty = amounts_of(item.quantities("penalty", {}), item.path_of("penalty"))
    _refuse_negative(penalty, item.path_of("penalty"))
    queue = Queue(
        name=name,
        weight=item.number("weight", 1.0, least=_WEIGHT_MIN, most=_WEIGHT_MAX),
        cordoned=item.flag("cordoned", False),
        max_fraction_per_queue=of_classes,
        limiter=_read_limiter(item),
        penalty=penalty,
        demand=demand,
    )
    item.end()
    builder.add_queue(queue)


def _refuse_negative(amounts: dict[str, int], path: str) -> None:
    for resource, amount in amounts.items():
        if amount < 0:
            raise RoundError(f"{path}.{resource}", "must not be negative")


def _read_job(item: JsonObject, builder: RoundBuilder) -> None:
    run_node, run_started, run_priority = None, 0, None
    if item.has("run"):
        run = item.nested("run")
        run_node, run_started = run.text("node"), run.integer("started", 0)
        run_priority = _priority(run, "scheduledAtPriority") if run.has("scheduledAtPriority") else None
        run.end()
    path = item.path_of("avoidNodes")
    avoid = [
        checked_text(name, lambda index=index: f"{path}[{index}]")  # type: ignore[misc]
        for index, name in enumerate(item.items("avoidNodes", most=ITEMS_MAX))
    ]
    builder.add_job(
        item.text("id"),
        queue=item.text("queue"),
        priority_class=item.text("priorityClass", DEFAULT_CLASS),
        priority=item.integer("priority", DEFAULT_PRIORITY),
        submitted=item.integer("submitted", 0),
        requests=item.quantities("requests"),
        node_selector=item.labels("nodeSelector"),
        tolerations=read_tolerations(item, "tolerations"),
        affinity=read_affinity(item, "affinity"),
        gang=_read_gang(item),
        avoid_nodes=avoid,
        run_node=run_node,
        run_started=run_started,
        run_priority=run_priority,
    )
    item.end()


def _read_gang(owner: JsonObject) -> Gang | None:
    if not owner.has("gang"):
        return None
    item = owner.nested("gang")
    gang = Gang(
        id=item.text("id"),
        cardinality=item.integer("cardinality", least=1, most=_INT32_MAX),
        uniformity_label=item.text("uniformityLabel") if item.has("uniformityLabel") else None,
        generation=item.integer("generation", 0),
    )
    item.end()
    return gang

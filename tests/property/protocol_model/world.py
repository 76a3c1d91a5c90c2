"""The whole model: a seeded walk of random steps, faults among them, then a fair end in which everything must come to
rest."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from app.executor.protocol import SyncAnswer, SyncRequest
from tests.property.protocol_model.api import Api
from tests.property.protocol_model.executor import LEASES, REPORTS, ModelExecutor
from tests.property.protocol_model.kube import ModelKube, ModelPod
from tests.property.protocol_model.leaders import Leaders
from tests.property.protocol_model.log import Cancel, RunState, Submit
from tests.property.protocol_model.names import CLUSTERS, JOBS, PARTITIONS, partition_of
from tests.property.protocol_model.queue_agent import QueueAgent
from tests.property.protocol_model.safety import Safety, ViolationError

_ANSWERS_MAX = 8
_REQUESTS_MAX = 6
_DRAWS_MAX = 6
"""how many steps are drawn until one is found that has something to do"""


_Steps = tuple[tuple[Callable[[], bool], float], ...]
"""a thing that may happen (it says whether it did) and how often it is drawn"""


@dataclass(frozen=True, slots=True)
class _Sent:
    """A request or an answer on its way; body None: 409 REPLACED."""

    executor: ModelExecutor
    lane: str
    body: SyncRequest | SyncAnswer | None


class World:
    """Everything of one walk. off: names of rules of the model that are switched off (those of app/executor are
    patched)."""

    def __init__(self, seed: int, off: frozenset[str] = frozenset()) -> None:
        self.rng = random.Random(seed)
        self.now_ms = 1_000
        self.fair = False
        self._off = off
        self._safety = Safety()
        self._agents = [QueueAgent(partition, off, self._last_word_accepted) for partition in PARTITIONS]
        self._leaders = Leaders(self.rng, self._agents, off)
        self._api = Api(self.rng, self._agents, self._leaders.positions, off)
        self._kubes = {cluster: ModelKube(cluster, self._pod_began) for cluster in CLUSTERS}
        self._instances = 0
        self._executors: dict[str, ModelExecutor] = {}
        self._zombies: list[ModelExecutor] = []
        self._requests: list[_Sent] = []
        self._answers: list[_Sent] = []
        for job in JOBS:
            self._agents[partition_of(job)].log.append(Submit(job))
        for cluster in CLUSTERS:
            self._start_executor(cluster)
        self._leaders.take_over()
        weights: _Steps = (
            (self._decide, 15),
            (self._move_view, 15),
            (self._read_feed, 15),
            (self._round, 6),
            (self._send_request, 10),
            (self._receive_request, 10),
            (self._receive_answer, 10),
            (self._executor_step, 20),
            (self._land_create, 5),
            (self._finish_pod, 1.5),
            (self._end_deletion, 4),
        )
        faults: _Steps = (
            (self._take_over, 0.8),
            (self._restart_executor, 0.8),
            (self._cancel, 0.4),
            (self._preempt, 0.8),
            (self._lose_message, 2),
            (self._restore_views, 0.5),
            (self._restart_api, 0.4),
            (self._lose_pod, 0.8),
            (self._zombie_step, 4),
        )
        self._steps = [step for step, _ in weights]
        self._weights = [weight for _, weight in weights]
        self._all_steps = [*self._steps, *(step for step, _ in faults)]
        self._poison = self.rng.choice((0, 0.02, 0.2))
        # Each walk has its own mix of faults, some without any of a kind: rare coincidences need others to be absent.
        self._all_weights = [*self._weights, *(weight * self.rng.choice((0, 0.3, 1, 1, 3)) for _, weight in faults)]

    def step(self) -> None:
        """One thing happens. Raises ViolationError when a property of `safety` does not hold any more."""
        self.now_ms += 1
        steps, weights = (self._steps, self._weights) if self.fair else (self._all_steps, self._all_weights)
        for step in self.rng.choices(steps, weights, k=_DRAWS_MAX):
            if step():
                return

    def is_at_rest(self) -> bool:
        """Everything is decided and seen, every job has ended, and nothing is left of any run."""
        return (
            all(
                agent.decided == len(agent.log) == view and not agent.runs
                for agent, view in zip(self._agents, self._api.views, strict=True)
            )
            and all(row.state == "ended" for agent in self._agents for row in agent.jobs.values())
            and not any(kube.pods or kube.creates for kube in self._kubes.values())
        )

    def _last_word_accepted(self, run: str, word: str, stopped: bool) -> None:
        self._safety.last_word_accepted(run, word, stopped, list(self._kubes.values()))

    def _pod_began(self, pod: ModelPod) -> None:
        self._safety.pod_began(pod, list(self._kubes.values()))

    def _ended_by_log(self, run: str) -> bool:
        rows = [agent.runs[run] for agent in self._agents if run in agent.runs]
        return not rows or rows[0].state is RunState.STOPPING

    def _start_executor(self, cluster: str) -> None:
        self._instances += 1
        self._executors[cluster] = ModelExecutor(
            self._instances,
            self._kubes[cluster],
            self.rng,
            self.now_ms,
            self._safety,
            self._ended_by_log,
            self._off,
        )

    def _any_executor(self) -> ModelExecutor:
        return self._executors[self.rng.choice(CLUSTERS)]

    def _decide(self) -> bool:
        return self.rng.choice(self._agents).decide(poisoned=not self.fair and self.rng.random() < self._poison)

    def _move_view(self) -> bool:
        partition = self.rng.choice(PARTITIONS)
        if self._api.views[partition] == self._agents[partition].decided:
            return False
        self._api.views[partition] += 1
        return True

    def _read_feed(self) -> bool:
        return self._leaders.read_feed(self.rng.choice(self._leaders.awake), self.rng.choice(PARTITIONS))

    def _round(self) -> bool:
        leader = self._leaders.awake[-1] if self.fair else self.rng.choice(self._leaders.awake)
        return self._leaders.round(leader)

    def _take_over(self) -> bool:
        self._leaders.take_over()
        return True

    def _send_request(self) -> bool:
        return self._send_from(self._any_executor(), self.rng.choice((REPORTS, LEASES)))

    def _send_from(self, executor: ModelExecutor, lane: str) -> bool:
        if len(self._requests) >= _REQUESTS_MAX:
            return False
        if executor.outstanding[lane] is not None and not self.fair and self.rng.random() < 0.8:
            return False
        self._requests.append(_Sent(executor, lane, executor.next_request(lane, self.now_ms)))
        return True

    def _receive_request(self) -> bool:
        if not self._requests:
            return False
        sent = self._requests.pop(self.rng.randrange(len(self._requests)))
        assert isinstance(sent.body, SyncRequest)
        answer = self._api.receive(sent.body)
        self._answers = [*self._answers, _Sent(sent.executor, sent.lane, answer)][-_ANSWERS_MAX:]
        return True

    def _receive_answer(self) -> bool:
        if not self._answers:
            return False
        sent = self._answers.pop(self.rng.randrange(len(self._answers)))
        executor = sent.executor
        is_current = executor in self._executors.values()
        if not is_current and executor not in self._zombies:
            return False
        if sent.body is not None:
            assert isinstance(sent.body, SyncAnswer)
            executor.receive(sent.lane, sent.body, self.now_ms)
        elif is_current:
            self._replace(executor.kube.cluster, keeps_zombie=False)
        else:
            self._zombies.remove(executor)
        return True

    def _executor_step(self) -> bool:
        return self._any_executor().step(self.now_ms, self.fair)

    def _land_create(self) -> bool:
        kube = self._kubes[self.rng.choice(CLUSTERS)]
        if not kube.creates:
            return False
        kube.land(self.rng.choice(kube.creates), self.now_ms)
        return True

    def _any_pod(self, *states: str) -> tuple[ModelKube, ModelPod] | None:
        pods = [(kube, pod) for kube in self._kubes.values() for pod in kube.pods.values() if pod.state in states]
        return self.rng.choice(pods) if pods else None

    def _finish_pod(self) -> bool:
        found = self._any_pod("running")
        if found is None or found[1].deletion_ms is not None:
            return False
        found[0].finish(found[1], self.now_ms)
        self._safety.pod_finished(found[1])
        return True

    def _end_deletion(self) -> bool:
        """The grace time of a pod that is being deleted is over."""
        found = self._any_pod("running", "trouble")
        if found is None or found[1].deletion_ms is None:
            return False
        found[0].remove(found[1])
        return True

    def _lose_pod(self) -> bool:
        """Somebody removes a pod: one that runs, or one that has finished, but that not within the time in which a
        create that an earlier instance sent may still take effect (the protocol would have to delay every report
        after a restart)."""
        found = self._any_pod("running", "done")
        if found is None:
            return False
        kube, pod = found
        newest = self._executors[kube.cluster].instance
        if not pod.lives and any(sent.lease.run_id == pod.run and sent.instance != newest for sent in kube.creates):
            return False
        self._safety.pod_lost(found[1])
        found[0].remove(found[1])
        return True

    def _restart_executor(self) -> bool:
        self._replace(self.rng.choice(CLUSTERS), keeps_zombie=self.rng.random() < 0.5)
        return True

    def _replace(self, cluster: str, keeps_zombie: bool) -> None:
        old = self._executors[cluster]
        old.is_newest = False
        if keeps_zombie:
            self._zombies = [*self._zombies, old][-2:]
        self._start_executor(cluster)

    def _zombie_step(self) -> bool:
        """A replaced instance that does not know it acts on what it took, and reports."""
        if not self._zombies:
            return False
        zombie = self.rng.choice(self._zombies)
        stepped = zombie.step(self.now_ms, fair=False)
        return (self.rng.random() < 0.5 and self._send_from(zombie, REPORTS)) or stepped

    def _cancel(self) -> bool:
        job = self.rng.choice(JOBS)
        self._agents[partition_of(job)].log.append(Cancel(job))
        return True

    def _preempt(self) -> bool:
        return self._leaders.preempt_any(self.rng.choice(self._leaders.awake))

    def _lose_message(self) -> bool:
        messages = self.rng.choice((self._requests, self._answers))
        if not messages:
            return False
        messages.pop(self.rng.randrange(len(messages)))
        return True

    def _restore_views(self) -> bool:
        self._api.restore_views()
        return True

    def _restart_api(self) -> bool:
        self._api.restart()
        return True


@dataclass(frozen=True, slots=True)
class Walk:
    """How a walk ended. finding: the property that does not hold, None when all hold."""

    seed: int
    steps: int
    finding: str | None


def walk(seed: int, *, steps: int = 900, rest_steps_max: int = 20_000, off: frozenset[str] = frozenset()) -> Walk:
    """Walks from a seed, then lets everything come to rest without further faults."""
    world = World(seed, off)
    done = 0
    try:
        for _ in range(steps):
            done += 1
            world.step()
        world.fair = True
        for _ in range(rest_steps_max):
            done += 1
            world.step()
            if done % 16 == 0 and world.is_at_rest():
                return Walk(seed, done, None)
    except ViolationError as violation:
        return Walk(seed, done, str(violation))
    return Walk(seed, done, "nothing moves any more, and not everything has ended")

"""What must hold in every walk, as sentences; a walk ends at the first that does not."""

from collections import Counter

from tests.property.protocol_model.kube import ModelKube, ModelPod


class ViolationError(Exception):
    """a property does not hold; the message says which and for whom"""


class Safety:
    """Watches pods, deletions and accepted last words."""

    def __init__(self) -> None:
        self._closed: dict[str, str] = {}
        """run -> its accepted last word"""
        self._succeeded: set[str] = set()
        """runs whose pod finished well, and that nobody else removed"""
        self._kept: set[str] = set()
        """those of them whose pod was not being deleted to end the run either"""
        self._troubled: set[str] = set()
        """runs whose pod was deleted because its image cannot be pulled: they are to be returned, not failed"""

    def pod_began(self, pod: ModelPod, kubes: list[ModelKube]) -> None:
        """No job runs in two pods at once, no node is booked twice, and no run runs after its last word was
        accepted."""
        living = [other for kube in kubes for other in kube.pods.values() if other.lives]
        jobs = Counter(other.job for other in living)
        nodes = Counter(other.node for other in living)
        if jobs[pod.job] > 1:
            raise ViolationError(f"job {pod.job} runs in two pods")
        if nodes[pod.node] > 1:
            raise ViolationError(f"node {pod.node} is booked twice")
        if pod.run in self._kept:
            raise ViolationError(f"run {pod.run} begins again, though it has finished well")
        if pod.run in self._closed:
            raise ViolationError(f"run {pod.run} runs after its last word {self._closed[pod.run]} was accepted")

    def pod_finished(self, pod: ModelPod) -> None:
        self._succeeded.add(pod.run)
        self._kept.add(pod.run)

    def pod_lost(self, pod: ModelPod) -> None:
        self._succeeded.discard(pod.run)
        self._kept.discard(pod.run)

    def last_word_accepted(self, run: str, word: str, stopped: bool, kubes: list[ModelKube]) -> None:
        """A last word is true: no pod of the run lives; and work that was done is not said to have failed."""
        if any(pod.run == run and pod.lives for kube in kubes for pod in kube.pods.values()):
            raise ViolationError(f"run {run} still runs when its last word {word} is accepted")
        if run in self._succeeded and not stopped and word != "SUCCEEDED":
            raise ViolationError(f"run {run} finished well and is logged as {word}")
        if run in self._troubled and word == "FAILED":
            raise ViolationError(f"run {run} was in trouble that was known, and is logged as lost")
        self._closed[run] = word

    def pod_in_trouble_is_ended(self, pod: ModelPod) -> None:
        """What was decided is not forgotten."""
        self._troubled.add(pod.run)

    def pod_is_ended(self, pod: ModelPod, ended_by_log: bool) -> None:
        """Nobody's running job is stopped unless the log ended it (or its pod is in trouble)."""
        self._kept.discard(pod.run)
        if pod.state == "running" and not ended_by_log:
            raise ViolationError(f"run {pod.run} is stopped, and nobody ended it")

    @staticmethod
    def create_is_sent(run: str, seen_by_instance: bool) -> None:
        """An instance that has seen a run's pod never creates it again."""
        if seen_by_instance:
            raise ViolationError(f"run {run} is created again by an instance that has seen its pod")

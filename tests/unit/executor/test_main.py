"""From settings to a process: the mapping, and how the real command leaves."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from app.executor.exits import ExecutorExit, ExitCode
from app.executor.main import FAKE_TIMINGS, options_of
from app.executor.timings import DEFAULT_TIMINGS
from app.settings import Settings, load_settings

SETTINGS = """
clusters:
  c0:
    fake:
      start_delay_ms: 70
      node_groups:
        - {name: cpu, count: 3, pool: default, labels: {zone: a}}
        - {name: gpu, count: 1, gpus: 8, taints: [{key: gpu, value: "true"}]}
  real: {}
"""


def settings(tmp_path: Path, text: str = SETTINGS) -> Settings:
    (tmp_path / "token").write_text("the-token\n")
    path = tmp_path / "settings.yaml"
    path.write_text(
        f"{text}\nexecutor: {{token_file: {tmp_path / 'token'}, data_dir: {tmp_path / 'data'}, sync_interval_ms: 50}}\n"
    )
    return load_settings(path, {})


def test_settings_become_options(tmp_path: Path) -> None:
    options = options_of(settings(tmp_path), "c0")
    assert options.token == "the-token"
    assert options.lane_timings.reports_every_ms == 50
    assert options.timings == replace(FAKE_TIMINGS, stuck_starting_ms=FAKE_TIMINGS.stuck_starting_ms + 70)
    assert options.fake is not None
    assert options.fake.journal_dir == tmp_path / "data" / "c0"
    assert options.fake.spec.start_delay_ms == 70
    cpu, gpu = options.fake.spec.groups
    assert (cpu.count, cpu.pool, cpu.labels) == (3, "default", {"zone": "a"})
    assert (gpu.allocatable["nvidia.com/gpu"], gpu.taints[0].key) == ("8", "gpu")
    assert next(gpu.nodes()).name == "gpu-0000"


def test_a_real_cluster_has_the_protocols_own_timings(tmp_path: Path) -> None:
    options = options_of(settings(tmp_path), "real")
    assert (options.fake, options.timings) == (None, DEFAULT_TIMINGS)


def test_an_unknown_cluster_is_named(tmp_path: Path) -> None:
    with pytest.raises(ExecutorExit, match=r"no cluster 'c9' .*c0, real") as caught:
        options_of(settings(tmp_path), "c9")
    assert caught.value.code is ExitCode.CONFIGURATION


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe", b"two words", b"x" * 5_000])
def test_a_token_file_without_a_token_is_named_but_not_shown(tmp_path: Path, content: bytes | None) -> None:
    given = settings(tmp_path)
    if content is None:
        (tmp_path / "token").unlink()
    else:
        (tmp_path / "token").write_bytes(content)
    with pytest.raises(ExecutorExit, match="token_file") as caught:
        options_of(given, "c0")
    assert "words" not in str(caught.value)


PROGRAM = """
import asyncio, sys
from pathlib import Path
from app.executor.main import run
from app.settings import load_settings
asyncio.run(run(load_settings(Path(sys.argv[1]), {}), sys.argv[2]))
"""


def test_the_process_leaves_with_a_code_and_one_clear_line(tmp_path: Path) -> None:
    settings(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "settings.yaml"), "real"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == ExitCode.CONFIGURATION
    assert "CONFIGURATION" in done.stderr
    assert "clusters.real.fake" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_process_stops_in_order_when_it_is_told(tmp_path: Path, number: signal.Signals) -> None:
    settings(tmp_path)
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "settings.yaml"), "c0"], stderr=subprocess.PIPE, text=True
    )
    try:
        deadline_s = time.monotonic() + 60
        while not (tmp_path / "data" / "c0" / "journal.jsonl").exists():
            assert process.poll() is None, "it left by itself"
            assert time.monotonic() < deadline_s
            time.sleep(0.02)
        os.kill(process.pid, number)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()
        process.stderr.close()

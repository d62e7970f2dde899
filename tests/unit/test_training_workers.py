"""Data workers of a training where shared memory is short, and where a worker is killed."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from rapidseg.core.errors import TrainingError  # noqa: E402
from rapidseg.training.loader import Batch, BatchLoader  # noqa: E402
from rapidseg.training.worker_processes import check_semaphores, lost_worker, pack, unpack  # noqa: E402
from tests.support.block_scenes import write_block_scenes  # noqa: E402
from tests.support.commands import ROOT  # noqa: E402


def make_batch(m: int) -> Batch:
    return Batch(torch.full((2, 3), m, dtype=torch.uint8), torch.zeros(0), ("a", str(m)))


def kill_this_worker(m: int) -> Batch:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def no_space(*_: object) -> None:
    raise RuntimeError("unable to allocate shared memory(shm): No space left on device (28)")


@pytest.mark.parametrize("full", [False, True])
def test_batches_arrive_whether_or_not_there_is_shared_memory(monkeypatch, full):
    if full:
        monkeypatch.setattr(torch.Tensor, "share_memory_", no_space)
    nested = {"batch": make_batch(3), "list": [torch.ones(2), "text"]}
    packed = pack(nested)
    assert isinstance(packed["batch"].images, torch.Tensor) is not full
    back = unpack(packed)
    assert torch.equal(back["batch"].images, make_batch(3).images)
    assert back["batch"].names == ("a", "3")
    assert torch.equal(back["list"][0], torch.ones(2))


@pytest.mark.skipif(sys.platform != "linux", reason="workers are forked")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork")
def test_workers_send_batches_without_shared_memory(monkeypatch):
    monkeypatch.setattr(torch.Tensor, "share_memory_", no_space)  # in the forked workers as well
    loader = BatchLoader(make_batch, num_batches=5, workers=1, pin_memory=False)
    assert [int(batch.images[0, 0]) for batch in loader] == [0, 1, 2, 3, 4]
    loader.close()


@pytest.mark.skipif(sys.platform != "linux", reason="workers are forked")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork")
def test_a_killed_worker_is_one_error():
    loader = BatchLoader(kill_this_worker, num_batches=5, workers=1, pin_memory=False)
    with pytest.raises(RuntimeError) as caught:
        next(iter(loader))
    loader.close()
    assert isinstance(lost_worker(caught.value), TrainingError)
    assert "use fewer of them" in str(lost_worker(caught.value))
    assert lost_worker(RuntimeError("another")) is None


def test_missing_semaphores_are_one_error(monkeypatch):
    def fail() -> None:
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr("multiprocessing.Queue", fail)
    with pytest.raises(TrainingError, match=r"/dev/shm, is missing or full; set data\.workers=0"):
        check_semaphores(1)
    check_semaphores(0)


@pytest.mark.faults
@pytest.mark.parametrize(("size", "status"), [("200k", 0), ("4k", 2)])
def test_a_run_with_tiny_shared_memory_ends(tmp_path, size, status):
    mount = f"mount -t tmpfs -o size={size} tmpfs /dev/shm && exec"
    if subprocess.run(["unshare", "-m", "sh", "-c", f"{mount} true"], capture_output=True).returncode:
        pytest.skip("this user may not mount file systems")
    write_block_scenes(tmp_path / "scenes")
    words = [sys.executable, "-m", "rapidseg", "train", "tiny", "data.root=scenes", "data.workers=2", "-o", "run"]
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", f'{mount} "$@"', "sh", *words, "--device", "cpu"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "run").exists() == (status == 0)


def test_copies_keep_their_type():
    assert unpack(pack(torch.from_numpy(np.arange(4, dtype=np.int64)))).dtype == torch.int64

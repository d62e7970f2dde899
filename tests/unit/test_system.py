"""CPUs, quotas, memory, GPUs and the cache folder of a machine."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import rapidseg
from rapidseg.runtime.kernels.jit import parallel_rows
from rapidseg.system import cache, cgroup, cpu, gpu
from rapidseg.system.cgroup import Cgroups
from rapidseg.system.machine import find_machine
from rapidseg.system.matplotlib_folder import use_cache_for_matplotlib
from rapidseg.system.memory import memory_bytes, peak_gpu_memory_bytes
from tests.support.tiny_onnx import write_tiny_onnx


def make_cgroups(folder: Path, membership: str | None, files: dict[str, str]) -> Cgroups:
    """Writes a tree of control groups as the kernel shows it."""
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / "cgroup" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "cgroup" / name).write_text(content + "\n")
    if membership is not None:
        (folder / "membership").write_text(membership + "\n")
    return Cgroups(folder / "cgroup", folder / "membership")


V1 = "cpu/docker/box/cpu.cfs_{}_us"


@pytest.mark.parametrize(
    ("membership", "files", "quota"),
    [
        ("0::/", {}, None),
        ("0::/", {"cpu.max": "150000 100000"}, 1.5),
        ("0::/", {"cpu.max": "max 100000"}, None),
        ("0::/", {"cpu.max": "50000 100000"}, 0.5),
        ("0::/app/job", {"app/job/cpu.max": "400000 100000"}, 4),
        ("0::/app/job", {"app/job/cpu.max": "400000 100000", "app/cpu.max": "200000 100000"}, 2),
        ("0::/app/job", {"app/job/cpu.max": "max 100000", "app/cpu.max": "300000 100000"}, 3),
        ("0::/app/job", {"app/job/cpu.max": "100000 50000", "app/cpu.max": "max 100000"}, 2),
        ("0::/app/job", {"other/cpu.max": "100000 100000"}, None),
        # A container that reads the host's path of its cgroup, but sees its own as the root.
        ("0::/system.slice/docker-0123.scope", {"cpu.max": "200000 100000"}, 2),
        ("0::/../../app", {"cpu.max": "200000 100000"}, 2),
        (None, {"cpu.max": "200000 100000"}, 2),
        ("0::/", {"cpu.max": "nonsense"}, None),
        ("0::/", {"cpu.max": "100000 0"}, None),
        ("0::/", {"cpu.max": ""}, None),
        ("nonsense", {"cpu.max": "200000 100000"}, 2),
        ("4:cpu,cpuacct:/docker/box", {V1.format("quota"): "250000", V1.format("period"): "100000"}, 2.5),
        ("4:cpu,cpuacct:/docker/box", {V1.format("quota"): "-1", V1.format("period"): "100000"}, None),
        ("4:cpu:/docker/box", {V1.format("quota"): "250000"}, None),
        (
            "5:memory:/other\n4:cpu,cpuacct:/docker/box\n0::/",
            {
                V1.format("quota"): "800000",
                V1.format("period"): "100000",
                "cpu/docker/cpu.cfs_quota_us": "600000",
                "cpu/docker/cpu.cfs_period_us": "200000",
                "cpu/cpu.cfs_quota_us": "-1",
                "cpu/cpu.cfs_period_us": "100000",
            },
            3,
        ),
        ("4:cpu:/docker/box", {"cpu/cpu.cfs_quota_us": "200000", "cpu/cpu.cfs_period_us": "100000"}, 2),
        ("4:cpu:/\n0::/app", {"unified/app/cpu.max": "200000 100000"}, 2),  # both versions in use
    ],
)
def test_cpu_quota(tmp_path, membership, files, quota):
    assert cpu.cpu_quota(make_cgroups(tmp_path, membership, files)) == quota


def test_files_that_cannot_be_read_set_no_quota(tmp_path):
    (tmp_path / "cgroup" / "cpu.max").mkdir(parents=True)  # reading a folder fails for root as well
    (tmp_path / "membership").mkdir()
    assert cpu.cpu_quota(Cgroups(tmp_path / "cgroup", tmp_path / "membership")) is None
    undecodable = make_cgroups(tmp_path / "other", None, {"cpu.max": ""})
    (undecodable.root / "cpu.max").write_bytes(b"\xff\xfe")
    assert cpu.cpu_quota(undecodable) is None


@pytest.mark.parametrize(
    ("quota", "count", "limit"),
    [("max", 4, 0), ("50000", 1, 1), ("100000", 1, 1), ("150000", 2, 2), ("310000", 4, 0), ("6400000", 4, 0)],
)
def test_cpu_count_is_the_lower_of_affinity_and_quota(tmp_path, monkeypatch, quota, count, limit):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(4)), raising=False)
    cgroups = make_cgroups(tmp_path, "0::/", {"cpu.max": f"{quota} 100000"})
    assert cpu.cpu_count(cgroups) == count
    assert cpu.thread_limit(cgroups) == limit


def test_cpu_count_without_affinity(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert cpu.cpu_count(Cgroups(tmp_path, tmp_path / "membership")) == 6
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cpu.cpu_count(Cgroups(tmp_path, tmp_path / "membership")) == 1


@pytest.fixture
def one_cpu(tmp_path, monkeypatch):
    """A container with the time of one CPU, on a machine with eight."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.setattr(cgroup, "SYSTEM_CGROUPS", make_cgroups(tmp_path / "one", "0::/", {"cpu.max": "100000 100000"}))
    monkeypatch.setenv("RAPIDSEG_CACHE", str(tmp_path / "cache"))
    assert cpu.cpu_count() == 1


@pytest.fixture
def eight_cpus(tmp_path, monkeypatch):
    """The same machine without a quota."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.setattr(cgroup, "SYSTEM_CGROUPS", make_cgroups(tmp_path / "eight", "0::/", {}))
    monkeypatch.setenv("RAPIDSEG_CACHE", str(tmp_path / "cache"))
    assert cpu.cpu_count() == 8


IMAGE = np.zeros((64, 96, 3), np.uint8)


def openvino_settings(monkeypatch, path) -> dict[str, object]:
    """Returns the settings with which the OpenVINO engine compiles a network."""
    import openvino

    seen = []
    compile_model = openvino.Core.compile_model

    def watch(self, model, device, settings):
        seen.append(settings)
        return compile_model(self, model, device, settings)

    monkeypatch.setattr(openvino.Core, "compile_model", watch)
    rapidseg.load(path, engine="openvino")(IMAGE)
    (settings,) = seen
    return settings


def onnxruntime_threads(monkeypatch, path) -> set[int]:
    """Returns the numbers of threads of the sessions that the ONNX Runtime engine opens."""
    onnxruntime = pytest.importorskip("onnxruntime")
    seen = set()
    session = onnxruntime.InferenceSession

    def watch(file, options, **settings):
        seen.add(options.intra_op_num_threads)
        return session(file, options, **settings)

    monkeypatch.setattr(onnxruntime, "InferenceSession", watch)
    rapidseg.load(path, engine="onnxruntime")(IMAGE)
    return seen


@pytest.mark.usefixtures("one_cpu")
def test_every_engine_keeps_to_the_quota(monkeypatch, tmp_path):
    path = write_tiny_onnx(tmp_path / "tiny.onnx")
    settings = openvino_settings(monkeypatch, path)
    # Pinned threads of several containers would share the first CPUs of the machine.
    assert (settings["INFERENCE_NUM_THREADS"], settings["ENABLE_CPU_PINNING"]) == (1, False)
    assert onnxruntime_threads(monkeypatch, path) == {1}
    parts = []
    parallel_rows(lambda first, last: parts.append((first, last)), 100, max_parts=50)
    assert parts == [(0, 100)]


@pytest.mark.usefixtures("eight_cpus")
def test_without_a_quota_engines_take_all_cpus(monkeypatch, tmp_path):
    path = write_tiny_onnx(tmp_path / "tiny.onnx")
    settings = openvino_settings(monkeypatch, path)
    assert settings["INFERENCE_NUM_THREADS"] == 8
    assert "ENABLE_CPU_PINNING" not in settings
    assert onnxruntime_threads(monkeypatch, path) == {8}
    parts = []
    parallel_rows(lambda first, last: parts.append((first, last)), 100, max_parts=50)
    assert len(parts) == 8


def fake_library(count: int) -> SimpleNamespace:
    """Stands for OpenCV and PyTorch, whose counts hold for the whole process."""
    library = SimpleNamespace(count=count)
    library.getNumThreads = library.get_num_threads = lambda: library.count
    library.setNumThreads = library.set_num_threads = lambda count: setattr(library, "count", count)
    return library


@pytest.fixture
def libraries(monkeypatch):
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    fakes = {"cv2": fake_library(8), "torch": fake_library(4)}
    for name, fake in fakes.items():
        monkeypatch.setitem(sys.modules, name, fake)
    return fakes


@pytest.mark.usefixtures("one_cpu")
def test_opencv_and_pytorch_keep_to_the_quota(libraries, monkeypatch):
    cpu.limit_library_threads()
    assert (libraries["cv2"].count, libraries["torch"].count) == (1, 1)
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    libraries["torch"].count = 4
    cpu.limit_library_threads()
    assert libraries["torch"].count == 4  # the user asked for it


@pytest.mark.usefixtures("eight_cpus")
def test_opencv_and_pytorch_are_left_alone_without_a_quota(libraries):
    cpu.limit_library_threads()
    assert (libraries["cv2"].count, libraries["torch"].count) == (8, 4)


@pytest.mark.usefixtures("one_cpu")
@pytest.mark.parametrize("engine", ["openvino", "onnxruntime", "torch"])
def test_starting_an_engine_limits_opencv_and_pytorch(monkeypatch, tmp_path, engine):
    cv2, torch = pytest.importorskip("cv2"), pytest.importorskip("torch")
    before = cv2.getNumThreads(), torch.get_num_threads()
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    try:
        cv2.setNumThreads(2)
        torch.set_num_threads(2)
        rapidseg.load(write_tiny_onnx(tmp_path / "tiny.onnx"), engine=engine)
        assert (cv2.getNumThreads(), torch.get_num_threads()) == (1, 1)
    finally:
        cv2.setNumThreads(before[0])
        torch.set_num_threads(before[1])


@pytest.mark.usefixtures("one_cpu")
def test_training_keeps_to_the_quota(monkeypatch, tmp_path):
    torch = pytest.importorskip("torch")
    pytest.importorskip("lightning")
    from rapidseg.recipes.recipe_file import load_recipe
    from rapidseg.training.preparation import prepare
    from tests.support.block_scenes import write_block_scenes

    before = torch.get_num_threads()
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    recipe = load_recipe("tiny", [f"data.root={write_block_scenes(tmp_path)}", "data.workers=3"])
    try:
        torch.set_num_threads(2)
        assert prepare(recipe, "cpu").loader.num_workers == 1
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_the_machine_shows_the_limits_of_a_container(tmp_path):
    cgroups = make_cgroups(tmp_path / "2", "0::/", {"cpu.max": "150000 100000", "memory.max": f"{1 << 28}"})
    machine = find_machine(cgroups)
    assert machine.cpu_quota == 1.5
    assert machine.memory_bytes in (1 << 28, None)
    assert machine.cpus == cpu.affinity_count()
    nested = {"memory/box/memory.limit_in_bytes": f"{1 << 62}", "memory/memory.limit_in_bytes": f"{1 << 27}"}
    assert memory_bytes(make_cgroups(tmp_path / "1", "3:memory:/box", nested)) in (1 << 27, None)
    free = find_machine(make_cgroups(tmp_path / "0", "0::/", {"cpu.max": "max 100000", "memory.max": "max"}))
    assert free.cpu_quota is None
    assert free.memory_bytes is None or free.memory_bytes > 1 << 28


@pytest.mark.parametrize("package", ["openvino", "llvmlite"])
def test_the_machine_is_described_without_optional_help(monkeypatch, package):
    expected = find_machine()
    monkeypatch.setitem(sys.modules, package, None)  # importing it fails
    machine = find_machine()
    assert machine.cpu
    if Path("/proc/cpuinfo").exists():
        assert machine.features == expected.features


class FakeNvml(SimpleNamespace):
    """NVIDIA's management library, with one GPU and two processes on it."""

    class NVMLError(Exception):
        pass

    def __init__(self, fails_in: str = "") -> None:
        super().__init__()
        gpu_memory = SimpleNamespace(total=143771 << 20)
        processes = [SimpleNamespace(pid=os.getpid(), usedGpuMemory=300), SimpleNamespace(pid=1, usedGpuMemory=None)]
        answers = {
            "nvmlInit": None,
            "nvmlShutdown": None,
            "nvmlSystemGetDriverVersion": "570.86",
            "nvmlDeviceGetCount": 1,
            "nvmlDeviceGetHandleByIndex": "handle",
            "nvmlDeviceGetName": "NVIDIA H200",
            "nvmlDeviceGetMemoryInfo": gpu_memory,
            "nvmlDeviceGetComputeRunningProcesses": processes,
        }
        self.calls: list[str] = []
        for name, answer in answers.items():
            setattr(self, name, self._function(name, answer, fails=name == fails_in))

    def _function(self, name, answer, *, fails):
        def call(*_):
            self.calls.append(name)
            if fails:
                raise self.NVMLError(name)
            return answer

        return call


def test_gpus_of_the_driver_come_from_its_library(monkeypatch):
    nvml = FakeNvml()
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    assert gpu.list_driver_gpus() == (gpu.DriverGpu("NVIDIA H200", 143771 << 20, "570.86"),)
    assert nvml.calls[-1] == "nvmlShutdown"
    for function in ("nvmlInit", "nvmlSystemGetDriverVersion", "nvmlDeviceGetName"):
        monkeypatch.setitem(sys.modules, "pynvml", FakeNvml(function))
        assert gpu.list_driver_gpus() is None
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert gpu.list_driver_gpus() is None


def test_peak_gpu_memory_without_pytorch_comes_from_the_driver(monkeypatch):
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setitem(sys.modules, "pynvml", FakeNvml())
    assert peak_gpu_memory_bytes() == 300
    monkeypatch.setitem(sys.modules, "pynvml", FakeNvml("nvmlDeviceGetComputeRunningProcesses"))
    assert peak_gpu_memory_bytes() is None
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert peak_gpu_memory_bytes() is None


def test_a_driver_without_its_library_is_reported(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "platform", "linux")
    assert gpu.find_gpus(driver_files=(tmp_path / "none",)).driver == ()
    monkeypatch.setitem(sys.modules, "pynvml", None)
    monkeypatch.setitem(sys.modules, "torch", None)
    gpus = gpu.find_gpus(driver_files=(tmp_path,))
    assert (gpus.driver, gpus.torch) == (None, None)
    assert gpus.unlisted.startswith("nvidia-ml-py is not installed; run in the clone of RapidSeg: pip install -c ")
    assert gpus.obstacle.startswith("torch is not installed; ")


def test_the_cache_is_in_the_folder_of_the_user(monkeypatch, tmp_path):
    monkeypatch.delenv("RAPIDSEG_CACHE", raising=False)
    if sys.platform == "linux":
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
        assert cache.cache_root() == tmp_path / "xdg" / "rapidseg"
        monkeypatch.delenv("XDG_CACHE_HOME")
        monkeypatch.setenv("HOME", str(tmp_path))
        assert cache.cache_root() == tmp_path / ".cache" / "rapidseg"
    monkeypatch.setenv("RAPIDSEG_CACHE", str(tmp_path / "own"))
    assert cache.cache_root() == tmp_path / "own"


@pytest.mark.skipif(sys.platform != "linux", reason="the home folder is asked for in another way")
def test_without_a_home_folder_nothing_is_cached(monkeypatch):
    for name in ("RAPIDSEG_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", lambda uid: {}[uid])  # raises KeyError
    with pytest.raises(RuntimeError):
        cache.cache_root()
    assert cache.cache_folder("numba") is None
    assert cache.summarize_cache() == cache.CacheSummary(None, False, ())


def test_clearing_the_cache_keeps_downloads(monkeypatch, tmp_path):
    monkeypatch.setenv("RAPIDSEG_CACHE", str(tmp_path / "cache"))
    for name in ("openvino", "downloads"):
        (tmp_path / "cache" / name).mkdir(parents=True)
        (tmp_path / "cache" / name / "file").write_bytes(bytes(2_000_000))
    folders = {folder.name: (folder.files, folder.size_bytes) for folder in cache.summarize_cache().folders}
    assert folders == {"numba": (0, 0), "openvino": (1, 2_000_000), "downloads": (1, 2_000_000)}
    assert cache.clear_compiled() == 2_000_000
    assert not (tmp_path / "cache" / "openvino").exists()
    assert (tmp_path / "cache" / "downloads" / "file").exists()


def test_a_cache_that_cannot_be_written_is_reported(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("RAPIDSEG_CACHE", str(tmp_path / "file"))
    assert cache.summarize_cache() == cache.CacheSummary(tmp_path / "file", False, ())


def test_the_oldest_files_of_a_folder_are_deleted(tmp_path):
    for age, name in enumerate(("new", "middle", "old")):
        (tmp_path / name).write_bytes(bytes(100))
        os.utime(tmp_path / name, (1e9 - age, 1e9 - age))
    cache.keep_newest(tmp_path, max_bytes=250)
    assert {file.name for file in tmp_path.iterdir()} == {"new", "middle"}
    cache.keep_newest(tmp_path, max_bytes=10)
    assert {file.name for file in tmp_path.iterdir()} == {"new"}  # the newest stays


@pytest.mark.skipif(sys.platform != "linux", reason="settings are elsewhere")
def test_matplotlib_uses_the_cache_unless_the_user_has_settings(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RAPIDSEG_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("MPLCONFIGDIR", "")  # so that the test puts back what was set
    monkeypatch.delenv("MPLCONFIGDIR")
    monkeypatch.delitem(sys.modules, "matplotlib", raising=False)
    (tmp_path / ".config" / "matplotlib").mkdir(parents=True)
    assert not use_cache_for_matplotlib()
    (tmp_path / ".config" / "matplotlib").rmdir()
    assert use_cache_for_matplotlib()
    assert os.environ["MPLCONFIGDIR"] == str(tmp_path / "cache" / "matplotlib")
    assert not use_cache_for_matplotlib()

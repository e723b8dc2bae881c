"""A real SLURM cluster of one node, and runs of Snakemake on it side by side.

It needs root and Debian's slurm-wlm and munge, and refuses to touch a machine that has a cluster. The node says that
it has eight cores whatever it has, so that jobs that wait for their time limit hold nothing up.
"""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
CONFIG = Path("/etc/slurm")  # Snakemake's job steps look nowhere else
CORES = 8
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel", "scontrol", "sacct")

SLURM_CONF = """
ClusterName=cellscapertests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/socket/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,batch_sched_delay=0,bf_interval=1
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu
MinJobAge=3600
ReturnToService=2
MpiDefault=none
MailProg=/bin/true
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} RealMemory={memory} Gres=gpu:fake:4 Feature=large State=UNKNOWN
PartitionName=cpu Nodes={host} Default=YES State=UP
PartitionName=gpu Nodes={host} Default=NO State=UP
"""

# A user's own profile, as docs/slurm.md has it; short jobs share one SLURM job.
PROFILE = """
slurm-status-command: squeue
slurm-init-seconds-before-status-checks: 1
latency-wait: 10
cores: 3
default-resources:
  slurm_partition: cpu
set-resources:
  train_detector: {slurm_partition: gpu, gres: "gpu:1", gpu: 0}
  train_image: {slurm_partition: gpu, constraint: large}
  train_features: {slurm_partition: gpu, constraint: large, gres: "gpu:1", gpu: 0, qos: long}
groups: [{groups}]
group-components: [samples=99, sets=4, scores=99, detections=99, tables=99]
"""
GROUPS = {
    "data": ["fetch_dataset", "read_cells", "cut_patches", "fit_density"],
    "samples": ["sample_layouts", "paint_images"],
    "sets": ["generate_set", "paint_set"],
    "scores": ["score_layouts", "score_images"],
    "detections": ["detect_cells", "score_detections"],
    "tables": ["make_tables", *(file.stem for file in (REPOSITORY / "src/cellscaper/stages").glob("draw_*.py"))],
}


class Cluster:
    """The cluster and the profile that sends jobs to it."""

    def __init__(self, folder, profile):
        self.folder, self.profile = folder, profile

    def command(self, workflow, *arguments, overlays=("workflow/presets/ci.yaml",)):
        """Snakemake's command line with the two profiles. The GPUs of the cluster are none: its jobs use the CPU."""
        workflow.environment["CELLSCAPER_DEVICE"] = "cpu"
        python, dash_m, name, *_ = workflow.command()
        profiles = ["--profile", str(self.profile), "--workflow-profile", "workflow/profiles/slurm"]
        return [python, dash_m, name, *arguments, *profiles, "--configfile", *overlays]

    def jobs(self, text):
        """The SLURM jobs of a Snakemake run that printed ``text``."""
        uuid = re.search(r"SLURM run ID: (\S+)", text)[1]
        form = "%i|%k|%T|%m|%l|%P|%f"
        found = ask(["squeue", "--states=all", "--noheader", f"--name={uuid}", "--sort=i", "-o", form])
        return [SlurmJob(*line.split("|")) for line in found.splitlines()]

    def running(self, workflow):
        """The numbers of the jobs that run for a workflow."""
        text = ask(["squeue", "--noheader", "--states=R", "-o", "%A|%Z"])
        found = [line.split("|") for line in text.splitlines()]
        return [number for number, folder in found if folder == str(workflow.folder)]

    def restarts(self, number):
        """How often a job went back into the queue."""
        return int(re.search(r"Restarts=(\d+)", ask(["scontrol", "show", "job", number]))[1])


@dataclass(frozen=True)
class SlurmJob:
    """What squeue says of a job, in its own words."""

    number: str
    what: str
    state: str
    memory: str
    limit: str
    partition: str
    constraint: str


class Beside:
    """A run of one target in a finished copy, which goes on in a thread of its own beside the tests."""

    def __init__(self, cluster, finished, folder, target):
        self.cluster, self.target, self._processes = cluster, target, []
        self.workflow = finished.copy(folder / "house")
        for file in [target, *self.workflow.results.glob("logs/train_*/*")]:
            (self.workflow.folder / file).unlink(missing_ok=target == "sets")

    def edit(self, file, old, new):
        """Change a file of the copy."""
        path = self.workflow.folder / file
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")

    def start(self, *arguments, config=""):
        """Start Snakemake, with a configuration of one's own (YAML) over the `ci` preset."""
        own = {"overlays": self.workflow.overlay("own.yaml", config)} if config else {}
        command = self.cluster.command(self.workflow, self.target, *arguments, **own)
        self._processes.append(self.workflow.start(command))
        return self._processes[-1]

    def end(self, process):
        """The exit status of a process, and what it printed, when it has ended."""
        text, _ = process.communicate()
        return process.returncode, text

    def wait_for(self, condition, process):
        for _ in range(1500):
            assert process.poll() is None, process.communicate()[0]
            if condition():
                return
            time.sleep(0.2)
        raise TimeoutError("it did not come to that within 5 min")

    def kill(self):
        for process in self._processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def ask(command):
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def refuse(reason):
    """Skip; fail where the tests are known to be wanted (CI)."""
    if os.environ.get("CELLSCAPER_NEED_SLURM"):
        pytest.fail(f"CELLSCAPER_NEED_SLURM is set, but {reason}")
    pytest.skip(reason)


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def is_left_over(link):
    """Whether a link in /etc/slurm was left by a run of these tests that was killed: its process is no more."""
    name = Path(os.readlink(link)).parent.name if link.is_symlink() else ""
    return name.startswith("cellscaper-slurm-") and not Path(f"/proc/{name.rpartition('-')[2]}").exists()


def start(folder, host):
    for name in ("munge", "socket", "state", "spool"):
        (folder / name).mkdir()
    folder.chmod(0o755)
    (folder / "munge").chmod(0o700)
    key = folder / "munge/key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20 - 1024
    for i in range(4):  # GPUs that are none: SLURM wants character devices
        os.mknod(folder / f"gpu{i}", 0o20666, os.makedev(1, 3))
    values = {"host": host, "folder": folder, "cores": CORES, "memory": memory}
    text = SLURM_CONF.format(**values, controller_port=free_port(), node_port=free_port())
    (folder / "slurm.conf").write_text(text)
    (folder / "gres.conf").write_text(
        f"NodeName={host} Name=gpu Type=fake File={folder}/gpu[0-3] Flags=nvidia_gpu_env\n"
    )
    CONFIG.mkdir(exist_ok=True)
    for name in ("slurm.conf", "gres.conf"):
        (CONFIG / name).unlink(missing_ok=True)
        (CONFIG / name).symlink_to(folder / name)
    flags = [f"--{flag}={folder}/{file}" for flag, file in [
        ("key-file", "munge/key"), ("socket", "socket/munge.socket"), ("pid-file", "munged.pid"),
        ("log-file", "munge/log"), ("seed-file", "munge/seed"),
    ]]  # fmt: skip
    ask(["munged", *flags])
    ask(["slurmctld"])
    ask(["slurmd"])
    for _ in range(150):
        state = subprocess.run(["sinfo", "-h", "-o", "%T"], capture_output=True, text=True)
        if "idle" in state.stdout.split():
            return
        time.sleep(0.2)
    pytest.fail(
        f"the node is not idle after 30 s: {state.stdout}{state.stderr}\n{(folder / 'slurmctld.log').read_text()}"
    )


def stop(folder):
    for flags in (["--signal=KILL", "--full"], []):  # steps and scripts at once, then the jobs
        subprocess.run(["scancel", "--user=root", *flags], capture_output=True, timeout=60)
    for _ in range(200):  # nothing is left running without a daemon that knows it
        states = "--states=R,PD,CG,S"
        if not subprocess.run(["squeue", "--noheader", states], capture_output=True, text=True).stdout.strip():
            break
        time.sleep(0.2)
    pids = [
        int(file.read_text())
        for file in map(folder.joinpath, ("slurmd.pid", "slurmctld.pid", "munged.pid"))
        if file.exists()
    ]
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    for _ in range(100):
        if not any(Path(f"/proc/{pid}").exists() for pid in pids):
            break
        time.sleep(0.1)
    for name in ("slurm.conf", "gres.conf"):
        (CONFIG / name).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def cluster():
    """A running cluster, stopped after the tests."""
    if missing := [name for name in PROGRAMS if shutil.which(name) is None]:
        refuse(f"{', '.join(missing)} are not here; install Debian's slurm-wlm and munge")
    if os.geteuid() != 0:
        refuse("SLURM's daemons are started by root")
    if (CONFIG / "slurm.conf").exists() and not is_left_over(CONFIG / "slurm.conf"):
        pytest.skip("this machine has a SLURM cluster, its own or of other tests, which these tests must not touch")
    if is_left_over(CONFIG / "slurm.conf"):
        stop(Path(os.readlink(CONFIG / "slurm.conf")).parent)
    folder = Path(f"/tmp/cellscaper-slurm-{os.getpid()}")  # short: a socket's path has at most 107 bytes
    folder.mkdir()
    try:
        start(folder, socket.gethostname().split(".")[0])
        profile = folder / "profile"
        profile.mkdir()
        groups = ", ".join(f"{rule}={group}" for group, rules in GROUPS.items() for rule in rules)
        (profile / "config.yaml").write_text(PROFILE.replace("{groups}", groups))
        yield Cluster(folder, profile)
    finally:
        stop(folder)


@pytest.fixture(scope="module")
def beside(cluster, finished, tmp_path_factory):
    """beside(story, target) starts ``story(run)`` in a thread and returns its future; ``run`` is a :class:`Beside`."""
    runs, threads = [], ThreadPoolExecutor(max_workers=16)

    def begin(story, target):
        runs.append(Beside(cluster, finished, tmp_path_factory.mktemp(story.__name__), target))
        return threads.submit(story, runs[-1])

    yield begin
    for run in runs:
        run.kill()
    threads.shutdown(cancel_futures=True)

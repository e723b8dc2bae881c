"""A real SLURM cluster of one node, started for these tests: whole runs, retries, time limits, cancelled jobs.

It needs root and Debian's slurm-wlm and munge, and refuses to touch a machine that has a cluster. The node says that
it has four cores whatever it has, so that a job that waits for its time limit holds nothing up.
"""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
import torch

from cellscaper.disk.weights import read_weights

REPOSITORY = Path(__file__).resolve().parents[2]
CONFIG = Path("/etc/slurm")  # Snakemake's job steps look nowhere else
CORES = 4
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel", "scontrol", "sacct")
ADM = "src/cellscaper/generators/adm.py"
MODEL = "results/phantom/train_layout/adm/seed0/model.safetensors"
FEATURES = "results/phantom/train_features/tc/seed0/model.safetensors"
LOG = "results/phantom/logs/train_layout/adm-seed0.log"

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
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} RealMemory={memory} Gres=gpu:fake:2 Feature=large State=UNKNOWN
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
groups: [{groups}]
group-components: [samples=99, images=99, scores=99, detections=99, tables=99]
"""
GROUPS = {
    "data": ["fetch_dataset", "read_cells", "cut_patches", "fit_density"],
    "samples": ["sample_layouts"],
    "images": ["paint_images"],
    "scores": ["score_layouts", "score_images"],
    "detections": ["detect_cells", "score_detections"],
    "tables": [file.stem for file in (REPOSITORY / "src/cellscaper/stages").glob("draw_*.py")],
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

    def jobs(self, uuid):
        """The SLURM jobs of a Snakemake run: what, state, MB, time limit, GPUs, partition, constraint."""
        form = "%k|%T|%m|%l|%b|%P|%f"
        text = ask(["squeue", "--states=all", "--noheader", f"--name={uuid}", "--sort=i", "-o", form])
        return [line.split("|") for line in text.splitlines()]

    def running(self, workflow):
        """The numbers of the jobs that run for a workflow."""
        text = ask(["squeue", "--noheader", "--states=R", "-o", "%A|%Z"])
        found = [line.split("|") for line in text.splitlines()]
        return [number for number, folder in found if folder == str(workflow.folder)]


def ask(command):
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def run_id(text):
    return re.search(r"SLURM run ID: (\S+)", text)[1]


def refuse(reason):
    """Skip; fail where the tests are known to be wanted (CI)."""
    if os.environ.get("CELLSCAPER_NEED_SLURM"):
        pytest.fail(f"CELLSCAPER_NEED_SLURM is set, but {reason}")
    pytest.skip(reason)


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def is_ours(link):
    """Whether a link in /etc/slurm was left by an earlier run of these tests that was killed."""
    return link.is_symlink() and Path(os.readlink(link)).parent.name.startswith("cellscaper-slurm")


def start(folder, host):
    for name in ("munge", "socket", "state", "spool"):
        (folder / name).mkdir()
    folder.chmod(0o755)
    (folder / "munge").chmod(0o700)
    key = folder / "munge/key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20 - 1024
    for i in range(2):  # GPUs that are none: SLURM wants character devices
        os.mknod(folder / f"gpu{i}", 0o20666, os.makedev(1, 3))
    values = {"host": host, "folder": folder, "cores": CORES, "memory": memory}
    text = SLURM_CONF.format(**values, controller_port=free_port(), node_port=free_port())
    (folder / "slurm.conf").write_text(text)
    (folder / "gres.conf").write_text(
        f"NodeName={host} Name=gpu Type=fake File={folder}/gpu[0-1] Flags=nvidia_gpu_env\n"
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
    if (CONFIG / "slurm.conf").exists() and not is_ours(CONFIG / "slurm.conf"):
        pytest.skip("this machine has a SLURM cluster of its own, which tests must not touch")
    if is_ours(CONFIG / "slurm.conf"):
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


def slowed(workflow, seconds):
    """The workflow with an ADM that waits in each step, so that it is not over before something happens to it."""
    file = workflow.folder / ADM
    text = file.read_text(encoding="utf-8").replace(
        "    return layout\n", f"    time.sleep({seconds})\n    return layout\n"
    )
    assert "time.sleep" in text
    file.write_text(text.replace("from torch", "import time\nfrom torch", 1), encoding="utf-8")
    return workflow


def wait_for(condition, process):
    for _ in range(1500):
        assert process.poll() is None, process.communicate()[0]
        if condition():
            return
        time.sleep(0.2)
    pytest.fail("it did not come to that within 5 min")


def assert_same_weights(workflow, finished, model=MODEL):
    mine, theirs = (read_weights(one.folder / model)[0] for one in (workflow, finished))
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[name], theirs[name]) for name in theirs)


@pytest.fixture(scope="module")
def beside(cluster, finished, tmp_path_factory):
    """Runs that go on beside the other tests: workflow and process by name.

    ``over_time``: a training that needs 150 s and has two minutes. ``over_memory``: one that is given the memory of
    Snakemake alone, then twice that. ``never``: one that fails in every try.
    """
    wanted = {
        "over_time": (MODEL, "resources: {train_layout: {runtime: 2}}", 5),
        "over_memory": (FEATURES, "resources: {train_features: {mem_mb: 330, runtime: 7}}", 0),
        "never": (FEATURES, "resources: {train_features: {mem_mb: 300}}", 0),
    }
    started = {}
    for name, (target, text, seconds) in wanted.items():
        workflow = slowed(finished.copy(tmp_path_factory.mktemp(name) / "house"), seconds)
        (workflow.folder / target).unlink()
        if name == "never":
            stage = workflow.folder / "src/cellscaper/stages/train_features.py"
            stage.write_text(
                stage.read_text().replace("main() -> None:\n", "main() -> None:\n    raise SystemExit(1)\n")
            )
        overlays = workflow.overlay("own.yaml", text)
        tries = ["--retries", "4"] if name == "never" else []
        started[name] = workflow, workflow.start(cluster.command(workflow, target, *tries, overlays=overlays))
    yield started
    for _, process in started.values():
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def test_ci_preset_runs_through_slurm_to_the_same_tables(cluster, beside, house, finished, jobs, tmp_path):
    workflow = house.copy(tmp_path / "house")
    overlays = workflow.overlay("own.yaml", "resources: {train_image: {gpu: 1}}")
    ended = workflow.run(cluster.command(workflow, overlays=overlays))
    assert ended.status == 0, ended.text
    tables = sorted((finished.folder / "results/phantom/tables").glob("*.*"))
    assert {file.suffix for file in tables} >= {".csv", ".md", ".tex"}
    for file in tables:
        if file.suffix != ".png":
            other = workflow.folder / file.relative_to(finished.folder)
            assert other.read_bytes() == file.read_bytes(), file.name

    found = cluster.jobs(run_id(ended.text))
    assert {state for _, state, *_ in found} == {"COMPLETED"}
    wanted = [job for job in jobs if job.rule.startswith("train_")]
    assert len([what for what, *_ in found if what.startswith("rule_train_")]) == len(wanted)  # one for each seed
    on_gpu = [(what, constraint) for what, _, _, _, _, partition, constraint in found if partition == "gpu"]
    assert len(on_gpu) == len([job for job in wanted if job.rule in ("train_detector", "train_image")])
    for what, constraint in on_gpu:
        assert what.startswith(("rule_train_detector", "rule_train_image"))
        assert (constraint == "large") == what.startswith("rule_train_image"), (what, constraint)


def test_a_cancelled_job_is_finished_by_a_second_call(cluster, beside, finished, tmp_path):
    workflow = slowed(finished.copy(tmp_path / "house"), 0.5)
    command = cluster.command(workflow, MODEL, "--retries", "0")
    process = workflow.start(command)
    state = (workflow.folder / MODEL).parent / "state"
    wait_for(lambda: (state / "losses.csv").exists(), process)
    (job,) = cluster.running(workflow)
    ask(["scancel", job])
    log = workflow.folder / LOG
    text, _ = process.communicate(timeout=240)
    assert process.returncode == 1, text
    assert not (workflow.folder / MODEL).exists()
    assert (state / "checkpoint.pt").exists(), text
    assert "stopped by SIGTERM" in log.read_text()

    ended = workflow.run(command)
    assert ended.status == 0, ended.text
    assert "going on after step" in log.read_text()
    assert_same_weights(workflow, finished)


def test_a_job_that_needs_more_memory_is_tried_again_with_more_memory_and_time(cluster, beside, finished):
    workflow, process = beside["over_memory"]
    text, _ = process.communicate(timeout=600)
    assert process.returncode == 0, text
    tried = [(state, memory, limit) for _, state, memory, limit, *_ in cluster.jobs(run_id(text))]
    assert tried[0] == ("FAILED", "330M", "7:00"), tried
    assert tried[1][1:] == ("660M", "14:00"), tried
    assert [state for state, *_ in tried[1:]] in (["COMPLETED"], ["FAILED", "COMPLETED"]), tried
    assert_same_weights(workflow, finished, FEATURES)


def test_memory_grows_to_three_times_and_no_more(cluster, beside):
    _, process = beside["never"]
    text, _ = process.communicate(timeout=600)
    assert process.returncode == 1, text
    tried = [(state, memory) for _, state, memory, *_ in cluster.jobs(run_id(text))]
    assert tried == [("FAILED", memory) for memory in ("300M", "600M", "900M", "900M", "900M")]


def test_a_training_that_nears_its_time_limit_goes_back_into_the_queue_and_costs_no_try(cluster, beside, finished):
    workflow, process = beside["over_time"]
    text, _ = process.communicate(timeout=900)
    assert process.returncode == 0, text
    jobs = cluster.jobs(run_id(text))
    assert [(state, limit) for _, state, _, limit, *_ in jobs] == [("COMPLETED", "2:00")], jobs
    assert len({memory for _, _, memory, *_ in jobs}) == 1
    (number,) = re.findall(r"SLURM jobid '?(\d+)", text)
    restarts = re.search(r"Restarts=(\d+)", ask(["scontrol", "show", "job", number]))[1]
    assert int(restarts) >= 1
    said = (workflow.folder / LOG).read_text()
    assert re.search(r"going on after step \d+ of 30", said), said
    assert_same_weights(workflow, finished)

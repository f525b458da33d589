"""A real SLURM cluster on this one host: slurmctld, several slurmd with fake GPUs, and accounting. Needs root.

Debian's packages alone, no systemd, no cgroups: memory is sampled, as on clusters with jobacct_gather.
"""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ETC = Path("/etc/slurm")  # slurmstepd looks nowhere else
NEEDED = ("slurmctld", "slurmd", "slurmdbd", "munged", "mariadbd", "mariadb-install-db")
PATH = os.pathsep.join([os.environ["PATH"], "/usr/sbin"])

SLURM_CONF = """
ClusterName=lskd
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort=16817
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={root}/munge/munge.sock
CredType=cred/munge
StateSaveLocation={root}/ctld
SlurmctldPidFile={root}/slurmctld.pid
SlurmctldLogFile={root}/slurmctld.log
SlurmdSpoolDir={root}/spool.%n
SlurmdPidFile={root}/slurmd.%n.pid
SlurmdLogFile={root}/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
PropagateResourceLimits=NONE
SlurmdParameters=config_overrides
ReturnToService=2
SchedulerParameters=bf_interval=2,sched_min_interval=200000
SlurmdTimeout=15
SlurmctldTimeout=15
InactiveLimit=0
KillWait=10
MinJobAge=3600
JobRequeue=1
GresTypes=gpu
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
DefMemPerCPU=100
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort=16819
AccountingStoragePass={root}/munge/munge.sock
AccountingStorageTRES=gres/gpu
AccountingStorageEnforce=associations
NodeName=DEFAULT CPUs=4 RealMemory=8000 Gres=gpu:a100:{gpus}
NodeName=n[1-{nodes}] NodeHostname={host} NodeAddr=127.0.0.1 Port=[17001-{last}]
PartitionName=cpu Nodes=n[1-{nodes}] Default=YES MaxTime=1-00:00:00 DefaultTime=10 State=UP PriorityTier=1
PartitionName=gpu Nodes=n[1-{nodes}] MaxTime=1-00:00:00 DefaultTime=10 State=UP PriorityTier=1
PartitionName=short Nodes=n[1-{nodes}] MaxTime=30 DefaultTime=10 State=UP PriorityTier=1
PartitionName=closed Nodes=n[1-{nodes}] MaxTime=1-00:00:00 State=DOWN PriorityTier=1
PartitionName=urgent Nodes=n[1-{nodes}] MaxTime=1-00:00:00 DefaultTime=10 State=UP PriorityTier=10
"""
DBD_CONF = """
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort=16819
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={root}/munge/munge.sock
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort=16306
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm_acct_db
PidFile={root}/slurmdbd.pid
LogFile={root}/slurmdbd.log
"""


def why_not() -> str:
    """Why there can be no cluster here; "" where there can."""
    missing = [name for name in NEEDED if shutil.which(name, path=PATH) is None]
    if missing:
        return f"{', '.join(missing)} not installed (Debian: slurm-wlm slurmdbd munge mariadb-server)"
    if os.geteuid() != 0:
        return "munged and slurmd run as root"
    if (ETC / "slurm.conf").exists() and not (ETC / "slurm.conf").is_symlink():
        return f"{ETC}/slurm.conf is of a real cluster"
    with tempfile.TemporaryDirectory() as folder:
        try:
            os.mknod(f"{folder}/gpu", 0o020666, os.makedev(1, 3))
        except OSError as error:
            return f"no device files can be made here, so no GPUs ({error.strerror})"
    return ""


class Cluster:
    """A cluster of `nodes` nodes with `gpus` GPUs each, in a folder."""

    def __init__(self, root: Path, nodes: int = 3, gpus: int = 3):
        self.root, self.nodes, self.gpus = root, nodes, gpus
        self.environment = os.environ | {"PATH": PATH}

    def start(self) -> None:
        self._configure()
        self._munge()
        self._database()
        self.start_slurmdbd()
        for command in (
            "add cluster lskd",
            "add account lab Description=lab Organization=lab",
            "add user root Account=lab",
        ):
            self.said("sacctmgr", "-i", "-Q", *command.split(), check=False)
        self.start_slurmctld()
        for node in range(1, self.nodes + 1):
            self.start_slurmd(node)
        self.wait(lambda: self.said("sinfo", "-hN", "-pcpu", "-tidle", "-o%N").count("\n") == self.nodes)

    def stop(self) -> None:
        self.said("scancel", "--user=root", check=False)
        names = [f"slurmd.n{node}" for node in range(1, self.nodes + 1)]
        for name in (*names, "slurmctld", "slurmdbd", "mariadbd", "munge/munged"):
            self.kill(name, "TERM")
        subprocess.run(["pkill", "-KILL", "slurmstepd"], capture_output=True)  # where slurmctld could not be asked
        for name in ("slurm.conf", "gres.conf", "slurmdbd.conf"):
            (ETC / name).unlink(missing_ok=True)

    def _configure(self) -> None:
        for name in ("munge", "ctld", "dev", *(f"spool.n{node}" for node in range(1, self.nodes + 1))):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        (self.root / "munge").chmod(0o711)
        for gpu in range(self.gpus):  # gres.conf wants character devices: more of /dev/null
            os.mknod(self.root / f"dev/nvidia{gpu}", 0o020666, os.makedev(1, 3))
        host = socket.gethostname().partition(".")[0]
        values = {"host": host, "root": self.root, "nodes": self.nodes, "last": 17000 + self.nodes, "gpus": self.gpus}
        files = f"{self.root}/dev/nvidia[0-{self.gpus - 1}]"
        self._write("slurm.conf", SLURM_CONF.format(**values))
        self._write("gres.conf", f"NodeName=n[1-{self.nodes}] Name=gpu Type=a100 File={files}\n")
        self._write("slurmdbd.conf", DBD_CONF.format(**values))

    def _write(self, name: str, text: str) -> None:
        path = self.root / name
        path.write_text(text)
        path.chmod(0o600)
        ETC.mkdir(exist_ok=True)
        (ETC / name).unlink(missing_ok=True)
        (ETC / name).symlink_to(path)

    def _munge(self) -> None:
        folder = self.root / "munge"
        self.said("mungekey", "--create", f"--keyfile={folder}/munge.key")
        files = {
            "key": "munge.key",
            "socket": "munge.sock",
            "pid": "munged.pid",
            "log": "munged.log",
            "seed": "munged.seed",
        }
        flags = {"key": "key-file", "socket": "socket", "pid": "pid-file", "log": "log-file", "seed": "seed-file"}
        self.said("munged", *(f"--{flags[each]}={folder}/{name}" for each, name in files.items()))
        self.wait(lambda: self.answers("munge", "-S", str(folder / "munge.sock"), "-n"))

    def _database(self) -> None:
        own = ["--no-defaults", "--user=root", f"--datadir={self.root}/db"]
        how = ["--auth-root-authentication-method=normal", "--skip-test-db"]
        self.said("mariadb-install-db", *own, *how)
        socket_file, ports = f"--socket={self.root}/db.sock", ["--bind-address=127.0.0.1", "--port=16306"]
        few = ["--innodb-buffer-pool-size=64M", "--innodb-flush-log-at-trx-commit=0"]
        self.spawn("mariadbd", *own, socket_file, f"--pid-file={self.root}/mariadbd.pid", *ports, *few)
        self.wait(lambda: self.answers("mariadb-admin", "--no-defaults", "-uroot", socket_file, "ping"))
        for host in ("127.0.0.1", "localhost"):
            grant = f"CREATE USER slurm@{host} IDENTIFIED BY 'slurm'; GRANT ALL ON slurm_acct_db.* TO slurm@{host};"
            self.said("mariadb", "--no-defaults", "-uroot", socket_file, "-e", grant)

    def start_slurmdbd(self) -> None:
        self.spawn("slurmdbd")
        self.wait(lambda: self.answers("sacctmgr", "-n", "list", "cluster"))

    def start_slurmctld(self) -> None:
        self.spawn("slurmctld")
        self.wait(lambda: "is UP" in self.said("scontrol", "ping", check=False))

    def start_slurmd(self, node: int) -> None:
        self.spawn("slurmd", "-N", f"n{node}")

    def spawn(self, *command: str) -> None:
        """Start a daemon in a session of its own."""
        nothing = subprocess.DEVNULL
        subprocess.Popen(
            command, stdin=nothing, stdout=nothing, stderr=nothing, start_new_session=True, env=self.environment
        )

    def kill(self, name: str, signal: str = "KILL") -> None:
        """End a daemon by its pid file, and wait for it."""
        path = self.root / f"{name}.pid"
        if not path.exists():
            return
        pid = path.read_text().strip()
        subprocess.run(["kill", f"-{signal}", pid], capture_output=True)
        for _ in range(200):
            state = Path(f"/proc/{pid}/stat")
            if not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z":
                break
            time.sleep(0.1)
        path.unlink(missing_ok=True)

    def said(self, *command: str, check: bool = True) -> str:
        """What a command says."""
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=self.environment)
        assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def answers(self, *command: str) -> bool:
        try:
            return subprocess.run(command, capture_output=True, timeout=5, env=self.environment).returncode == 0
        except subprocess.TimeoutExpired:
            return False

    @staticmethod
    def wait(is_so: Callable[[], bool], seconds: float = 60) -> None:
        """Wait until something is so."""
        end = time.monotonic() + seconds
        while not is_so():
            assert time.monotonic() < end, "it did not come to be so"
            time.sleep(0.2)

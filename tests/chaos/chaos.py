#!/usr/bin/python3
"""The loop of tests/chaos: break, wait for quiet, look. Started by `run`, which makes the cluster's folder."""

import argparse
import glob
import os
import pathlib
import random
import signal
import subprocess
import sys
import time
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import faults  # noqa: E402
import looks  # noqa: E402

FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"
QUIET_SECONDS_MAX = 420  # the longest back-off of a container, and what it takes after that
LOOKS_IN_A_ROW = 2


class Task:
    def __init__(self, identifier, pid, status, is_sandbox):
        self.id, self.pid, self.status, self.is_sandbox = identifier, pid, status, is_sandbox


class Cluster:
    """One orlopd with its folders, as tests/cluster/lib.sh made them."""

    def __init__(self, options):
        self.work, self.build, self.port = options.work, options.build, options.port
        self.client = options.kubectl
        self.clock_file = os.path.join(self.work, "clock")
        self.logs = os.path.join(self.work, "data", "plugins", "node-agent", "logs")
        self.sandboxes = {}
        self.set_clock(0)

    # ------------------------------------------------------------------------------------------------- orlopd

    def start_orlopd(self):
        environment = dict(os.environ, LD_PRELOAD=FAKETIME, FAKETIME_TIMESTAMP_FILE=self.clock_file,
                           FAKETIME_CACHE_DURATION="1", FAKETIME_DONT_FAKE_MONOTONIC="1",
                           FAKETIME_DONT_RESET="1")
        if not os.path.exists(FAKETIME):
            environment = dict(os.environ)
        with open(os.path.join(self.work, "orlopd.log"), "ab") as log:
            started = subprocess.Popen([os.path.join(self.build, "bin", "orlopd"), "--config",
                                        os.path.join(self.work, "orlop.yaml")], stdin=subprocess.DEVNULL, stdout=log,
                                       stderr=log, env=environment, start_new_session=True)
        self.process = started
        pathlib.Path(self.work, "orlopd.pid").write_text(f"{started.pid}\n")

    def orlopd_pid(self):
        return self.process.pid

    def kill_orlopd(self):
        self.process.kill()
        self.process.wait()

    def set_clock(self, days):
        beside = self.clock_file + ".new"
        pathlib.Path(beside).write_text(f"{days:+d}d\n")
        os.replace(beside, self.clock_file)

    # ------------------------------------------------------------------------------------------------- kubectl

    def kubectl(self, *arguments):
        return subprocess.run([self.client, "--request-timeout=10s", *arguments], capture_output=True, text=True,
                              timeout=60)

    def kubectl_text(self, *arguments):
        return self.kubectl(*arguments).stdout

    # ------------------------------------------------------------------------------------------------- processes

    def pids(self, name):
        return [pid for pid, program in programs() if program == name and self.owns(pid, name)]

    def owns(self, pid, name):
        try:
            words = pathlib.Path(f"/proc/{pid}/cmdline").read_text()
            if name == "orlop-host":
                words += pathlib.Path(f"/proc/{pid}/environ").read_text(errors="replace")
        except OSError:
            return False
        return self.work + "/" in words

    def host_pid(self, plugin):
        for pid in self.pids("orlop-host"):
            try:
                if plugin in pathlib.Path(f"/proc/{pid}/cmdline").read_text():
                    return pid
            except OSError:
                pass
        return None

    # ------------------------------------------------------------------------------------------------- containers

    def ctr(self, *arguments):
        sockets = glob.glob(os.path.join(self.work, "run", "**", "containerd.sock"), recursive=True)
        if not sockets:
            return ""
        return subprocess.run(["ctr", "--address", sockets[0], "--namespace", "k8s.io", *arguments],
                              capture_output=True, text=True, timeout=30).stdout

    def tasks(self):
        kinds = {}
        for line in self.ctr("containers", "list").splitlines()[1:]:
            words = line.split()
            kinds[words[0]] = len(words) > 1 and "pause" in words[1]
        found = []
        for line in self.ctr("tasks", "list").splitlines()[1:]:
            words = line.split()
            if len(words) == 3:
                found.append(Task(words[0], int(words[1]), words[2], kinds.get(words[0], False)))
        return found

    def inner_mounts(self):
        """Mount points as containerd sees them."""
        pids = self.pids("containerd")
        if not pids:
            return []
        try:
            lines = pathlib.Path(f"/proc/{pids[0]}/mountinfo").read_text().splitlines()
        except OSError:
            return []
        return [line.split()[4] for line in lines if self.work in line.split()[4]]

    # ------------------------------------------------------------------------------------------------- folders

    def pod_folders(self):
        return set(os.listdir(os.path.join(self.work, "data", "plugins", "node-agent", "pods")))

    def log_folders(self):
        return os.listdir(self.logs)

    def addresses(self):
        """How many addresses of pods are taken; None: the network keeps them elsewhere."""
        files = [path for path in glob.glob(os.path.join(self.work, "**", "10.*.*.*"), recursive=True)
                 if os.path.isfile(path)]
        return len(files) if files else None


def programs():
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            fields = pathlib.Path(f"/proc/{name}/stat").read_text().rsplit(")", 1)[1].split()
            if fields[0] != "Z":
                yield int(name), os.path.basename(os.readlink(f"/proc/{name}/exe")).removesuffix(" (deleted)")
        except OSError:
            pass


def wait_for_quiet(cluster, seconds):
    """What is still wrong after so long; nothing: quiet."""
    until = time.monotonic() + seconds
    good = 0
    while True:
        wrong = looks.all_wrong(cluster)
        good = 0 if wrong else good + 1
        if good == LOOKS_IN_A_ROW:
            return []
        if time.monotonic() > until:
            return wrong or ["it does not stay quiet"]
        time.sleep(0.5)


def is_serving(cluster):
    context = __import__("ssl")._create_unverified_context()
    try:
        with urllib.request.urlopen(f"https://127.0.0.1:{cluster.port}/readyz", timeout=2, context=context) as answer:
            return answer.status == 200
    except OSError:
        return False


def settle_first(cluster, folder):
    until = time.monotonic() + 60
    while not is_serving(cluster):
        if time.monotonic() > until:
            return ["orlopd does not serve"]
        time.sleep(0.1)
    applied = cluster.kubectl("apply", "-f", os.path.join(folder, "workload.yaml"))
    if applied.returncode != 0:
        return [f"the workload was refused: {applied.stderr}"]
    return wait_for_quiet(cluster, 120)


def say(began, text):
    print(f"{time.monotonic() - began:7.1f} s  {text}", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--work", required=True)
    parser.add_argument("--build", required=True)
    parser.add_argument("--port", required=True)
    parser.add_argument("--kubectl", required=True)
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    chance = random.Random(options.seed)
    began = time.monotonic()
    say(began, f"seed {options.seed}, {options.seconds:.0f} s")
    cluster = Cluster(options)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))
    cluster.start_orlopd()
    passed = failed = 0
    wrong = settle_first(cluster, os.path.dirname(os.path.abspath(__file__)))
    while not wrong and time.monotonic() - began < options.seconds:
        for _ in range(chance.randint(1, 4)):
            fault = chance.choice(faults.ALL)
            say(began, fault(cluster, chance))
            time.sleep(chance.choice((0, 0.05, 0.5, 2)))
        waited = time.monotonic()
        wrong = wait_for_quiet(cluster, QUIET_SECONDS_MAX)
        if not wrong:
            passed += 1
            say(began, f"ok {passed}: quiet after {time.monotonic() - waited:.1f} s")
    if wrong:
        failed = 1
        for sentence in wrong:
            say(began, f"WRONG: {sentence}")
        say(began, f"the same faults again: --seed {options.seed}")
    pathlib.Path(options.work, "chaos.sum").write_text(f"{passed} {failed}\n")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Measures git-vermas against git on the same machine, and prints the table of our goals.

Every operation is run in turn with `git rev-parse HEAD` (A B A B ...); G is the median of the latter. A ratio to G holds
from machine to machine, a time does not. Stores are built from a fixed seed by `wo create --batch`. Only the standard
library is used; nothing outside a temporary directory is touched; no figure fails the run.

    cargo build --release --locked && benches/figures.py
    benches/figures.py --sizes 100 --pairs 5 --json figures.json
"""

import argparse
import fcntl
import json
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SEED = 20261122
WORDS = "add fix the parser lock branch merge queue worker test flag slow lost stale state remote clock index cache".split()
DEVNULL = os.open(os.devnull, os.O_RDWR)

# Operation -> goal in G at 1,000, 10,000 and 100,000 orders (the nearest size applies to others).
GOALS = {
    "start-up (version)": (1.0, 1.0, 1.0),
    "assignment": (1.5, 1.5, 2), "inbox (10 mails)": (1.5, 1.5, 2), "wo show": (1.5, 1.5, 2),
    "wo ready": (1.7, 2, 4), "wo list --json, all": (2.5, 8, 60),
    "wo create": (4, 4, 4), "wo update": (4, 4, 4), "wo close": (4, 4, 4), "send": (4, 4, 4),
    "hook pre-commit, not concerned": (2, 2, 2), "1,000 orders by --batch": (30, 30, 30),
}


class Place:
    """A repository with a bare remote, in an environment that holds nothing of the person's."""

    def __init__(self, top, binary, name):
        self.root = os.path.join(top, name)
        self.repo = os.path.join(self.root, "app")
        self.binary = binary
        os.makedirs(os.path.join(self.root, "bin"))
        os.symlink(binary, os.path.join(self.root, "bin", "git-vermas"))
        path = os.path.join(self.root, "bin") + ":" + os.environ.get("PATH", "/usr/bin:/bin")
        self.env = {"PATH": path, "HOME": self.root, "TMUX_TMPDIR": self.root, "LC_ALL": "C.UTF-8",
                    "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "TERM": "dumb"}
        self.sh("git init -q --bare -b main remote.git && git init -q -b main app", self.root)
        self.sh("git config user.name Bench && git config user.email bench@localhost && echo hello >a.txt && git add . "
                "&& git commit -qm first && git remote add origin ../remote.git && git push -q origin main")
        self.vermas("init")

    def sh(self, line, cwd=None):
        done = subprocess.run(["sh", "-c", line], cwd=cwd or self.repo, env=self.env, stdin=DEVNULL, capture_output=True)
        if done.returncode:
            sys.exit(f"`{line}` ended with {done.returncode}: {done.stderr.decode()}")
        return done.stdout.decode()

    def vermas(self, *args):
        done = subprocess.run([self.binary, *args], cwd=self.repo, env=self.env, stdin=DEVNULL, capture_output=True)
        if done.returncode:
            sys.exit(f"git vermas {' '.join(args)} ended with {done.returncode}: {done.stderr.decode()}")
        return done.stdout.decode()

    def time(self, argv, cwd=None):
        """Seconds from before the start to after the end of a program whose output nobody reads."""
        os.chdir(cwd or self.repo)
        program = argv[0] if "/" in argv[0] else shutil.which(argv[0], path=self.env["PATH"])
        out = [(os.POSIX_SPAWN_DUP2, DEVNULL, fd) for fd in (0, 1, 2)]
        begin = time.perf_counter()
        pid = os.posix_spawn(program, argv, self.env, file_actions=out)
        _, status = os.waitpid(pid, 0)
        seconds = time.perf_counter() - begin
        if status:
            sys.exit(f"{' '.join(argv)} ended with status {os.waitstatus_to_exitcode(status)}")
        return seconds


def pairs(place, count, operation, reference=None):
    """Alternates reference and operation, after two rounds that do not count. Gives (operation, reference) medians in ms."""
    reference = reference or (lambda: place.time(["git", "rev-parse", "HEAD"]))
    times = [(reference(), operation()) for _ in range(count + 2)][2:]
    return statistics.median(t[1] for t in times) * 1e3, statistics.median(t[0] for t in times) * 1e3


def orders(count, seed):
    """Work orders as lines of JSON: a third depend on an earlier one."""
    rng = random.Random(seed)
    for n in range(count):
        order = {"ref": f"r{seed}-{n}", "title": f"{' '.join(rng.choices(WORDS, k=5))} {n}",
                 "description": " ".join(rng.choices(WORDS, k=30)), "priority": rng.randrange(5),
                 "type": rng.choice(["task", "bug", "feature"]), "labels": rng.sample(WORDS, 2)}
        if n and rng.random() < 0.33:
            order["deps"] = [f"r{seed}-{rng.randrange(n)}"]
        yield json.dumps(order)


def batch(place, count, seed):
    file = os.path.join(place.root, f"batch-{seed}.jsonl")
    with open(file, "w") as out:
        out.writelines(line + "\n" for line in orders(count, seed))
    return file


def size_of(path):
    return sum(os.lstat(os.path.join(d, f)).st_size for d, _, files in os.walk(path) for f in files)


def peak_memory(place, argv):
    """The program's own largest resident size in MB, read while it waits for somebody to read what it prints."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, 1031, 4096)  # F_SETPIPE_SZ
    child = subprocess.Popen(argv, cwd=place.repo, env=place.env, stdin=DEVNULL, stdout=writer)
    os.close(writer)
    seen, same = 0, 0
    while child.poll() is None and same < 10:
        with open(f"/proc/{child.pid}/status") as status:
            peak = next((int(line.split()[1]) for line in status if line.startswith("VmHWM")), seen)
        seen, same = max(seen, peak), same + 1 if peak == seen else 0
        time.sleep(0.02)
    with open(reader, "rb") as rest:
        while rest.read(1 << 20):
            pass
    child.wait()
    return seen / 1024


def of_size(top, binary, count, pair_count):
    """All that depends on how many orders there are: operation -> (ms, G in ms)."""
    place = Place(top, binary, f"store-{count}")
    place.vermas("wo", "create", "--batch", batch(place, count, SEED))
    ids = [o["id"] for o in json.loads(place.vermas("wo", "list", "--json"))]
    random.Random(SEED).shuffle(ids)
    for start in range(0, count * 2 // 5, 500):
        place.vermas("wo", "close", *ids[start:min(start + 500, count * 2 // 5)])
    open_ids = iter(ids[count * 2 // 5:])
    for n in range(10):
        place.vermas("--as", "app/supervisor", "send", "ceo", "-s", f"Message {n}", "-m", "Nothing to do.")
    place.vermas("assignment", "set", "ceo", f"work_order:{next(open_ids)}")
    vermas = lambda *args: place.time([binary, *args])
    numbers = iter(range(1_000_000))
    hook = place.sh("git rev-parse --git-path hooks/pre-commit").strip()
    operations = {
        "start-up (version)": lambda: vermas("version"),
        "assignment": lambda: vermas("assignment"),
        "inbox (10 mails)": lambda: vermas("inbox"),
        "wo show": lambda: vermas("wo", "show", ids[0]),
        "wo ready": lambda: vermas("wo", "ready"),
        "wo list --json, all": lambda: vermas("wo", "list", "--json"),
        "wo create": lambda: vermas("wo", "create", f"New order {next(numbers)}"),
        "wo update": lambda: vermas("wo", "update", ids[-1], "--title", f"Another title {next(numbers)}"),
        "wo close": lambda: vermas("wo", "close", next(open_ids)),
        "send": lambda: vermas("send", "supervisor", "-s", f"Message {next(numbers)}", "-m", "Nothing to do."),
        "hook pre-commit, not concerned": lambda: place.time([hook]),
        "1,000 orders by --batch": lambda: vermas("wo", "create", "--batch", batch(place, 1000, next(numbers))),
    }
    figures = {}
    for name, operation in operations.items():
        few = 3 if "batch" in name else pair_count
        figures[name] = pairs(place, few, operation)
    jsonl = os.path.join(place.repo, "orders.jsonl")
    shutil.copy(os.path.join(place.repo, ".work", "work_orders.jsonl"), jsonl)
    place.sh("git add orders.jsonl && git commit -qm orders")

    def commit():
        with open(jsonl, "a") as out:
            out.write('{"id":"wo-x","title":"one more"}\n')
        return place.time(["git", "commit", "-qam", "one more"])

    figures["git commit of one JSONL (reference)"] = pairs(place, pair_count, commit)
    figures["memory"] = peak_memory(place, [binary, "wo", "list", "--json"])
    return figures


def growth(place, count):
    """KB that each of `count` commands adds to .git, before anything is packed."""
    before = size_of(os.path.join(place.repo, ".git"))
    for n in range(count):
        place.vermas("wo", "create", f"Order {n}")
    return (size_of(os.path.join(place.repo, ".git")) - before) / 1024 / count


def at_once(place, writers, each):
    """Seconds for writers x each creates, how many of them are there afterwards, and G in ms just before."""
    g, _ = pairs(place, 15, lambda: place.time(["git", "rev-parse", "HEAD"]))
    before = len(json.loads(place.vermas("wo", "list", "--json")))

    def write(w):
        for n in range(each):
            subprocess.run([place.binary, "wo", "create", f"Writer {w}, order {n}"], cwd=place.repo, env=place.env,
                           stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL, check=False)

    threads = [threading.Thread(target=write, args=(w,)) for w in range(writers)]
    begin = time.perf_counter()
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    seconds = time.perf_counter() - begin
    return seconds, len(json.loads(place.vermas("wo", "list", "--json"))) - before, g


def sync(place, count):
    """One event by `sync`, against a commit by `git fetch` and `git push`, to the same file:// remote."""
    place.sh(f"git remote set-url origin file://{place.root}/remote.git && git clone -q file://{place.root}/remote.git ../plain")
    plain = os.path.join(place.root, "plain")
    place.sh("git config user.name Bench && git config user.email bench@localhost && git switch -qc other "
             "&& git push -q origin other", plain)
    place.vermas("sync")

    def ours():
        place.vermas("wo", "create", "To be shared")
        return place.time([place.binary, "sync"])

    def gits():
        place.sh("echo more >>a.txt && git commit -qam more", plain)
        return place.time(["git", "fetch", "-q"], plain) + place.time(["git", "push", "-q", "origin", "other"], plain)

    return pairs(place, count, ours, gits)


def dispatch(place, count):
    """Until the agent's first instruction, against `git worktree add` and `tmux new-session` plus 20 G."""
    first = os.path.join(place.root, "first")
    agent = os.path.join(place.root, "agent.sh")
    with open(agent, "w") as out:
        out.write(f"date +%s%N >{first}.new && mv {first}.new {first} && exec sleep 60\n")
    place.sh(f"git config vermas.agent.bench.command 'sh {agent}' && git config vermas.agentDefault bench")
    has_tmux = shutil.which("tmux") is not None
    numbers = iter(range(1_000_000))

    def ours():
        order = place.vermas("wo", "create", "To be done").strip()
        begin = time.time_ns()
        place.vermas("dispatch", order)
        while not os.path.exists(first):
            time.sleep(0.001)
        with open(first) as text:
            seconds = (int(text.read()) - begin) / 1e9
        os.remove(first)
        place.vermas("worker", "kill", "slot0")
        return seconds

    def gits():
        n = next(numbers)
        seconds = place.time(["git", "worktree", "add", "-q", "-b", f"b{n}", f"../tree{n}"])
        if has_tmux:
            seconds += place.time(["tmux", "new-session", "-d", "-s", f"s{n}", "sleep 60"])
            place.sh(f"tmux kill-session -t =s{n}")
        return seconds

    try:
        return pairs(place, count, ours, gits)
    finally:
        if has_tmux:  # The server in our own directory.
            subprocess.run(["tmux", "kill-server"], env=place.env, stdout=DEVNULL, stderr=DEVNULL, check=False)


def machine():
    with open("/proc/cpuinfo") as info:
        model = next((line.split(":", 1)[1].strip() for line in info if line.startswith("model name")), platform.machine())
    git = subprocess.run(["git", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    return f"{os.cpu_count()} x {model}, {platform.system()} {platform.release()}, {git}"


def cell(value, goal):
    ms, g = value
    return f"{ms / g:.1f} G ({ms:.1f} ms)" + (f", goal {goal:g}" if goal else "")


def markdown(result):
    sizes = sorted(result["sizes"])
    lines = [f"{result['machine']}; {result['date']}; load {result['load']}; G = {result['G']:.2f} ms", "",
             "| operation | " + " | ".join(f"{n:,} orders" for n in sizes) + " |", "|---" * (len(sizes) + 1) + "|"]
    for name in next(iter(result["sizes"].values())):
        if name != "memory":
            goal = lambda n: GOALS[name][0 if n < 5000 else 1 if n < 50000 else 2] if name in GOALS else None
            lines.append(f"| {name} | " + " | ".join(cell(result["sizes"][n][name], goal(n)) for n in sizes) + " |")
    lines.append("| peak memory of `wo list --json` | " + " | ".join(f"{result['sizes'][n]['memory']:.0f} MB" for n in sizes) + " |")
    ms, ref = result["sync"]
    started, floor = result["dispatch"]
    seconds, there, g = result["at_once"]
    lines += ["", "| whatever the number of orders | figure | goal |", "|---|---|---|",
              f"| sync of one event, against git fetch + git push | {ms / ref:.2f} x ({ms:.0f} and {ref:.0f} ms) | 1.5 x |",
              f"| dispatch until the agent's first instruction | {started:.0f} ms | {floor + 20 * result['G']:.0f} ms (git worktree add + tmux new-session + 20 G) |",
              f"| 16 processes x 25 creates | {there} of 400 in {seconds:.2f} s ({seconds * 1e3 / g:.0f} G) | 400, 300 G |",
              f"| growth of .git a command, before packing | {result['growth']:.1f} KB | 30 KB |",
              f"| demo | {result['demo']:.1f} s | 30 s |",
              f"| size of the program | {result['binary_mb']:.1f} MB | |"]
    return "\n".join(lines)


def main():
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--binary", default=os.path.join(HERE, "target", "release", "git-vermas"))
    ask.add_argument("--sizes", default="100,1000,10000", help="numbers of orders, with commas")
    ask.add_argument("--large", action="store_true", help="100,000 orders, too")
    ask.add_argument("--pairs", type=int, default=15)
    ask.add_argument("--growth", type=int, default=1000, metavar="N", help="commands over which the growth of .git is taken")
    ask.add_argument("--json", metavar="FILE", help="also write every figure there")
    given = ask.parse_args()
    binary = os.path.abspath(given.binary)
    if not os.access(binary, os.X_OK):
        sys.exit(f"{binary} is not there: cargo build --release --locked")
    sizes = [int(n) for n in given.sizes.split(",")] + ([100_000] if given.large else [])
    say = lambda text: print(text, file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix="vb", dir="/tmp") as top:
        result = {"machine": machine(), "date": time.strftime("%Y-%m-%d"), "load": f"{os.getloadavg()[0]:.1f}", "sizes": {}}
        for n in sizes:
            say(f"{n:,} orders")
            result["sizes"][n] = of_size(top, binary, n, given.pairs)
        small = result["sizes"][sizes[0]]
        result["G"] = statistics.median(v[1] for k, v in small.items() if k != "memory")
        say("sync, dispatch, many writers, growth, demo")
        place = Place(top, binary, "one")
        result["sync"] = sync(place, given.pairs)
        result["dispatch"] = dispatch(place, min(given.pairs, 5))
        result["at_once"] = at_once(place, 16, 25)
        result["growth"] = growth(place, given.growth)
        result["demo"] = statistics.median(place.time([binary, "demo", "-q"], "/") for _ in range(3))
        result["binary_mb"] = os.stat(binary).st_size / 1e6
        os.chdir("/")
    print(markdown(result))
    if given.json:
        with open(given.json, "w") as out:
            json.dump(result, out, indent=1)


if __name__ == "__main__":
    main()

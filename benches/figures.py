#!/usr/bin/env python3
"""Measures git-vermas against git on the same machine, and prints the table of our goals.

Every operation is run in turn with `git rev-parse HEAD` (A B A B ...); G is the median of the latter. A ratio to G holds
from machine to machine, a time does not. Stores are built from a fixed seed by `wo create --batch`. Only the standard
library is used; nothing outside a temporary directory is touched; no figure fails the run.

    cargo build --release --locked && benches/figures.py
    benches/figures.py --sizes 100 --pairs 5 --json figures.json
    benches/figures.py --large --history        100,000 orders, and 1,000,000 events; takes its time
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
    "agent hook, nothing new": (2, 2, 2),
}
MEMORY_GOALS = (12, 25, 60)

# What others take for the same, in G, measured on 2 cores on 2026-11-22 with the same kind of store: br 0.1.12 and 0.7.6
# (SQLite and JSONL), beads-rs (a git ref and a daemon), the Python implementation (typer, pydantic), git itself (add and
# commit of one JSONL). None where it was not measured or failed.
PEERS = {
    "start-up (version)": {"br 0.1.12": (1.6,) * 3, "br 0.7.6": (2.7,) * 3, "beads-rs": (1.9,) * 3, "Python": (77,) * 3},
    "wo list --json, all": {"br 0.1.12": (5.6, 30, 302), "br 0.7.6": (16, 46, 254), "beads-rs": (15, 73, 1495),
                            "Python": (80, 146, 1310)},
    "wo ready": {"br 0.1.12": (4.4, 15, 123), "br 0.7.6": (18, 174, 4190), "beads-rs": (11, 60, 1373)},
    "wo show": {"br 0.1.12": (3.2, 5.5, 16), "br 0.7.6": (12, 14, 34), "beads-rs": (6.7, 6.6, 5.6), "Python": (82, 128, 827)},
    "wo create": {"br 0.1.12": (154, 1101, None), "br 0.7.6": (63, 233, 1817), "beads-rs": (118, 886, 9348),
                  "Python": (106, 119, 300), "git": (8.6, 29, 235)},
}
PEERS_MEMORY = {"br 0.1.12": (17, 31, 173), "br 0.7.6": (49, 75, 880), "beads-rs": (20, 20, None), "Python": (34, 57, 287)}


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
    """The program's own largest resident size in MB, looked at again and again while its output is read as it comes."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, 1031, 4096)  # F_SETPIPE_SZ: it stays for a look while it waits for room
    child = subprocess.Popen(argv, cwd=place.repo, env=place.env, stdin=DEVNULL, stdout=writer)
    os.close(writer)
    seen, read = 0, 0
    while True:
        with open(f"/proc/{child.pid}/status") as status:
            seen = max([seen, *(int(line.split()[1]) for line in status if line.startswith("VmHWM"))])
        if read > 1 << 16:
            fcntl.fcntl(reader, 1031, 1 << 20)
        some = os.read(reader, 4096 if read <= 1 << 16 else 1 << 18)
        if not some:
            break
        read += len(some)
    os.close(reader)
    child.wait()
    return seen / 1024


CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"


def lines_of_history(count, events):
    """Event lines as one replica writes them, `count` orders and `events` events in all, oldest first. Two fifths are
    closed at the end; what is left over changes titles and priorities."""
    rng = random.Random(SEED)
    name = lambda prefix, length: prefix + "".join(rng.choices(CROCKFORD, k=length))
    ids = [name("wo-", 10) for _ in range(count)]
    heads, at = {}, 1_767_300_000_000

    def line(kind, order, data):
        nonlocal at
        at += rng.randrange(1, 50)
        event = name("evt-", 12)
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at // 1000)) + f".{at % 1000:03d}Z"
        prev, heads[order] = heads.get(order), event
        return json.dumps({"event_id": event, "event_type": kind, "timestamp": stamp, "actor": "ceo", "correlation_id": None,
                           "caused_by": None, "data": {"work_order_id": order, **data}, "prev": [prev] if prev else []},
                          separators=(",", ":")) + "\n"

    closed = count * 2 // 5
    for n, order in enumerate(ids):
        yield line("work_order.created", order, {
            "title": f"{' '.join(rng.choices(WORDS, k=5))} {n}", "description": " ".join(rng.choices(WORDS, k=30)),
            "issue_type": rng.choice(["task", "bug", "feature"]), "priority": rng.randrange(5), "created_by": "ceo",
            "labels": rng.sample(WORDS, 2), "assignee": None, "metadata": {}, "parent": None})
        if n and rng.random() < 0.33:
            yield line("work_order.dependency_added", order, {"depends_on_id": ids[rng.randrange(n)], "type": "blocks"})
    for n in range(max(0, events - int(count * 1.33) - 2 * closed)):
        changes = {"priority": rng.randrange(5)} if n % 2 else {"title": f"{' '.join(rng.choices(WORDS, k=5))} {n}"}
        yield line("work_order.updated", rng.choice(ids), {"changes": changes})
    for order in rng.sample(ids, closed):
        yield line("work_order.status_changed", order, {"from_status": "open", "to_status": "closed"})
        yield line("work_order.closed", order, {"reason": "done"})


def put_history(place, count, events):
    """Puts a history onto the state branch of the remote, as segments of another machine. Gives how many events it has."""
    place.vermas("sync")
    remote, replica, total = os.path.join(place.root, "remote.git"), "".join(random.Random(1).choices(CROCKFORD, k=10)), 0
    feed = subprocess.Popen(["git", "fast-import", "--quiet"], cwd=remote, env=place.env, stdin=subprocess.PIPE)
    put = feed.stdin.write
    put(b"commit refs/heads/vermas/state\ncommitter Bench <bench@localhost> 1767300000 +0000\ndata 8\nhistory\n\n"
        b"from refs/heads/vermas/state^0\n")
    segment, size, number = [], 0, 1

    def seal():
        nonlocal segment, size, number
        text = "".join(segment).encode()
        put(f"M 100644 inline events/{replica}/{number:06}.jsonl\ndata {len(text)}\n".encode() + text + b"\n")
        segment, size, number = [], 0, number + 1

    for line in lines_of_history(count, events):
        if size + len(line) > 60_000:
            seal()
        segment.append(line)
        size, total = size + len(line), total + 1
    seal()
    feed.stdin.close()
    if feed.wait():
        sys.exit("git fast-import failed")
    return total


def clone(place, name):
    """A clone of the place's remote, with the same environment, not set up yet."""
    place.sh(f"git clone -q -b main remote.git {name}", place.root)
    other = object.__new__(Place)
    other.__dict__.update(place.__dict__)
    other.repo = os.path.join(place.root, name)
    return other


def watched(place, argv):
    """Seconds and the largest resident size in MB of a program, looked at while it runs."""
    begin, seen = time.perf_counter(), 0
    child = subprocess.Popen(argv, cwd=place.repo, env=place.env, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL)
    while child.poll() is None:
        with open(f"/proc/{child.pid}/status") as status:
            seen = next((int(line.split()[1]) for line in status if line.startswith("VmHWM")), seen)
        time.sleep(0.01)
    if child.returncode:
        sys.exit(f"{' '.join(argv)} ended with {child.returncode}")
    return time.perf_counter() - begin, seen / 1024


def history(top, binary, count, events):
    """A clone of a long history: its first `init`, and what a first answer takes when the cache is gone."""
    place = Place(top, binary, f"history-{events}")
    total = put_history(place, count, events)
    other = clone(place, "other")
    _, g = pairs(place, 15, lambda: place.time(["git", "rev-parse", "HEAD"]))
    seconds, memory = watched(other, [binary, "init"])
    os.remove(os.path.join(other.repo, ".git", "vermas", "cache.sqlite"))
    again, memory_again = watched(other, [binary, "wo", "ready", "-n", "1"])
    return {"place": other, "events": total, "g": g, "init": (seconds, memory), "rebuild": (again, memory_again)}


def build(top, binary, count):
    """A store of `count` orders, two fifths of them closed. Gives it and the ids of its orders, closed ones first."""
    closed = count * 2 // 5
    if count > 10_000:
        place = Place(top, binary, f"store-{count}")
        put_history(place, count, 0)
        place = clone(place, "other")
        place.sh("git config user.name Bench && git config user.email bench@localhost")
        place.vermas("init")
        orders = json.loads(place.vermas("wo", "list", "--json"))
        return place, [o["id"] for o in sorted(orders, key=lambda o: o["status"] != "closed")]
    place = Place(top, binary, f"store-{count}")
    place.vermas("wo", "create", "--batch", batch(place, count, SEED))
    ids = [o["id"] for o in json.loads(place.vermas("wo", "list", "--json"))]
    random.Random(SEED).shuffle(ids)
    for start in range(0, closed, 500):
        place.vermas("wo", "close", *ids[start:min(start + 500, closed)])
    return place, ids


def hook(place, agent, event):
    """Seconds that one of an agent's own hooks takes."""
    env, text = {**place.env, "AGENT_ID": agent}, json.dumps({"session_id": "s", "prompt": "go on"}).encode()
    begin = time.perf_counter()
    subprocess.run([place.binary, "hook", "claude", event], cwd=place.repo, env=env, input=text, stdout=DEVNULL, check=True)
    return time.perf_counter() - begin


def seen_by_tail(place, count):
    """Milliseconds from the append of a foreign line until `events tail --follow` has printed it; the median."""
    tail = subprocess.Popen([place.binary, "events", "tail", "--follow", "--jsonl", "-n", "1"], cwd=place.repo,
                            env=place.env, stdin=DEVNULL, stdout=subprocess.PIPE)
    tail.stdout.readline()
    time.sleep(0.5)
    times, log = [], os.path.join(place.repo, ".work", "events.jsonl")
    for n in range(count):
        line = json.dumps({"event_id": f"evt-bench{n}", "event_type": "bench.said", "actor": "ceo", "data": {},
                           "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}) + "\n"
        with open(log, "a") as out:
            begin = time.perf_counter()
            out.write(line)
            out.flush()
            tail.stdout.readline()
            times.append(time.perf_counter() - begin)
        time.sleep(0.02)
    tail.kill()
    tail.wait()
    return statistics.median(times) * 1e3


def of_size(top, binary, count, pair_count):
    """All that depends on how many orders there are: operation -> (ms, G in ms)."""
    place, ids = build(top, binary, count)
    open_ids = iter(ids[count * 2 // 5:])
    for n in range(10):
        place.vermas("--as", "app/supervisor", "send", "ceo", "-s", f"Message {n}", "-m", "Nothing to do.")
    place.vermas("assignment", "set", "ceo", f"work_order:{next(open_ids)}")
    vermas = lambda *args: place.time([binary, *args])
    numbers = iter(range(1_000_000))
    git_hook = place.sh("git rev-parse --git-path hooks/pre-commit").strip()
    hook(place, "app/workers/slot0", "UserPromptSubmit")

    def deliver():
        place.vermas("send", "app/workers/slot0", "-s", f"Message {next(numbers)}", "-m", "Nothing to do.")
        return hook(place, "app/workers/slot0", "UserPromptSubmit")

    operations = {
        "start-up (version)": lambda: vermas("version"),
        "assignment": lambda: vermas("assignment"),
        "inbox (10 mails)": lambda: vermas("inbox"),
        "wo show": lambda: vermas("wo", "show", ids[0]),
        "wo ready": lambda: vermas("wo", "ready"),
        "wo list --json, all": lambda: vermas("wo", "list", "--json"),
        "prime": lambda: vermas("prime"),
        "wo create": lambda: vermas("wo", "create", f"New order {next(numbers)}"),
        "wo update": lambda: vermas("wo", "update", ids[-1], "--title", f"Another title {next(numbers)}"),
        "wo close": lambda: vermas("wo", "close", next(open_ids)),
        "send": lambda: vermas("send", "supervisor", "-s", f"Message {next(numbers)}", "-m", "Nothing to do."),
        "hook pre-commit, not concerned": lambda: place.time([git_hook]),
        "agent hook, nothing new": lambda: hook(place, "app/workers/slot0", "UserPromptSubmit"),
        "agent hook, one mail handed over and recorded": deliver,
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
    figures["tail"] = seen_by_tail(place, 20)
    figures["memory"] = peak_memory(place, [binary, "wo", "list", "--json"])
    return figures


def of_history(top, binary, count, events, pair_count):
    """A long history: see `history`; and whether what people do every minute is any the slower for it."""
    result = history(top, binary, count, events)
    place, numbers = result.pop("place"), iter(range(1_000_000))
    place.sh("git config user.name Bench && git config user.email bench@localhost")
    some = json.loads(place.vermas("wo", "list", "--json", "-n", "1"))[0]["id"]
    vermas = lambda *args: lambda: place.time([binary, *args])
    operations = {"assignment": vermas("assignment"), "wo show": vermas("wo", "show", some),
                  "wo ready -n 20": vermas("wo", "ready", "-n", "20"), "prime": vermas("prime"),
                  "events tail": vermas("events", "tail"),
                  "wo create": lambda: place.time([binary, "wo", "create", f"New order {next(numbers)}"])}
    result["operations"] = {name: pairs(place, pair_count, operation) for name, operation in operations.items()}
    return result


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


def step(count):
    """Which of the three sizes that goals and peers have is the nearest."""
    return 0 if count < 5000 else 1 if count < 50000 else 2


def against(own, peers, count):
    """Our figure beside the best of the peers'."""
    known = [(all_of[step(count)], name) for name, all_of in peers.items() if all_of[step(count)]]
    if not known or count < 500:
        return ""
    best, name = min(known)
    return f", best other {best:g} ({name}: {best / own:.1f} x)"


def cell(name, value, count):
    ms, g = value
    goal = f", goal {GOALS[name][step(count)]:g}" if name in GOALS else ""
    return f"{ms / g:.1f} G ({ms:.1f} ms){goal}{against(ms / g, PEERS.get(name, {}), count)}"


def markdown(result):
    sizes = sorted(result["sizes"])
    lines = [f"{result['machine']}; {result['date']}; load {result['load']}; G = {result['G']:.2f} ms", "",
             "| operation | " + " | ".join(f"{n:,} orders" for n in sizes) + " |", "|---" * (len(sizes) + 1) + "|"]
    for name in next(iter(result["sizes"].values())):
        if name not in ("memory", "tail"):
            lines.append(f"| {name} | " + " | ".join(cell(name, result["sizes"][n][name], n) for n in sizes) + " |")
    memory = lambda n, mb: f"{mb:.0f} MB, goal {MEMORY_GOALS[step(n)]}{against(mb, PEERS_MEMORY, n)}"
    lines.append("| peak memory of `wo list --json` | "
                 + " | ".join(memory(n, result["sizes"][n]["memory"]) for n in sizes) + " |")
    lines.append("| append until `events tail` has printed it | "
                 + " | ".join(f"{result['sizes'][n]['tail']:.2f} ms, goal 1" for n in sizes) + " |")
    for h in result["history"]:
        (init, init_mb), (rebuild, rebuild_mb) = h["init"], h["rebuild"]
        per = lambda seconds: seconds * 1e3 / h["g"] / (h["events"] / 10_000)
        lines += ["", f"| {h['events']:,} events | figure | goal |", "|---|---|---|",
                  f"| first `init` of a clone | {init:.1f} s, {per(init):.0f} G per 10,000 events, {init_mb:.0f} MB | 60 G per 10,000 |",
                  f"| first answer without a cache | {rebuild:.1f} s, {per(rebuild):.0f} G per 10,000 events, {rebuild_mb:.0f} MB | |"]
        lines += [f"| {name} | {ms / g:.1f} G ({ms:.1f} ms) | {GOALS.get(name, ('', '', ''))[2]} |"
                  for name, (ms, g) in h["operations"].items()]
    if "sync" not in result:
        return "\n".join(lines)
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
    ask.add_argument("--history", action="store_true", help="a store with 1,000,000 events, too")
    ask.add_argument("--sizes-only", action="store_true", help="nothing but what depends on the number of orders or events")
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
        result["G"] = statistics.median(v[1] for k, v in small.items() if k not in ("memory", "tail"))
        result["history"] = []
        for count, events in [(10_000, 0)] + ([(100_000, 1_000_000)] if given.history else []):
            say(f"a clone of {count:,} orders and at least {events:,} events")
            result["history"].append(of_history(top, binary, count, events, given.pairs))
        if given.sizes_only:
            os.chdir("/")
            return print(markdown(result))
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

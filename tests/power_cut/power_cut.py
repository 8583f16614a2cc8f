#!/usr/bin/env python3
"""Power cuts on a loop-mounted ext4: what was acknowledged must be there after the remount.

usage: power_cut.py --program PATH [--cuts N] [--writers N] [--seed S]   (as root, on Linux)

Each cut stops the file system at once without flushing its journal, which is what a power cut does to everything that
was not synced. Prints one JSON object; exits 1 when an acknowledged work order is lost, the state branch or the
repository is unreadable, or `git fsck` complains after one command.
"""
import argparse, fcntl, json, os, pathlib, random, struct, subprocess, sys, tempfile, time

SHUTDOWN, NOLOGFLUSH = 0x8004587D, 2  # EXT4_IOC_SHUTDOWN, EXT4_GOING_FLAGS_NOLOGFLUSH


def run(*argv, **kw):
    return subprocess.run(argv, capture_output=True, text=True, **kw)


def environment():
    return {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/nonexistent",
            "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}


def writer(program, repo, number, out):
    """Creates work orders for ever; notes each one that was acknowledged, outside the file system that is cut."""
    n = 0
    while True:
        n += 1
        p = subprocess.run([program, "wo", "create", f"order {number}.{n}"], cwd=repo, env=environment(),
                           capture_output=True, text=True)
        if p.returncode != 0:
            os._exit(0)
        os.write(out, p.stdout.encode())


def cut(program, mount, repo, writers, rng, acked_file):
    out = os.open(acked_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    children = []
    for number in range(writers):
        pid = os.fork()
        if pid == 0:
            try:
                writer(program, repo, number, out)
            finally:
                os._exit(0)
        children.append(pid)
    time.sleep(rng.uniform(0.2, 0.8))
    fd = os.open(mount, os.O_RDONLY)
    fcntl.ioctl(fd, SHUTDOWN, struct.pack("I", NOLOGFLUSH))
    os.close(fd)
    for pid in children:
        os.waitpid(pid, 0)
    os.close(out)


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--program", required=True)
    a.add_argument("--cuts", type=int, default=5)
    a.add_argument("--writers", type=int, default=4)
    a.add_argument("--seed", type=int, default=1)
    a = a.parse_args()
    rng = random.Random(a.seed)
    program = str(pathlib.Path(a.program).resolve())
    top = pathlib.Path(tempfile.mkdtemp(prefix="power-cut-"))
    image, mount, acked = top / "disk", top / "mnt", top / "acked"
    mount.mkdir()
    with open(image, "wb") as f:
        f.truncate(512 << 20)
    run("mkfs.ext4", "-q", "-F", str(image), check=True)
    bad = {"lost": 0, "ref_unreadable": 0, "git_broken_before": 0, "fsck_after": 0}
    details = []
    try:
        run("mount", "-o", "loop", str(image), str(mount), check=True)
        repo = mount / "app"
        run("git", "init", "-q", "-b", "main", str(repo), check=True)
        p = run(program, "init", cwd=repo, env=environment())
        assert p.returncode == 0, p.stderr
        run("sync")
        for n in range(a.cuts):
            cut(program, str(mount), repo, a.writers, rng, str(acked))
            run("umount", str(mount))
            run("mount", "-o", "loop", str(image), str(mount), check=True)
            if run("git", "rev-parse", "--verify", "vermas/state^{tree}", cwd=repo).returncode != 0:
                bad["ref_unreadable"] += 1
            if run("git", "log", "--all", "--oneline", cwd=repo).returncode != 0:
                bad["git_broken_before"] += 1
            p = run(program, "wo", "list", "--json", cwd=repo, env=environment())
            if p.returncode != 0:
                details.append(p.stderr)
                bad["lost"] += 1
                break
            have = {o["id"] for o in json.loads(p.stdout)}
            said = set(acked.read_text().split())
            lost = said - have
            if lost:
                bad["lost"] = len(lost)
                details.append(sorted(lost)[:5])
            f = run("git", "fsck", "--full", cwd=repo)
            errors = [l for l in (f.stdout + f.stderr).splitlines() if not l.startswith(("dangling", "notice", "Checking"))]
            if f.returncode != 0 or errors:
                bad["fsck_after"] += 1
                details.append(errors[:5])
    finally:
        run("umount", str(mount))
        for f in (image, acked):
            f.unlink(missing_ok=True)
        mount.rmdir(); top.rmdir()
    total = len(said)
    print(json.dumps({"cuts": a.cuts, "writers": a.writers, "acknowledged": total, **bad, "details": details[:10]}))
    sys.exit(1 if any(bad.values()) else 0)


if __name__ == "__main__":
    main()

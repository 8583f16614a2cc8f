//! What runs: other processes by their number, this one, and whether somebody listens.

use std::io;
use std::path::Path;
use std::time::Duration;

use super::clock::{Deadline, sleep};

/// Fields of `/proc/PID/stat`, counted from behind the name, which may hold spaces (proc(5)).
const STATE: usize = 0;
const PARENT: usize = 1;
const GROUP: usize = 2;
const STARTED: usize = 19;
const ZOMBIE: &str = "Z";

/// A field of a process's `stat`; an error where there is no such process, or the system shows none.
fn stat_field(pid: u32, field: usize) -> io::Result<Option<String>> {
    let stat = super::fs::read_to_string(Path::new(&format!("/proc/{pid}/stat")))?;
    Ok(stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(field)).map(str::to_owned))
}

/// Ends a process group that we started: SIGTERM, a second's grace, then SIGKILL.
pub fn end_group(pid: u32) {
    use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return };
    if kill_process_group(pid, Signal::TERM).is_err() {
        return;
    }
    let deadline = Deadline::after(Duration::from_millis(1000));
    while !deadline.passed() && test_kill_process_group(pid).is_ok() {
        sleep(Duration::from_millis(10));
        if !alive(pid.as_raw_nonzero().get().unsigned_abs()) {
            break;
        }
    }
    let _ = kill_process_group(pid, Signal::KILL);
}

/// Whether the process group that this process led still has a member that is no zombie, even if the process itself is
/// gone.
pub fn group_alive(pid: u32) -> bool {
    let group = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    if group.is_none_or(|g| rustix::process::test_kill_process_group(g).is_err()) {
        return false;
    }
    // A group of zombies that nobody has reaped yet still takes a signal; only /proc tells.
    let Ok(names) = super::fs::list(Path::new("/proc")) else { return true };
    let group = pid.to_string();
    let is_member = |pid: u32| {
        let field = |n| stat_field(pid, n).ok().flatten();
        field(STATE).is_some_and(|state| state != ZOMBIE) && field(GROUP).as_ref() == Some(&group)
    };
    names.is_empty() || names.iter().filter_map(|n| n.parse().ok()).any(is_member)
}

/// Whether a process with this id exists and is no zombie.
pub fn alive(pid: u32) -> bool {
    match stat_field(pid, STATE) {
        Ok(state) => state.is_none_or(|s| s != ZOMBIE),
        Err(_) if Path::new("/proc/self").exists() => false,
        Err(_) => i32::try_from(pid)
            .ok()
            .and_then(rustix::process::Pid::from_raw)
            .is_some_and(|p| rustix::process::test_kill_process(p).is_ok()),
    }
}

/// A process's start time in clock ticks since boot, which tells it from a later one with the same id. `None` where the
/// system does not say.
pub fn start_time(pid: u32) -> Option<u64> {
    stat_field(pid, STARTED).ok()??.parse().ok()
}

/// The process that started another; `None` where the system does not say.
pub fn parent_of(pid: u32) -> Option<u32> {
    stat_field(pid, PARENT).ok()??.parse().ok()
}

/// Lets everybody else go first, from now on and for every child: for work that nobody waits for.
pub fn be_modest() {
    let _ = rustix::process::nice(15);
}

/// Whether a child may ask somebody something: a terminal is there, and it is ours to read from at present.
pub fn has_terminal() -> bool {
    use rustix::termios::tcgetpgrp;
    let group = Ok(rustix::process::getpgrp());
    tcgetpgrp(rustix::stdio::stdin()) == group || tcgetpgrp(rustix::stdio::stderr()) == group
}

/// Our own process id.
pub fn id() -> u32 {
    std::process::id()
}

/// The name of this machine, as other programs write it beside a process id.
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// The user the process runs as.
pub fn user_id() -> u32 {
    rustix::process::getuid().as_raw()
}

/// Whether somebody listens on a socket in the file system. A socket whose server died, or none at all, is `false`; any
/// other obstacle is an error, so that a server that cannot be asked is not taken for one that is not there.
pub fn socket_is_live(path: &Path) -> io::Result<bool> {
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Ok(true),
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => Ok(false),
        Err(e) => Err(super::fs::named(path, &e)),
    }
}

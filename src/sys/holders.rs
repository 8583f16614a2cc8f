//! Who may hold a file that says nothing of its maker: a process that has it open, or a git that is at work nearby.
//!
//! Only where the system shows its processes under `/proc`, and only those that it shows: one in another container, or on
//! another machine, is not seen.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::{fs, running};

fn processes() -> impl Iterator<Item = PathBuf> {
    let numbers = fs::list(Path::new("/proc")).unwrap_or_default().into_iter();
    let others = numbers.filter_map(|n| n.parse::<u32>().ok()).filter(|pid| *pid != running::id());
    others.map(|pid| Path::new("/proc").join(pid.to_string()))
}

/// Whether another process has this file open. The path is absolute, without links.
pub fn have_open(path: &Path) -> bool {
    let names_it = |folder: &Path, fd: &String| fs::read_link(&folder.join(fd)).is_some_and(|to| to == path);
    // Another user's cannot be looked at.
    processes().map(|p| p.join("fd")).any(|fds| fs::list(&fds).unwrap_or_default().iter().any(|fd| names_it(&fds, fd)))
}

/// Whether a `git` stands in one of these folders, or below: it may hold a lock that it does not keep open. One that only
/// waits for a command of ours does not count.
pub fn git_is_at_work(folders: &[PathBuf]) -> bool {
    let (mut gits, mut waiting) = (Vec::new(), HashSet::from([running::parent_of(running::id())]));
    for p in processes() {
        let name = fs::read_to_string(&p.join("comm")).unwrap_or_default();
        let pid = p.file_name().and_then(|n| n.to_str()).and_then(|n| n.parse::<u32>().ok());
        match (name.trim_end(), pid) {
            ("git-vermas", Some(pid)) => waiting.extend([running::parent_of(pid)]),
            ("git", Some(pid)) => gits.push((Some(pid), p)),
            _ => {}
        }
    }
    let stands = |p: &Path| fs::read_link(&p.join("cwd")).is_some_and(|at| folders.iter().any(|f| at.starts_with(f)));
    gits.iter().any(|(pid, p)| !waiting.contains(pid) && stands(p))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::clock::{Deadline, sleep};
    use crate::sys::marked;
    use std::time::Duration;

    #[test]
    fn who_has_a_file_open_is_found_and_a_git_is_where_it_stands() {
        let top = tempfile::tempdir().unwrap();
        let top = fs::canonicalize(top.path()).unwrap();
        let (file, elsewhere) = (top.join("file"), top.join("elsewhere"));
        fs::create_dir_all(&elsewhere).unwrap();
        fs::replace(&file, b"").unwrap();
        let _mine = fs::open_read(&file).unwrap();
        let is_at_work_in = |folder: &PathBuf| git_is_at_work(std::slice::from_ref(folder));
        assert!(!have_open(&file) && !is_at_work_in(&elsewhere));
        let mark = top.to_string_lossy().into_owned();
        let script = "git init -q . && sleep 60 | git cat-file --batch 9<../file";
        let cmd = crate::sys::process::Cmd::new("sh").cwd(&elsewhere).args(["-c", script]).env("VERMAS_MARK", &mark);
        cmd.spawn_detached(&top.join("log")).unwrap();
        let deadline = Deadline::after(Duration::from_secs(5));
        while !(deadline.passed() || have_open(&file) && is_at_work_in(&elsewhere)) {
            sleep(Duration::from_millis(5));
        }
        assert!(have_open(&file) && is_at_work_in(&elsewhere) && is_at_work_in(&top));
        assert!(!is_at_work_in(&top.join("nowhere")));
        marked::end("VERMAS_MARK", &mark);
        // Who was ended goes in a moment.
        let deadline = Deadline::after(Duration::from_secs(5));
        while !deadline.passed() && (have_open(&file) || is_at_work_in(&elsewhere)) {
            sleep(Duration::from_millis(5));
        }
        assert!(!have_open(&file) && !is_at_work_in(&elsewhere));
    }
}

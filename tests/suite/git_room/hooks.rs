use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use git_vermas::git::hooks::{Hook, HookReport, HookState, install, status, uninstall};
use git_vermas::git::program::Git;
use git_vermas::sys::env::which;
use git_vermas::sys::fs;

use super::support::{Repo, git, read, write};

fn states(reports: Vec<HookReport>) -> Vec<HookState> {
    reports.into_iter().map(|r| r.state).collect()
}

fn all(state: &HookState) -> Vec<HookState> {
    vec![state.clone(); 3]
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn script(path: &Path, text: &str, mode: u32) {
    write(path, text);
    fs::set_mode(path, mode).unwrap();
}

#[test]
fn installing_twice_is_installing_once_and_uninstalling_leaves_nothing() {
    let repo = Repo::new();
    let before = fs::list(&repo.file(".git/hooks")).unwrap();
    assert_eq!(states(status(&repo.git(), &Hook::LOCAL).unwrap()), all(&HookState::Missing));
    assert_eq!(states(install(&repo.git(), &Hook::LOCAL).unwrap()), all(&HookState::Installed));
    let stamp = fs::Stamp::of(&repo.file(".git/hooks/pre-commit"));
    assert_eq!(states(install(&repo.git(), &Hook::LOCAL).unwrap()), all(&HookState::Installed));
    assert_eq!(fs::Stamp::of(&repo.file(".git/hooks/pre-commit")), stamp);
    assert_eq!(mode(&repo.file(".git/hooks/pre-commit")), 0o755);
    assert_eq!(states(uninstall(&repo.git(), &Hook::LOCAL).unwrap()), all(&HookState::Missing));
    assert_eq!(fs::list(&repo.file(".git/hooks")).unwrap(), before);
}

#[test]
fn an_earlier_hook_runs_first_and_comes_back_with_its_mode() {
    let repo = Repo::new();
    let hook = repo.file(".git/hooks/pre-commit");
    script(&hook, "#!/bin/sh\necho \"$@\" >>ran.ignored\n[ ! -f no ] || exit 7\n", 0o711);
    let bytes = fs::read(&hook).unwrap();
    assert_eq!(states(install(&repo.git(), &[Hook::PreCommit]).unwrap()), [HookState::Chained]);
    install(&repo.git(), &[Hook::PreCommit]).unwrap();
    repo.run(&["commit", "-q", "--allow-empty", "-m", "x"]);
    assert_eq!(read(&repo.file("ran.ignored")), "\n");
    write(&repo.file("no"), "");
    assert!(!super::support::output(&repo.path(), &["commit", "-q", "--allow-empty", "-m", "x"]).success());
    uninstall(&repo.git(), &[Hook::PreCommit]).unwrap();
    assert_eq!((fs::read(&hook).unwrap(), mode(&hook)), (bytes, 0o711));
    assert!(!fs::exists(&repo.file(".git/hooks/pre-commit.vermas-chained")));
}

#[test]
fn a_hook_that_is_a_link_or_is_switched_off_keeps_being_that() {
    let repo = Repo::new();
    let (linked, off) = (repo.file(".git/hooks/pre-commit"), repo.file(".git/hooks/pre-push"));
    script(&repo.file("scripts/check"), "#!/bin/sh\necho ran >>ran.ignored\n", 0o755);
    fs::symlink("../../scripts/check".as_ref(), &linked).unwrap();
    script(&off, "#!/bin/sh\nexit 9\n", 0o644);
    assert_eq!(
        states(install(&repo.git(), &Hook::LOCAL).unwrap()),
        [HookState::Chained, HookState::Installed, HookState::Chained]
    );
    repo.run(&["commit", "-q", "--allow-empty", "-m", "x"]);
    assert_eq!(read(&repo.file("ran.ignored")), "ran\n");
    uninstall(&repo.git(), &Hook::LOCAL).unwrap();
    assert!(fs::metadata(&linked).unwrap().file_type().is_symlink());
    assert_eq!((read(&off).as_str(), mode(&off)), ("#!/bin/sh\nexit 9\n", 0o644));
}

#[test]
fn a_shim_somebody_edited_and_a_hook_put_in_its_place_are_left_alone() {
    let repo = Repo::new();
    let hook = repo.file(".git/hooks/pre-commit");
    script(&hook, "#!/bin/sh\n: first\n", 0o755);
    install(&repo.git(), &[Hook::PreCommit]).unwrap();
    let edited = format!("{}echo mine\n", read(&hook));
    script(&hook, &edited, 0o755);
    assert_eq!(states(install(&repo.git(), &[Hook::PreCommit]).unwrap()), [HookState::Modified]);
    assert_eq!(states(uninstall(&repo.git(), &[Hook::PreCommit]).unwrap()), [HookState::Modified]);
    assert_eq!(read(&hook), edited);
    script(&hook, "#!/bin/sh\n: another tool\n", 0o755);
    assert_eq!(states(install(&repo.git(), &[Hook::PreCommit]).unwrap()), [HookState::Modified]);
    assert_eq!(states(uninstall(&repo.git(), &[Hook::PreCommit]).unwrap()), [HookState::Modified]);
    assert_eq!(read(&hook), "#!/bin/sh\n: another tool\n");
    assert_eq!(read(&repo.file(".git/hooks/pre-commit.vermas-chained")), "#!/bin/sh\n: first\n");
}

#[test]
fn an_older_shim_is_replaced_and_a_cut_installation_finished() {
    let repo = Repo::new();
    let hook = repo.file(".git/hooks/pre-push");
    // Copied by hand: a whole shim without the line that installing adds.
    script(&hook, Hook::PrePush.script(), 0o755);
    assert_eq!(states(install(&repo.git(), &[Hook::PrePush]).unwrap()), [HookState::Installed]);
    assert!(read(&hook).lines().last().unwrap().starts_with("# git-vermas checksum "));
    uninstall(&repo.git(), &[Hook::PrePush]).unwrap();

    script(&hook, "#!/bin/sh\n: first\n", 0o755);
    fs::hard_link(&hook, &repo.file(".git/hooks/pre-push.vermas-chained")).unwrap();
    assert_eq!(states(install(&repo.git(), &[Hook::PrePush]).unwrap()), [HookState::Chained]);
    fs::remove_file(&hook).unwrap();
    uninstall(&repo.git(), &[Hook::PrePush]).unwrap();
    assert_eq!(read(&hook), "#!/bin/sh\n: first\n");
}

#[test]
fn a_hooks_path_in_the_users_tree_is_honoured_and_not_written_to() {
    let repo = Repo::new();
    script(&repo.file(".husky/pre-commit"), "#!/bin/sh\n: husky\n", 0o755);
    repo.run(&["config", "core.hooksPath", ".husky"]);
    let config = read(&repo.file(".git/config"));
    let reports = install(&repo.git(), &[Hook::PreCommit]).unwrap();
    assert_eq!(reports[0].path, repo.file(".husky/pre-commit"));
    let HookState::Foreign { line } = &reports[0].state else { panic!("{reports:?}") };
    assert_eq!(read(&repo.file(".husky/pre-commit")), "#!/bin/sh\n: husky\n");
    assert_eq!(fs::list(&repo.file(".husky")).unwrap(), ["pre-commit"]);
    assert_eq!(read(&repo.file(".git/config")), config);

    script(&repo.file(".husky/pre-commit"), &format!("#!/bin/sh\n{line}\necho on >>ran.ignored\n"), 0o755);
    assert_eq!(states(status(&repo.git(), &[Hook::PreCommit]).unwrap()), [HookState::Installed]);
    repo.run(&["commit", "-q", "--allow-empty", "-m", "x"]);
    let linked = repo.around().join("linked");
    repo.run(&["worktree", "add", "-q", linked.to_str().unwrap()]);
    git(&linked, &["commit", "-q", "--allow-empty", "-m", "x"]);
    uninstall(&repo.git(), &[Hook::PreCommit]).unwrap();
    repo.run(&["commit", "-q", "--allow-empty", "-m", "the line does no harm then"]);
    assert_eq!(read(&repo.file("ran.ignored")), "on\non\n");
}

#[test]
fn newer_git_is_told_of_hooks_by_configuration_where_the_place_is_not_ours() {
    let repo = Repo::new();
    repo.run(&["config", "core.hooksPath", ".husky"]);
    let bin = repo.around().join("bin");
    let real = which("git").unwrap();
    let fake = format!(
        "#!/bin/sh\ncase $* in *' version') echo git version 2.54.0;; *) exec {} \"$@\";; esac\n",
        real.display()
    );
    script(&bin.join("git"), &fake, 0o755);
    let path = format!("{}:/usr/bin:/bin", bin.display());
    let newer: Git = repo.git().with_env("PATH", path);
    let before = read(&repo.file(".git/config"));
    assert_eq!(states(install(&newer, &[Hook::PreCommit]).unwrap()), [HookState::Installed]);
    assert_eq!(repo.run(&["config", "hook.vermas-pre-commit.event"]), "pre-commit");
    assert_eq!(
        repo.run(&["config", "hook.vermas-pre-commit.command"]),
        repo.file(".git/vermas/hooks/pre-commit").to_str().unwrap()
    );
    assert_eq!(states(uninstall(&newer, &[Hook::PreCommit]).unwrap()), [HookState::Missing]);
    assert_eq!(read(&repo.file(".git/config")), before);
}

#[test]
fn a_bare_remote_gets_the_update_hook() {
    let repo = Repo::new().with_remote();
    let remote = Git::new(repo.remote()).with_env("GIT_CONFIG_GLOBAL", "/dev/null");
    assert_eq!(states(install(&remote, &Hook::REMOTE).unwrap()), [HookState::Installed]);
    assert!(fs::exists(&repo.remote().join("hooks/update")));
    repo.run(&["push", "-q", "origin", "main:refs/heads/other"]);
}

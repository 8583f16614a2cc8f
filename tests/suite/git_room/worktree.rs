use git_vermas::git::rescue::snapshot;
use git_vermas::git::scratch::{checkout_scratch, remove_scratch};
use git_vermas::git::slot::{BranchWas, add, remove, restart, start_over};
use git_vermas::git::status::{Operation, Untracked, current_branch, head, operation, status};
use git_vermas::git::worktree::{find, list, lock, repair, unlock};
use git_vermas::sys::fs;

use super::support::{Repo, commit, git, output, read, write};

#[test]
fn a_slot_is_a_locked_worktree_on_its_own_branch() {
    let repo = Repo::new();
    let slot = repo.around().join("a slot\n\"0\"");
    let was = add(&repo.git(), &slot, "vermas/slot0", "main", "slot0").unwrap();
    assert_eq!(was, BranchWas::Created);
    let all = list(&repo.git()).unwrap();
    assert_eq!(all.len(), 2);
    assert!(all[0].main && !all[0].bare);
    assert_eq!(all[1].path, slot);
    assert_eq!(all[1].branch.as_deref(), Some("refs/heads/vermas/slot0"));
    assert_eq!(all[1].locked.as_deref(), Some("vermas slot0"));
    assert_eq!(all[1].head, Some(repo.tip("main")));
    assert_eq!(current_branch(&repo.git(), &slot).unwrap().as_deref(), Some("refs/heads/vermas/slot0"));
    assert!(add(&repo.git(), &slot, "vermas/slot0", "main", "slot0").is_err(), "twice");
}

#[test]
fn a_branch_with_nothing_of_its_own_moves_on_and_one_with_work_is_kept() {
    let repo = Repo::new();
    repo.run(&["branch", "idle", "main~1"]);
    let work = repo.branch_with("busy", "main~1", &[("w", Some("w\n"))]);
    let from = repo.tip("main~1");
    let at = |n: &str| repo.around().join(n);
    assert_eq!(add(&repo.git(), &at("i"), "idle", "main", "x").unwrap(), BranchWas::Advanced { from });
    assert_eq!(repo.tip("idle"), repo.tip("main"));
    assert_eq!(add(&repo.git(), &at("w"), "busy", "main", "x").unwrap(), BranchWas::Kept { at: work.clone() });
    assert_eq!(repo.tip("busy"), work);
    assert_eq!(read(&at("w").join("w")), "w\n");
}

#[test]
fn the_users_post_checkout_hook_runs_for_a_slot_and_not_for_scratch() {
    let repo = Repo::new();
    let hook = repo.file(".git/hooks/post-checkout");
    write(&hook, "#!/bin/sh\n[ -n \"$VERMAS_NESTED\" ] && touch \"$(git rev-parse --show-toplevel)/hooked.ignored\"\n");
    fs::set_mode(&hook, 0o755).unwrap();
    let (slot, scratch) = (repo.around().join("slot"), repo.around().join("scratch"));
    add(&repo.git(), &slot, "s", "main", "s").unwrap();
    checkout_scratch(&repo.git(), &scratch, &repo.tip("main")).unwrap();
    assert!(fs::exists(&slot.join("hooked.ignored")));
    assert!(!fs::exists(&scratch.join("hooked.ignored")));
}

#[test]
fn removing_refuses_dirt_until_a_snapshot_holds_exactly_it() {
    let repo = Repo::new();
    let slot = repo.around().join("slot");
    add(&repo.git(), &slot, "s", "main", "s").unwrap();
    write(&slot.join("new"), "only here\n");
    let refused = remove(&repo.git(), &slot, "main", None).unwrap_err().to_string();
    assert!(refused.contains("no commit and no rescue snapshot holds: new"), "{refused}");
    let saved = snapshot(&repo.git(), &slot, "slot0", 0, "main").unwrap().unwrap();
    write(&slot.join("new"), "later\n");
    assert!(remove(&repo.git(), &slot, "main", Some(&saved)).is_err(), "an old snapshot is none");
    assert_eq!(find(&repo.git(), &slot).unwrap().unwrap().locked.as_deref(), Some("vermas s"));
    let saved = snapshot(&repo.git(), &slot, "slot0", 1, "main").unwrap().unwrap();
    remove(&repo.git(), &slot, "main", Some(&saved)).unwrap();
    assert!(!fs::exists(&slot));
    assert_eq!(repo.run(&["show", &format!("{}^3:new", saved.name)]), "later");
    assert!(list(&repo.git()).unwrap().len() == 1);
}

#[test]
fn a_repository_inside_a_worktree_is_never_removed_with_it() {
    let repo = Repo::new();
    let slot = repo.around().join("slot");
    add(&repo.git(), &slot, "s", "main", "s").unwrap();
    fs::create_dir_all(&slot.join("inner")).unwrap();
    git(&slot.join("inner"), &["init", "-q"]);
    write(&slot.join("inner/file"), "x");
    write(&slot.join("other"), "y");
    let saved = snapshot(&repo.git(), &slot, "slot0", 0, "main").unwrap().unwrap();
    assert!(remove(&repo.git(), &slot, "main", Some(&saved)).is_err());
    assert!(fs::exists(&slot.join("inner/file")));
}

#[test]
fn a_detached_head_that_nothing_holds_is_not_removed() {
    let repo = Repo::new();
    let slot = repo.around().join("slot");
    add(&repo.git(), &slot, "s", "main", "s").unwrap();
    git(&slot, &["checkout", "-q", "--detach"]);
    commit(&slot, "x", "x", "loose");
    assert!(remove(&repo.git(), &slot, "main", None).is_err());
    let saved = snapshot(&repo.git(), &slot, "slot0", 0, "main").unwrap().unwrap();
    remove(&repo.git(), &slot, "main", Some(&saved)).unwrap();
}

#[test]
fn the_main_worktree_is_never_removed() {
    let repo = Repo::new();
    assert!(remove(&repo.git(), &repo.path(), "main", None).is_err());
    assert_eq!(read(&repo.file("a")), "a1\n");
}

#[test]
fn a_slot_starts_over_only_when_nothing_of_it_is_lost() {
    let repo = Repo::new();
    let slot = repo.around().join("slot");
    add(&repo.git(), &slot, "s", "main~1", "s").unwrap();
    restart(&repo.git(), &slot, "s", "main", None).unwrap();
    assert_eq!(head(&repo.git(), &slot).unwrap(), Some(repo.tip("main")));
    let work = commit(&slot, "w", "w", "work");
    assert!(restart(&repo.git(), &slot, "s", "main", None).is_err(), "unmerged commits");
    let saved = snapshot(&repo.git(), &slot, "slot0", 0, "main").unwrap().unwrap();
    assert_eq!((saved.oid.as_str(), saved.is_snapshot()), (work.as_str(), false));
    restart(&repo.git(), &slot, "s", "main", Some(&saved)).unwrap();
    write(&slot.join("x"), "x");
    assert!(restart(&repo.git(), &slot, "s", "main", Some(&saved)).is_err(), "untracked file");
    assert_eq!(read(&slot.join("x")), "x");
}

#[test]
fn what_somebody_commits_after_the_snapshot_is_saved_before_the_branch_starts_over() {
    let repo = Repo::new();
    let slot = repo.around().join("slot");
    add(&repo.git(), &slot, "s", "main", "s").unwrap();
    commit(&slot, "w", "w", "work");
    let saved = snapshot(&repo.git(), &slot, "slot0", 0, "main").unwrap().unwrap();
    let late = commit(&slot, "l", "l", "late");
    remove(&repo.git(), &slot, "main", Some(&saved)).unwrap();
    let kept = start_over(&repo.git(), "s", &repo.tip("main"), &saved, 0).unwrap().unwrap();
    assert_eq!((kept.oid.as_str(), kept.is_snapshot()), (late.as_str(), false));
    assert_eq!(repo.tip(&kept.name), late);
    assert_eq!(repo.tip("s"), repo.tip("main"));
    assert_eq!(start_over(&repo.git(), "s", &repo.tip("main"), &saved, 0).unwrap(), None);
}

#[test]
fn a_repository_that_was_added_as_a_submodule_keeps_its_worktree_until_it_is_gone() {
    let repo = Repo::new();
    let slot = repo.around().join("slot");
    add(&repo.git(), &slot, "s", "main", "s").unwrap();
    git(&slot, &["init", "-q", "own"]);
    git(&slot.join("own"), &["config", "user.name", "o"]);
    git(&slot.join("own"), &["config", "user.email", "o@example.org"]);
    commit(&slot.join("own"), "o", "o", "of its own");
    git(&slot, &["-c", "advice.addEmbeddedRepo=false", "add", "own"]);
    git(&slot, &["commit", "-q", "-m", "add it"]);
    assert!(remove(&repo.git(), &slot, "main", None).is_err());
    assert_eq!(read(&slot.join("own/o")), "o");
    std::fs::remove_dir_all(slot.join("own")).unwrap();
    std::fs::create_dir(slot.join("own")).unwrap();
    remove(&repo.git(), &slot, "main", None).unwrap();
    assert!(!slot.exists());
}

#[test]
fn a_lost_link_never_leads_git_to_the_repository_around_it() {
    let repo = Repo::new();
    let slot = repo.file("workers/slot0");
    add(&repo.git(), &slot, "s", "main", "s").unwrap();
    fs::remove_file(&slot.join(".git")).unwrap();
    assert!(list(&repo.git()).unwrap()[1].lost);
    assert!(status(&repo.git(), &slot, Untracked::Folded).is_err());
    assert!(remove(&repo.git(), &slot, "main", None).is_err(), "what is there is not known");
    assert!(repair(&repo.git(), &slot).unwrap());
    assert_eq!(status(&repo.git(), &slot, Untracked::Folded).unwrap(), []);
}

#[test]
fn a_slot_whose_directory_is_gone_is_lost_and_can_be_added_again() {
    let repo = Repo::new();
    let slot = repo.around().join("slot");
    add(&repo.git(), &slot, "s", "main", "s").unwrap();
    fs::remove_dir_all(&slot).unwrap();
    let seen = find(&repo.git(), &slot).unwrap().unwrap();
    assert!(seen.lost && seen.ours() && seen.prunable.is_none());
    assert!(!repair(&repo.git(), &slot).unwrap());
    add(&repo.git(), &slot, "s", "main", "s").unwrap();
    assert_eq!(read(&slot.join("a")), "a1\n");
}

#[test]
fn locking_and_unlocking_twice_is_no_error() {
    let repo = Repo::new();
    let slot = repo.around().join("slot");
    add(&repo.git(), &slot, "s", "main", "first").unwrap();
    lock(&repo.git(), &slot, "second").unwrap();
    assert_eq!(find(&repo.git(), &slot).unwrap().unwrap().locked.as_deref(), Some("vermas first"));
    unlock(&repo.git(), &slot).unwrap();
    unlock(&repo.git(), &slot).unwrap();
    assert_eq!(find(&repo.git(), &slot).unwrap().unwrap().locked, None);
}

#[test]
fn status_tells_index_files_and_untracked_apart() {
    let repo = Repo::new();
    write(&repo.file("a"), "staged\n");
    repo.run(&["add", "a"]);
    write(&repo.file("b"), "changed\n");
    write(&repo.file("new\nline"), "x");
    write(&repo.file("x.ignored"), "x");
    let seen = status(&repo.git(), &repo.path(), Untracked::Folded).unwrap();
    let short: Vec<_> = seen.iter().map(|e| (e.path.to_str().unwrap(), e.code)).collect();
    assert_eq!(short, [("a", ['M', '.']), ("b", ['.', 'M']), ("new\nline", ['?', '?'])]);
}

#[test]
fn a_merge_with_conflicts_is_an_operation_in_progress() {
    let repo = Repo::new();
    repo.branch_with("other", "main~1", &[("a", Some("theirs\n"))]);
    commit(&repo.path(), "a", "ours\n", "ours");
    assert!(!output(&repo.path(), &["merge", "-q", "other"]).success());
    assert_eq!(operation(&repo.git(), &repo.path()).unwrap(), Some(Operation::Merge));
    assert!(status(&repo.git(), &repo.path(), Untracked::No).unwrap()[0].unmerged());
}

#[test]
fn scratch_is_wiped_between_uses_and_removed_with_all_in_it() {
    let repo = Repo::new();
    let (git, scratch) = (repo.git(), repo.around().join("scratch"));
    checkout_scratch(&git, &scratch, &repo.tip("main~1")).unwrap();
    write(&scratch.join("a"), "changed by a test");
    write(&scratch.join("out.ignored"), "built");
    write(&scratch.join("left"), "left");
    checkout_scratch(&git, &scratch, &repo.tip("main")).unwrap();
    assert_eq!(fs::list(&scratch).unwrap(), [".git", ".gitignore", "a", "b", "dir"]);
    assert_eq!(read(&scratch.join("a")), "a1\n");
    let own = repo.file(".git/worktrees/scratch/index.lock");
    write(&own, "a killed test run left this");
    checkout_scratch(&git, &scratch, &repo.tip("main")).unwrap();
    write(&scratch.join("left"), "left");
    remove_scratch(&git, &scratch).unwrap();
    remove_scratch(&git, &scratch).unwrap();
    assert!(!fs::exists(&scratch));
}

#[test]
fn a_slot_is_never_taken_for_scratch() {
    let repo = Repo::new();
    let slot = repo.around().join("slot");
    add(&repo.git(), &slot, "s", "main", "s").unwrap();
    write(&slot.join("new"), "mine");
    assert!(checkout_scratch(&repo.git(), &slot, &repo.tip("main")).is_err());
    assert!(remove_scratch(&repo.git(), &slot).is_err());
    assert!(remove_scratch(&repo.git(), &repo.path()).is_err());
    assert_eq!(read(&slot.join("new")), "mine");
}

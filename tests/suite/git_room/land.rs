use std::path::PathBuf;

use git_vermas::git::land::{Landing, land};
use git_vermas::sys::fs;

use super::support::{Repo, commit, git, output, read, write};

const MAIN: &str = "refs/heads/main";

fn work(repo: &Repo) -> (String, String) {
    let new = repo.branch_with("work", "main", &[("a", Some("a2\n")), ("b", None), ("n/new", Some("new\n"))]);
    (repo.tip("main"), new)
}

fn waits(landing: Landing) -> (String, Vec<PathBuf>) {
    match landing {
        Landing::Waits { reason, paths } => (reason, paths),
        other => panic!("{other:?}"),
    }
}

fn status(repo: &Repo) -> String {
    repo.run(&["status", "--porcelain"])
}

#[test]
fn a_base_that_nobody_has_checked_out_just_moves() {
    let repo = Repo::new();
    let (old, new) = work(&repo);
    repo.run(&["checkout", "-q", "-b", "elsewhere"]);
    assert_eq!(land(&repo.git(), MAIN, &old, &new).unwrap(), Landing::Landed);
    assert_eq!(repo.tip("main"), new);
    assert_eq!(read(&repo.file("a")), "a1\n");
    assert_eq!(land(&repo.git(), MAIN, &old, &new).unwrap(), Landing::Landed, "again");
}

#[test]
fn a_clean_checkout_of_the_base_moves_along() {
    let repo = Repo::new();
    let (old, new) = work(&repo);
    assert_eq!(land(&repo.git(), MAIN, &old, &new).unwrap(), Landing::Landed);
    assert_eq!(status(&repo), "");
    assert_eq!((read(&repo.file("a")), read(&repo.file("n/new"))), ("a2\n".into(), "new\n".into()));
    assert!(!fs::exists(&repo.file("b")));
    assert!(repo.run(&["reflog", "-1", "HEAD"]).contains("vermas: land"));
}

#[test]
fn unrelated_work_in_the_checkout_stays_as_it_was() {
    let repo = Repo::new();
    let (old, new) = work(&repo);
    write(&repo.file("dir/c"), "mine, unstaged\n");
    write(&repo.file("staged\nfile"), "mine, staged\n");
    repo.run(&["add", "staged\nfile"]);
    write(&repo.file("n/other"), "mine, untracked\n");
    let before = status(&repo);
    assert_eq!(land(&repo.git(), MAIN, &old, &new).unwrap(), Landing::Landed);
    assert_eq!(status(&repo).replace("?? n/other", "?? n/"), before);
    assert_eq!(read(&repo.file("dir/c")), "mine, unstaged\n");
    assert_eq!(read(&repo.file("n/other")), "mine, untracked\n");
}

#[test]
fn work_in_the_way_makes_it_wait_and_nothing_changes() {
    let cases: [(&str, &[&str], &str); 6] = [
        ("a", &[], "a changed file"),
        ("a", &["add", "a"], "a staged file"),
        ("b", &[], "a changed file that would go"),
        ("n/new", &[], "an untracked file"),
        ("n", &[], "an untracked file where a directory must be"),
        ("n/new/deep.ignored", &[], "an ignored file in a directory where a file must be"),
    ];
    for (path, also, case) in cases {
        let repo = Repo::new();
        let (old, new) = work(&repo);
        write(&repo.file(path), "mine\n");
        if !also.is_empty() {
            repo.run(also);
        }
        let before = (status(&repo), fs::read(&repo.file(".git/index")).unwrap());
        let (reason, paths) = waits(land(&repo.git(), MAIN, &old, &new).unwrap());
        assert_eq!(paths, [PathBuf::from(path)], "{case}");
        assert!(reason.starts_with("1 file with local work is in the way in /"), "{reason}");
        assert_eq!(read(&repo.file(path)), "mine\n", "{case}");
        assert_eq!(repo.tip("main"), old, "{case}");
        assert_eq!((status(&repo), fs::read(&repo.file(".git/index")).unwrap()), before, "{case}");
    }
}

#[test]
fn an_ignored_file_in_the_way_is_not_overwritten() {
    let repo = Repo::new();
    write(&repo.file(".gitignore"), "");
    let old = commit(&repo.path(), "x", "x", "x");
    let new = repo.branch_with("work", "main", &[("secret", Some("landed\n"))]);
    write(&repo.file(".git/info/exclude"), "secret\n");
    write(&repo.file("secret"), "mine\n");
    assert_eq!(waits(land(&repo.git(), MAIN, &old, &new).unwrap()).1, [PathBuf::from("secret")]);
    assert_eq!(read(&repo.file("secret")), "mine\n");
}

#[test]
fn a_directory_with_ignored_files_does_not_give_way_to_a_file() {
    let repo = Repo::new();
    let old = repo.tip("main");
    let new = repo.branch_with("work", "main", &[("dir/c", None)]);
    repo.run(&["checkout", "-q", "-b", "more", &new]);
    let new = commit(&repo.path(), "dir", "now a file\n", "dir is a file");
    repo.run(&["checkout", "-q", "main"]);
    write(&repo.file("dir/x.ignored"), "mine\n");
    assert_eq!(waits(land(&repo.git(), MAIN, &old, &new).unwrap()).1, [PathBuf::from("dir/x.ignored")]);
    fs::remove_file(&repo.file("dir/x.ignored")).unwrap();
    assert_eq!(land(&repo.git(), MAIN, &old, &new).unwrap(), Landing::Landed);
    assert_eq!((read(&repo.file("dir")), status(&repo)), ("now a file\n".into(), String::new()));
}

#[test]
fn a_linked_worktree_on_the_base_moves_along_and_can_make_it_wait() {
    let repo = Repo::new();
    let (old, new) = work(&repo);
    repo.run(&["checkout", "-q", "-b", "elsewhere"]);
    let linked = repo.around().join("linked tree");
    repo.run(&["worktree", "add", "-q", linked.to_str().unwrap(), "main"]);
    write(&linked.join("a"), "mine\n");
    assert_eq!(waits(land(&repo.git(), MAIN, &old, &new).unwrap()).1, [PathBuf::from("a")]);
    git(&linked, &["checkout", "-q", "--", "a"]);
    assert_eq!(land(&repo.git(), MAIN, &old, &new).unwrap(), Landing::Landed);
    assert_eq!(git(&linked, &["status", "--porcelain"]), "");
    assert_eq!(read(&linked.join("a")), "a2\n");
    assert_eq!(read(&repo.file("a")), "a1\n");
}

#[test]
fn a_touched_but_unchanged_file_is_no_work() {
    let repo = Repo::new();
    let (old, new) = work(&repo);
    write(&repo.file("a"), "a1\n");
    assert_eq!(land(&repo.git(), MAIN, &old, &new).unwrap(), Landing::Landed);
    assert_eq!(status(&repo), "");
}

#[test]
fn a_landing_cut_short_is_finished_by_the_next_one() {
    type Cut = fn(&Repo, &str, &str);
    let cuts: [(&str, Cut); 3] = [
        ("some files written", |r, _, _| {
            write(&r.file("a"), "a2\n");
            fs::remove_file(&r.file("b")).unwrap();
            write(&r.file("n/new"), "new\n");
        }),
        ("one file written", |r, _, _| write(&r.file("n/new"), "new\n")),
        ("files and index", |r, old, new| {
            r.run(&["status"]);
            r.run(&["read-tree", "-m", "-u", old, new]);
        }),
    ];
    for (case, cut) in cuts {
        let repo = Repo::new();
        let (old, new) = work(&repo);
        write(&repo.file("dir/c"), "mine\n");
        cut(&repo, &old, &new);
        assert_eq!(land(&repo.git(), MAIN, &old, &new).unwrap(), Landing::Landed, "{case}");
        assert_eq!(status(&repo), "M dir/c".to_owned().replace("M dir", " M dir"), "{case}");
        assert_eq!(repo.tip("main"), new);
    }
}

#[test]
fn a_base_that_moved_is_not_landed_on() {
    let repo = Repo::new();
    let (old, new) = work(&repo);
    let now = commit(&repo.path(), "x", "x", "meanwhile");
    assert_eq!(land(&repo.git(), MAIN, &old, &new).unwrap(), Landing::Moved { now: Some(now.clone()) });
    assert_eq!((repo.tip("main"), status(&repo)), (now, String::new()));
    assert!(land(&repo.git(), MAIN, &repo.tip("main"), &new).is_err(), "no fast-forward");
    assert!(land(&repo.git(), "refs/vermas/x", &old, &new).is_err(), "no branch");
}

#[test]
fn a_ref_that_cannot_be_moved_leaves_the_checkout_as_it_was() {
    let repo = Repo::new();
    let (old, new) = work(&repo);
    write(&repo.file("dir/c"), "mine\n");
    write(&repo.file(".git/refs/heads/main.lock"), "");
    assert!(land(&repo.git(), MAIN, &old, &new).is_err());
    assert_eq!(status(&repo), " M dir/c");
    assert_eq!(read(&repo.file("b")), "b1\n");
    fs::remove_file(&repo.file(".git/refs/heads/main.lock")).unwrap();
    assert_eq!(land(&repo.git(), MAIN, &old, &new).unwrap(), Landing::Landed);
}

#[test]
fn an_operation_in_progress_on_the_base_makes_it_wait() {
    let repo = Repo::new();
    repo.branch_with("other", "main~1", &[("a", Some("theirs\n"))]);
    let old = commit(&repo.path(), "a", "ours\n", "ours");
    let new = repo.branch_with("work", "main", &[("w", Some("w"))]);
    assert!(!output(&repo.path(), &["merge", "-q", "other"]).success());
    let (reason, _) = waits(land(&repo.git(), MAIN, &old, &new).unwrap());
    assert!(reason.starts_with("a merge is in progress in "), "{reason}");
    repo.run(&["merge", "--abort"]);
    assert!(!output(&repo.path(), &["rebase", "-q", "other"]).success());
    let (reason, _) = waits(land(&repo.git(), MAIN, &old, &new).unwrap());
    assert_eq!(reason, "main is in the middle of a rebase");
    repo.run(&["rebase", "--abort"]);
    write(&repo.file(".git/index.lock"), "");
    let (reason, _) = waits(land(&repo.git(), MAIN, &old, &new).unwrap());
    assert!(reason.contains("index.lock"), "{reason}");
    assert_eq!(repo.tip("main"), old);
}

/// What a landing leaves that is killed: its lock, and a note that nobody holds.
fn killed(repo: &Repo, purpose: &str) {
    let note = repo.file(&format!(".git/vermas/tmp/index-lock.1.{purpose}"));
    write(&note, "");
    fs::hard_link(&note, &repo.file(".git/index.lock")).unwrap();
}

#[test]
fn an_index_lock_of_a_killed_landing_is_taken_away_and_nobody_elses() {
    let repo = Repo::new();
    let (old, new) = work(&repo);
    killed(&repo, "other");
    assert_eq!(land(&repo.git(), MAIN, &old, &new).unwrap(), Landing::Landed);
    assert_eq!(fs::list(&repo.file(".git/vermas/tmp")).unwrap(), [""; 0]);
    killed(&repo, &new);
    assert_eq!(land(&repo.git(), MAIN, &old, &new).unwrap(), Landing::Landed, "killed after the move");
    assert!(!fs::exists(&repo.file(".git/index.lock")));

    write(&repo.file(".git/index.lock"), "somebody else's");
    let newer = repo.branch_with("newer", "main", &[("z", Some("z"))]);
    waits(land(&repo.git(), MAIN, &new, &newer).unwrap());
    assert_eq!(read(&repo.file(".git/index.lock")), "somebody else's");
}

#[test]
fn pieces_of_files_are_taken_for_ours_only_where_the_same_landing_was_killed() {
    for (purpose, content, lands) in [("same", "a", true), ("same", "mine", false), ("other", "a", false)] {
        let repo = Repo::new();
        let (old, new) = work(&repo);
        write(&repo.file("a"), content);
        write(&repo.file("n/new"), "ne");
        killed(&repo, if purpose == "same" { &new } else { "other" });
        let landing = land(&repo.git(), MAIN, &old, &new).unwrap();
        assert_eq!(landing == Landing::Landed, lands, "{purpose} {content}: {landing:?}");
        assert_eq!(read(&repo.file("a")), if lands { "a2\n" } else { content });
        assert_eq!(read(&repo.file("n/new")), if lands { "new\n" } else { "ne" });
    }
}

#[test]
fn links_and_modes_of_a_landing_cut_short_are_recognised() {
    let repo = Repo::new();
    repo.run(&["checkout", "-q", "-b", "work"]);
    fs::symlink("a".as_ref(), &repo.file("link")).unwrap();
    fs::set_mode(&repo.file("a"), 0o755).unwrap();
    let new = commit(&repo.path(), "x", "x", "link and mode");
    repo.run(&["checkout", "-q", "main"]);
    let old = repo.tip("main");
    fs::symlink("b".as_ref(), &repo.file("link")).unwrap();
    assert_eq!(waits(land(&repo.git(), MAIN, &old, &new).unwrap()).1, [PathBuf::from("link")]);
    fs::remove_file(&repo.file("link")).unwrap();
    fs::symlink("a".as_ref(), &repo.file("link")).unwrap();
    fs::set_mode(&repo.file("a"), 0o755).unwrap();
    assert_eq!(land(&repo.git(), MAIN, &old, &new).unwrap(), Landing::Landed);
    assert_eq!(status(&repo), "");
}

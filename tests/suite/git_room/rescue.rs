use git_vermas::git::rescue::{Rescue, snapshot};
use git_vermas::git::rescue_read::{covers, describe, list};
use git_vermas::sys::fs;
use git_vermas::sys::process::Cmd;

use super::support::{Repo, commit, git, output, read, write};

fn take(repo: &Repo) -> Option<Rescue> {
    snapshot(&repo.git(), &repo.path(), "shop/workers/slot0", 1_700_000_000_123, "main").unwrap()
}

#[test]
fn a_clean_merged_worktree_needs_no_rescue() {
    let repo = Repo::new();
    write(&repo.file("x.ignored"), "x");
    assert_eq!(take(&repo), None);
    assert_eq!(list(&repo.git()).unwrap(), []);
}

#[test]
fn unmerged_commits_are_rescued_by_a_ref_to_head() {
    let repo = Repo::new();
    repo.run(&["checkout", "-q", "-b", "work"]);
    let tip = commit(&repo.path(), "w", "w", "work");
    let saved = take(&repo).unwrap();
    assert_eq!(saved.name, "refs/vermas/rescue/shop/workers/slot0/20231114T221320123Z");
    assert_eq!(saved.oid, tip);
    assert!(!saved.is_snapshot());
    assert_eq!(take(&repo), Some(saved), "the same again is the same ref");
}

#[test]
fn a_snapshot_changes_nothing_and_git_stash_brings_all_of_it_back() {
    let repo = Repo::new();
    write(&repo.file("a"), "staged\n");
    repo.run(&["add", "a"]);
    write(&repo.file("a"), "staged, then changed\n");
    fs::remove_file(&repo.file("b")).unwrap();
    write(&repo.file("un tracked\n\"x\""), "new\n");
    fs::symlink("a".as_ref(), &repo.file("link")).unwrap();
    write(&repo.file("x.ignored"), "left alone");
    let before = repo.run(&["status", "--porcelain"]);
    let index = fs::read(&repo.file(".git/index")).unwrap();
    let saved = take(&repo).unwrap();
    assert!(fs::read(&repo.file(".git/index")).unwrap() == index, "the index changed");
    assert_eq!(repo.run(&["status", "--porcelain"]), before);
    assert!(covers(&repo.git(), &saved, &repo.path()).unwrap());

    let held = describe(&repo.git(), &saved).unwrap();
    assert_eq!(held.head, repo.tip("main"));
    assert_eq!(held.changed, [('M', "a".into()), ('D', "b".into())]);
    assert_eq!(held.untracked, [std::path::PathBuf::from("link"), "un tracked\n\"x\"".into()]);

    repo.run(&["reset", "-q", "--hard"]);
    repo.run(&["clean", "-fdq"]);
    assert!(!covers(&repo.git(), &saved, &repo.path()).unwrap());
    let words: Vec<&str> = held.restore.split(' ').skip(1).collect();
    repo.run(&words);
    assert_eq!(repo.run(&["status", "--porcelain"]), before);
    assert_eq!(read(&repo.file("a")), "staged, then changed\n");
    assert_eq!(repo.run(&["show", ":a"]), "staged");
    assert_eq!(repo.run(&["fsck", "--strict"]), "");
}

#[test]
fn a_same_sized_change_in_the_tick_of_the_index_is_not_missed() {
    let repo = Repo::new();
    // As fast as a script can: stage, then write as many bytes again.
    let script = "printf 'xx\\n' >a && git add a && printf 'yy\\n' >a";
    for round in 0..5 {
        super::support::with_env(Cmd::new("sh")).cwd(repo.path()).args(["-c", script]).run().unwrap();
        let saved = snapshot(&repo.git(), &repo.path(), "slot0", round, "main").unwrap().unwrap();
        assert_eq!(repo.run(&["show", &format!("{}:a", saved.name)]), "yy");
        repo.run(&["reset", "-q", "--hard"]);
    }
}

#[test]
fn a_merge_in_progress_is_rescued_with_both_its_sides() {
    let repo = Repo::new();
    let theirs = repo.branch_with("other", "main~1", &[("a", Some("theirs\n"))]);
    commit(&repo.path(), "a", "ours\n", "ours");
    assert!(!output(&repo.path(), &["merge", "-q", "other"]).success());
    let saved = take(&repo).unwrap();
    assert_eq!(repo.tip(&format!("{}^4", saved.name)), theirs);
    assert_eq!(repo.run(&["show", &format!("{}^2:a", saved.name)]), "ours");
    assert!(repo.run(&["show", &format!("{}:a", saved.name)]).contains("<<<<<<<"));
    assert!(covers(&repo.git(), &saved, &repo.path()).unwrap());
}

#[test]
fn work_before_the_first_commit_and_without_an_identity_is_rescued() {
    let repo = Repo::new();
    let fresh = repo.around().join("fresh");
    fs::create_dir_all(&fresh).unwrap();
    git(&fresh, &["init", "-q", "-b", "main"]);
    write(&fresh.join("f"), "f\n");
    git(&fresh, &["add", "f"]);
    write(&fresh.join("g"), "g\n");
    let g = git_vermas::git::program::Git::new(fresh.join(".git"))
        .with_env("GIT_CONFIG_GLOBAL", "/dev/null")
        .with_env("GIT_CONFIG_NOSYSTEM", "1");
    let saved = snapshot(&g, &fresh, "slot0", 0, "main").unwrap().unwrap();
    assert_eq!(git(&fresh, &["show", &format!("{}:f", saved.name)]), "f");
    assert_eq!(git(&fresh, &["show", &format!("{}^3:g", saved.name)]), "g");
    assert_eq!(git(&fresh, &["log", "-1", "--format=%an <%ae>", &saved.name]), "vermas <vermas@localhost>");
}

#[test]
fn two_snapshots_of_one_instant_have_two_names() {
    let repo = Repo::new();
    write(&repo.file("n"), "1");
    let one = take(&repo).unwrap();
    write(&repo.file("n"), "2");
    let two = take(&repo).unwrap();
    assert_eq!(two.name, format!("{}-2", one.name));
    assert_eq!(list(&repo.git()).unwrap(), [one, two]);
}

#[test]
fn an_agent_name_that_is_a_path_is_refused() {
    let repo = Repo::new();
    for agent in ["../../heads", "a..b", "-x", "A", ""] {
        assert!(snapshot(&repo.git(), &repo.path(), agent, 0, "main").is_err(), "{agent}");
    }
}

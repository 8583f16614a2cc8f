use git_vermas::git::history::{
    commits_between, commits_with_trailer, default_branch, diff, is_ancestor, merge_base, rev_parse, same_patch_on,
};
use git_vermas::git::merge::{MergeOutcome, merge_result};

use super::support::{Repo, commit, write};

#[test]
fn what_is_merged_is_told_by_ancestry_or_by_its_patch() {
    let repo = Repo::new();
    let g = repo.git();
    let work = repo.branch_with("work", "main~1", &[("w", Some("w\n"))]);
    assert!(!same_patch_on(&g, "main", "work").unwrap());
    assert!(same_patch_on(&g, "main", "main~1").unwrap());
    repo.run(&["cherry-pick", "work"]);
    assert!(!is_ancestor(&g, &work, "main").unwrap());
    assert!(same_patch_on(&g, "main", "work").unwrap());
    assert_eq!(merge_base(&g, "main", "work").unwrap(), Some(repo.tip("main~2")));
}

#[test]
fn a_branch_of_two_commits_is_found_in_its_squash() {
    let repo = Repo::new();
    let one = repo.branch_with("one", "main", &[("w", Some("1\n"))]);
    let two = repo.branch_with("two", &one, &[("w", Some("1\n2\n")), ("v", Some("v\n"))]);
    let base = commit(&repo.path(), "z", "z\n", "meanwhile");
    assert!(!same_patch_on(&repo.git(), &base, &two).unwrap());
    let MergeOutcome::Commit(squash) = merge_result(&repo.git(), &base, &two, "squash", true).unwrap() else {
        panic!("no commit")
    };
    assert!(same_patch_on(&repo.git(), &squash, &two).unwrap());
}

#[test]
fn commits_carry_their_trailers_and_hostile_text_stays_text() {
    let repo = Repo::new();
    repo.run(&["config", "log.showSignature", "true"]);
    let message = "subject \u{1e}\u{1f} %x00\n\nBody: no trailer, a paragraph\nthat goes on\n\nWork-Order: wo-1\nwork-order: wo-2\n";
    commit(&repo.path(), "x", "1", message);
    commit(&repo.path(), "x", "2", "talks of wo-1 in its subject");
    let all = commits_between(&repo.git(), Some("main~2"), "main").unwrap();
    assert_eq!(all.len(), 2);
    assert_eq!(all[1].subject, "subject \u{1e}\u{1f} %x00");
    assert_eq!(all[1].author, "Ada <ada@example.org>");
    assert_eq!(all[1].trailer("Work-Order").collect::<Vec<_>>(), ["wo-1", "wo-2"]);
    assert!(all[0].time > 1_000_000_000 && all[0].trailers.is_empty());
    let tagged = commits_with_trailer(&repo.git(), None, "main", "Work-Order", "wo-1").unwrap();
    assert_eq!(tagged, [all[1].clone()]);
    assert_eq!(commits_with_trailer(&repo.git(), None, "main", "Work-Order", "wo-").unwrap(), []);
    assert_eq!(commits_between(&repo.git(), Some("main"), "main").unwrap(), []);
}

#[test]
fn a_diff_holds_commits_index_and_files() {
    let repo = Repo::new();
    repo.run(&["config", "diff.external", "false"]);
    repo.run(&["checkout", "-q", "-b", "work", "main~1"]);
    commit(&repo.path(), "a", "committed\n", "c");
    write(&repo.file("b"), "not committed\n");
    let text = String::from_utf8(diff(&repo.git(), &repo.path(), "main", false).unwrap()).unwrap();
    assert!(text.contains("+committed") && text.contains("+not committed"), "{text}");
    assert!(!text.contains(".gitignore"), "what only the base has is not ours: {text}");
    let stat = String::from_utf8(diff(&repo.git(), &repo.path(), "main", true).unwrap()).unwrap();
    assert!(stat.contains("2 files changed"), "{stat}");
}

#[test]
fn names_that_mean_nothing_are_none_and_options_are_names() {
    let repo = Repo::new();
    assert_eq!(rev_parse(&repo.git(), "no-such").unwrap(), None);
    assert_eq!(rev_parse(&repo.git(), "--all").unwrap(), None);
    assert_eq!(rev_parse(&repo.git(), "main").unwrap(), Some(repo.tip("main")));
}

#[test]
fn the_remotes_default_branch_is_what_its_head_says() {
    let repo = Repo::new().with_remote();
    assert_eq!(default_branch(&repo.git(), "origin").unwrap(), None);
    repo.run(&["fetch", "-q", "origin"]);
    repo.run(&["remote", "set-head", "origin", "main"]);
    assert_eq!(default_branch(&repo.git(), "origin").unwrap().as_deref(), Some("refs/remotes/origin/main"));
    assert!(default_branch(&repo.git(), "../x").is_err());
}

use git_vermas::git::merge::{MergeOutcome, commit_all, merge_result};
use git_vermas::git::slot::add;
use git_vermas::sys::fs;

use super::support::{Repo, commit, output, write};

fn merged(outcome: MergeOutcome) -> String {
    match outcome {
        MergeOutcome::Commit(oid) => oid,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_branch_that_could_be_fast_forwarded_still_gets_its_merge_commit() {
    let repo = Repo::new();
    let (base, work) = (repo.tip("main"), repo.branch_with("work", "main", &[("w", Some("w\n"))]));
    let oid = merged(merge_result(&repo.git(), &base, &work, "qa: merge wo-1", false).unwrap());
    assert_eq!(repo.run(&["log", "-1", "--format=%P|%s|%an", &oid]), format!("{base} {work}|qa: merge wo-1|Ada"));
    assert_eq!(repo.run(&["show", &format!("{oid}:w")]), "w");
    assert_eq!(repo.tip("main"), base);
    assert_eq!(merge_result(&repo.git(), &oid, &work, "again", false).unwrap(), MergeOutcome::UpToDate);
}

#[test]
fn a_squash_has_one_parent_and_squashing_again_is_up_to_date() {
    let repo = Repo::new();
    let (base, work) = (repo.tip("main"), repo.branch_with("work", "main", &[("w", Some("w\n"))]));
    let oid = merged(merge_result(&repo.git(), &base, &work, "squashed", true).unwrap());
    assert_eq!(repo.run(&["log", "-1", "--format=%P", &oid]), base);
    assert_eq!(merge_result(&repo.git(), &oid, &work, "again", true).unwrap(), MergeOutcome::UpToDate);
}

#[test]
fn conflicts_name_their_files_whatever_those_are_called() {
    let repo = Repo::new();
    let odd = "odd \"name\"\nhere";
    let ours = repo.branch_with("ours", "main", &[(odd, Some("1\n")), ("a", Some("1\n"))]);
    let theirs = repo.branch_with("theirs", "main", &[(odd, Some("2\n")), ("a", Some("2\n")), ("z", Some("z"))]);
    let outcome = merge_result(&repo.git(), &ours, &theirs, "m", false).unwrap();
    assert_eq!(outcome, MergeOutcome::Conflict { files: vec!["a".into(), odd.into()] });
}

#[test]
fn merging_works_without_a_user_name() {
    let repo = Repo::new();
    let (base, work) = (repo.tip("main"), repo.branch_with("work", "main", &[("w", Some("w\n"))]));
    repo.run(&["config", "--unset", "user.name"]);
    repo.run(&["config", "--unset", "user.email"]);
    repo.run(&["config", "user.useConfigOnly", "true"]);
    let oid = merged(merge_result(&repo.git(), &base, &work, "m", false).unwrap());
    assert_eq!(repo.run(&["log", "-1", "--format=%an <%ae> %cn", &oid]), "vermas <vermas@localhost> vermas");
}

#[test]
fn a_name_in_place_of_an_object_id_is_refused() {
    let repo = Repo::new();
    assert!(merge_result(&repo.git(), "main", "--output=x", "m", false).is_err());
}

#[test]
fn commit_all_takes_untracked_files_and_runs_the_users_hooks() {
    let repo = Repo::new();
    let slot = repo.around().join("slot");
    add(&repo.git(), &slot, "s", "main", "s").unwrap();
    assert_eq!(commit_all(&repo.git(), &slot, "nothing").unwrap(), None);
    let hook = repo.file(".git/hooks/pre-commit");
    write(&hook, "#!/bin/sh\nif [ -f stop ]; then echo stopped >&2; exit 3; fi\n");
    fs::set_mode(&hook, 0o755).unwrap();
    write(&slot.join("stop"), "x");
    let error = commit_all(&repo.git(), &slot, "refused").unwrap_err().to_string();
    assert!(error.contains("stopped"), "{error}");
    fs::rename(&slot.join("stop"), &slot.join("new")).unwrap();
    write(&slot.join("b"), "changed\n");
    let oid = commit_all(&repo.git(), &slot, "work done\n\n# kept\n").unwrap().unwrap();
    assert_eq!(repo.run(&["log", "-1", "--format=%B", "s"]), "work done\n\n# kept");
    assert_eq!(repo.tip("s"), oid);
    assert_eq!(repo.run(&["diff", "--name-only", "main", "s"]), "b\nnew");
}

#[test]
fn commit_all_does_not_take_conflicts_for_settled() {
    let repo = Repo::new();
    repo.branch_with("other", "main~1", &[("a", Some("theirs\n"))]);
    commit(&repo.path(), "a", "ours\n", "ours");
    assert!(!output(&repo.path(), &["merge", "-q", "other"]).success());
    assert!(commit_all(&repo.git(), &repo.path(), "m").is_err());
}

use git_vermas::git::push::{Asking, Fetched, Pushed, RemoteRef, fetch, ls_remote, push, tracking_ref};
use git_vermas::sys::fs;

use super::support::{Repo, commit, git, write};

const STATE: &str = "refs/heads/vermas/state";
const NO: Asking = Asking::Never;

fn send(repo: &Repo, oid: &str, expected: Option<&str>) -> Pushed {
    push(&repo.git(), "origin", oid, STATE, expected, NO).unwrap()
}

#[test]
fn a_fetch_takes_one_ref_to_its_own_place_and_nothing_else() {
    let repo = Repo::new().with_remote();
    let tip = repo.tip("main");
    git(&repo.remote(), &["update-ref", STATE, &tip]);
    git(&repo.remote(), &["tag", "v1", &tip]);
    repo.run(&["config", "fetch.prune", "true"]);
    assert_eq!(fetch(&repo.git(), "origin", STATE, NO).unwrap(), Fetched::At(tip.clone()));
    assert_eq!(repo.tip(&tracking_ref("origin", STATE)), tip);
    assert_eq!(repo.run(&["for-each-ref", "--format=%(refname)", "refs/remotes", "refs/tags"]), "");
    assert!(!fs::exists(&repo.file(".git/FETCH_HEAD")));
    assert_eq!(fetch(&repo.git(), "origin", "refs/heads/none", NO).unwrap(), Fetched::NoSuchRef);
}

#[test]
fn a_remote_that_is_not_there_is_unreachable() {
    let repo = Repo::new().with_remote();
    fs::rename(&repo.remote(), &repo.around().join("gone")).unwrap();
    let tip = repo.tip("main");
    assert!(matches!(fetch(&repo.git(), "origin", STATE, NO).unwrap(), Fetched::Unreachable(_)));
    assert!(matches!(send(&repo, &tip, None), Pushed::Unreachable(_)));
    assert!(matches!(ls_remote(&repo.git(), "origin", STATE, NO).unwrap(), RemoteRef::Unreachable(_)));
}

#[test]
fn only_a_configured_name_reaches_a_remote() {
    let repo = Repo::new().with_remote();
    let url = format!("file://{}", repo.remote().display());
    for name in [url.as_str(), repo.remote().to_str().unwrap(), "--upload-pack=touch x", "nobody", "../remote.git", "."]
    {
        assert!(ls_remote(&repo.git(), name, STATE, NO).is_err(), "{name}");
    }
    repo.run(&["remote", "set-url", "origin", "ext::sh -c 'touch run.ignored' %S"]);
    assert!(matches!(ls_remote(&repo.git(), "origin", STATE, NO).unwrap(), RemoteRef::Unreachable(_)));
    assert!(!fs::exists(&repo.file("run.ignored")));
    repo.run(&["remote", "set-url", "origin", &url]);
    assert_eq!(ls_remote(&repo.git(), "origin", STATE, NO).unwrap(), RemoteRef::Missing);
    assert_eq!(ls_remote(&repo.git(), "origin", "refs/heads/main", NO).unwrap(), RemoteRef::At(repo.tip("main")));
}

#[test]
fn a_push_replaces_only_what_was_expected() {
    let repo = Repo::new().with_remote();
    let (one, two) = (repo.tip("main~1"), repo.tip("main"));
    let three = commit(&repo.path(), "x", "x", "x");
    assert_eq!(send(&repo, &one, None), Pushed::Done);
    assert_eq!(send(&repo, &two, None), Pushed::Stale { now: Some(one.clone()) });
    assert_eq!(send(&repo, &two, Some(&one)), Pushed::Done);
    assert_eq!(send(&repo, &three, Some(&one)), Pushed::Stale { now: Some(two.clone()) });
    assert_eq!(send(&repo, &two, Some(&one)), Pushed::Done, "it is there already");
    git(&repo.remote(), &["update-ref", "-d", STATE]);
    assert_eq!(send(&repo, &three, Some(&two)), Pushed::Stale { now: None });
    assert_eq!(git(&repo.remote(), &["for-each-ref", STATE]), "");
}

#[test]
fn a_hook_of_the_remote_that_says_no_is_a_refusal_with_its_words() {
    let repo = Repo::new().with_remote();
    let hook = repo.remote().join("hooks/update");
    write(&hook, "#!/bin/sh\necho 'not this one' >&2\nexit 1\n");
    fs::set_mode(&hook, 0o755).unwrap();
    let Pushed::Refused(text) = send(&repo, &repo.tip("main"), None) else { panic!("not refused") };
    assert!(text.contains("remote rejected") && text.contains("remote: not this one"), "{text}");
}

#[test]
fn a_push_that_arrived_although_it_was_reported_as_failed_is_done() {
    let repo = Repo::new().with_remote();
    let tip = repo.tip("main");
    // The remote takes the ref and then the connection fails.
    let hook = repo.remote().join("hooks/update");
    write(&hook, &format!("#!/bin/sh\nunset GIT_QUARANTINE_PATH; git update-ref {STATE} {tip}\nexit 1\n"));
    fs::set_mode(&hook, 0o755).unwrap();
    assert_eq!(send(&repo, &tip, None), Pushed::Done);
}

#[test]
fn a_push_that_was_taken_is_done_although_it_cannot_be_noted() {
    let repo = Repo::new().with_remote();
    let tip = repo.tip("main");
    write(&repo.file(&format!(".git/{}.lock", tracking_ref("origin", STATE))), "");
    assert_eq!(send(&repo, &tip, None), Pushed::Done);
    assert_eq!(ls_remote(&repo.git(), "origin", STATE, NO).unwrap(), RemoteRef::At(tip));
}

#[test]
fn the_users_pre_push_hook_does_not_run_for_the_state() {
    let repo = Repo::new().with_remote();
    let hook = repo.file(".git/hooks/pre-push");
    write(&hook, "#!/bin/sh\nexit 1\n");
    fs::set_mode(&hook, 0o755).unwrap();
    assert_eq!(send(&repo, &repo.tip("main"), None), Pushed::Done);
}

#[test]
fn a_partial_clone_fetches_the_state_whole() {
    let repo = Repo::new().with_remote();
    git(&repo.remote(), &["config", "uploadpack.allowFilter", "true"]);
    git(&repo.remote(), &["config", "uploadpack.allowAnySHA1InWant", "true"]);
    let clone = repo.around().join("clone");
    let url = format!("file://{}", repo.remote().display());
    git(&repo.around(), &["clone", "-q", "--filter=blob:none", "--no-checkout", &url, "clone"]);
    let state = repo.branch_with("state", "main", &[("events/x/1.jsonl", Some("{}\n"))]);
    git(&repo.path(), &["push", "-q", "origin", &format!("{state}:{STATE}")]);
    // Their own fetch brings the commit alone.
    git(&clone, &["fetch", "-q"]);
    let g = git_vermas::git::program::Git::new(clone.join(".git")).with_env("GIT_CONFIG_GLOBAL", "/dev/null");
    assert_eq!(fetch(&g, "origin", STATE, NO).unwrap(), Fetched::At(state.clone()));
    fs::rename(&repo.remote(), &repo.around().join("gone")).unwrap();
    assert_eq!(git(&clone, &["cat-file", "-p", &format!("{state}:events/x/1.jsonl")]), "{}");
}

//! The hooks that git calls: what they let pass and what they refuse, with real commits and pushes.

use crate::place::{Place, git, hook, open, try_git};

const ORDER: &str = r#"{"id":"wo-hand1","title":"By hand","description":"","status":"open","priority":2,"issue_type":"task","created_at":"2026-01-06T12:00:00Z","updated_at":"2026-01-06T12:00:00Z","created_by":"ceo"}"#;

fn guarded() -> Place {
    let p = Place::new();
    p.order("Add a flag");
    hook(&p.path.join(".git"), "pre-commit");
    p
}

/// Writes a file in the checkout of the state branch and tries to commit it.
fn commit(dir: &std::path::Path, name: &str, text: &str) -> (bool, String) {
    std::fs::create_dir_all(dir.join(name).parent().unwrap()).unwrap();
    std::fs::write(dir.join(name), text).unwrap();
    git(dir, &["add", "-A"]);
    try_git(dir, &["commit", "-q", "-m", "by hand"])
}

#[test]
fn a_sound_commit_on_the_state_branch_passes() {
    let p = guarded();
    let there = p.checkout();
    let segment = p.segment();
    let mut events = std::fs::read_to_string(there.join(&segment)).unwrap();
    events.push_str(
        r#"{"event_id":"evt-hand","event_type":"a.b","timestamp":"2026-01-06T12:00:00Z","actor":"me","data":{}}"#,
    );
    events.push('\n');
    assert_eq!(commit(&there, &segment, &events), (true, String::new()));
    // It is taken over like anybody's.
    assert_eq!(open(&p.path).view().unwrap().event("evt-hand").unwrap().len(), 1);
}

#[test]
fn what_no_event_says_is_refused_instead_of_having_no_effect() {
    let p = guarded();
    let id = p.order("Another").to_string();
    open(&p.path).checkpoint().unwrap();
    let there = p.checkout();
    let old = std::fs::read_to_string(there.join("work_orders.jsonl")).unwrap();
    let taken_out = old.lines().filter(|l| !l.contains(id.as_str())).map(|l| format!("{l}\n")).collect::<String>();
    let unsaid = "so that it would have no effect";
    let cases = [
        (
            "work_orders.jsonl",
            format!("{old}{ORDER}\n"),
            format!("work_orders.jsonl:3: no event says this of wo-hand1, {unsaid}"),
        ),
        (
            "work_orders.jsonl",
            old.replace("Add a flag", "Add a flog"),
            "work_orders.jsonl:1: no event says this of wo-".to_owned(),
        ),
        ("work_orders.jsonl", taken_out, format!("work_orders.jsonl: {id} is missing, though no event takes it away")),
        (".assignment-ceo", format!("work_order:{id}\n"), format!(".assignment-ceo: no event says this, {unsaid}")),
    ];
    for (name, text, expected) in cases {
        let (passed, said) = commit(&there, name, &text);
        assert!(!passed && said.contains(&expected) && said.contains("or the files in .work"), "{name}: {said}");
        git(&there, &["reset", "-q", "--hard"]);
        git(&there, &["clean", "-fdq"]);
    }
    // With the event that says it, it is sound.
    let segment = p.segment();
    let mut events = std::fs::read_to_string(there.join(&segment)).unwrap();
    let data = r#""data":{"agent":"ceo","ref_type":"work_order","ref_id":"ID"}}"#.replace("ID", &id);
    events.push_str(
        r#"{"event_id":"evt-hand","event_type":"assignment.set","timestamp":"2026-01-06T12:00:00Z","actor":"me","#,
    );
    events.push_str(&format!("{data}\n"));
    std::fs::write(there.join(&segment), events).unwrap();
    assert_eq!(commit(&there, ".assignment-ceo", &format!("work_order:{id}\n")), (true, String::new()));
}

#[test]
fn what_is_not_valid_is_refused_with_file_line_and_reason() {
    let p = guarded();
    let there = p.checkout();
    let segment = p.segment();
    let events = std::fs::read_to_string(there.join(&segment)).unwrap();
    let lines = events.lines().count();
    let cases = [
        (segment.clone(), format!("{events}{{\"no\":1}}\n"), format!("{segment}:{}: 'event_id' is missing", lines + 1)),
        (segment.clone(), events.replace("Add a flag", "Add a flog"), format!("{segment}:1: the event evt-")),
        (
            "work_orders.jsonl".to_owned(),
            "{\"id\":\"wo-1\"}\n".to_owned(),
            "work_orders.jsonl:1: 'title' is missing".to_owned(),
        ),
        (
            "work_orders.jsonl".to_owned(),
            ORDER.replace("\"priority\":2", "\"priority\":7"),
            "work_orders.jsonl:1: 'priority'".to_owned(),
        ),
        ("messages.jsonl".to_owned(), "<<<<<<< ours\n".to_owned(), "messages.jsonl:1: a conflict marker".to_owned()),
        (".assignment-ceo".to_owned(), "wo-1\n".to_owned(), ".assignment-ceo:1: 'wo-1' is no assignment".to_owned()),
        (
            "templates/t.toml".to_owned(),
            "template = \"t\"\nversion = 1\n".to_owned(),
            "templates/t.toml: a template needs".to_owned(),
        ),
        ("config.toml".to_owned(), "a = \n".to_owned(), "config.toml:1: ".to_owned()),
        ("events/x.jsonl".to_owned(), "{}\n".to_owned(), "events/x.jsonl: below events/ stand only".to_owned()),
    ];
    for (name, text, expected) in cases {
        let (passed, said) = commit(&there, &name, &text);
        assert!(!passed && said.contains(&expected), "{name}: {said}\nexpected {expected}");
        assert!(said.starts_with("error: the commit on vermas/state is refused\n"), "{said}");
        git(&there, &["reset", "-q", "--hard"]);
        git(&there, &["clean", "-fdq"]);
    }
}

#[test]
fn a_dropped_event_is_refused_and_a_moved_one_is_not() {
    let p = guarded();
    let there = p.checkout();
    let segment = p.segment();
    let events = std::fs::read_to_string(there.join(&segment)).unwrap();
    git(&there, &["rm", "-q", &segment]);
    let (passed, said) = try_git(&there, &["commit", "-q", "-m", "drop"]);
    assert!(
        !passed && said.contains(&format!("{segment}:1: the event evt-")) && said.contains("was dropped"),
        "{said}"
    );
    assert_eq!(commit(&there, "events/0000000000/000001.jsonl", &events), (true, String::new()));
}

#[test]
fn live_state_does_not_get_onto_another_branch() {
    let p = guarded();
    std::fs::write(p.path.join("a.txt"), "a").unwrap();
    p.git(&["add", "a.txt"]);
    p.git(&["commit", "-q", "-m", "fine"]);
    p.git(&["add", "-f", ".work/config.toml"]);
    let (passed, said) = try_git(&p.path, &["commit", "-q", "-m", "not fine"]);
    assert!(!passed);
    insta::assert_snapshot!(said, @r"
    error: the commit would carry .work/
      .work/config.toml: live state, which does not belong to the project's own content
    hint: take .work out of the commit with git rm --cached
    hint: it stays on the disk, and the state branch has it already
    ");
    p.git(&["rm", "-r", "-q", "--cached", ".work"]);
    // An index of its own (git commit FILE) is the one that counts.
    std::fs::write(p.path.join("a.txt"), "b").unwrap();
    p.git(&["add", "-f", ".work/config.toml"]);
    let (passed, said) = try_git(&p.path, &["commit", "-q", "-m", "only a", "a.txt"]);
    assert!(passed, "{said}");
    // A place that was moved by the settings is the one that counts, from a folder below as well.
    p.git(&["reset", "-q"]);
    p.git(&["config", "vermas.workDir", "deep/state"]);
    std::fs::create_dir_all(p.path.join("deep/state")).unwrap();
    std::fs::write(p.path.join("deep/state/x"), "x").unwrap();
    p.git(&["add", "-f", "deep"]);
    let (passed, said) = try_git(&p.path.join("deep"), &["commit", "-q", "-m", "not fine"]);
    assert!(!passed && said.contains("hint: take deep/state out of the commit"), "{said}");
}

#[test]
fn a_first_commit_is_looked_at_too() {
    let dir = crate::place::scratch();
    git(dir.path(), &["init", "-q", "-b", "main"]);
    hook(&dir.path().join(".git"), "pre-commit");
    assert_eq!(commit(dir.path(), "a.txt", "a"), (true, String::new()));
}

/// A bare remote that has the state branch.
fn with_remote() -> (Place, std::path::PathBuf) {
    let p = Place::new();
    p.order("Add a flag");
    let remote = p.dir.path().join("remote.git");
    git(p.dir.path(), &["init", "-q", "--bare", "remote.git"]);
    p.git(&["remote", "add", "origin", remote.to_str().unwrap()]);
    p.git(&["push", "-q", "origin", "main", "vermas/state"]);
    (p, remote)
}

/// A commit on the tip of the state branch in which a segment has another content; `None` takes it away.
fn state_with(p: &Place, text: Option<&str>) -> String {
    let there = p.checkout();
    let segment = p.segment();
    match text {
        Some(t) => std::fs::write(there.join(&segment), t).unwrap(),
        None => std::fs::remove_file(there.join(&segment)).unwrap(),
    }
    git(&there, &["checkout", "-q", "--detach"]);
    git(&there, &["commit", "-q", "-a", "--no-verify", "-m", "not sound"]);
    git(&there, &["rev-parse", "HEAD"])
}

#[test]
fn a_push_that_would_lose_or_break_events_is_refused_here() {
    let (p, _remote) = with_remote();
    hook(&p.path.join(".git"), "pre-push");
    p.order("Another");
    p.git(&["push", "-q", "origin", "vermas/state"]);
    let bad = state_with(&p, Some("no event\n"));
    let (passed, said) = try_git(&p.path, &["push", "-q", "origin", &format!("{bad}:refs/heads/vermas/state")]);
    assert!(!passed && said.contains("000001.jsonl:1: no JSON"), "{said}");
    let old = p.git(&["rev-parse", "vermas/state~1"]);
    let (passed, said) = try_git(&p.path, &["push", "-q", "-f", "origin", &format!("{old}:refs/heads/vermas/state")]);
    assert!(!passed && said.contains("was dropped"), "{said}");
    let (passed, said) = try_git(&p.path, &["push", "-q", "origin", ":vermas/state"]);
    assert!(!passed && said.contains("would delete"), "{said}");
    std::fs::write(p.path.join("a"), "a").unwrap();
    p.git(&["push", "-q", "origin", "main:other"]);
}

#[test]
fn a_shared_remote_refuses_what_is_invalid_or_loses_events() {
    let (p, remote) = with_remote();
    hook(&remote, "update");
    p.order("Another");
    p.git(&["push", "-q", "origin", "vermas/state"]);
    let old = p.git(&["rev-parse", "vermas/state~1"]);
    let bad = state_with(&p, None);
    for (what, reason) in [(format!("+{old}"), "was dropped"), (bad, "was dropped"), (String::new(), "is not deleted")]
    {
        let (passed, said) = try_git(&p.path, &["push", "-q", "origin", &format!("{what}:refs/heads/vermas/state")]);
        assert!(!passed && said.contains(reason), "{what}: {said}");
    }
    assert_eq!(git(&remote, &["rev-parse", "vermas/state"]), p.git(&["rev-parse", "vermas/state"]));
    p.git(&["push", "-q", "origin", ":main"]);
    git(p.dir.path(), &["init", "-q", "--bare", "fresh.git"]);
    hook(&p.dir.path().join("fresh.git"), "update");
    p.git(&["push", "-q", "../fresh.git", "vermas/state"]);
}

#[test]
fn the_message_hook_says_nothing() {
    let p = Place::new();
    p.vermas(&["hook", "prepare-commit-msg", ".git/COMMIT_EDITMSG", "message"]).assert().code(0).stdout("").stderr("");
}

#[test]
fn what_init_installs_guards_the_state_branch() {
    let dir = crate::place::scratch();
    let path = dir.path().join("app");
    std::fs::create_dir(&path).unwrap();
    git(&path, &["init", "-q", "-b", "main"]);
    let vermas = |args: &[&str]| {
        let mut c = assert_cmd::Command::from_std(crate::place::scrubbed(crate::place::binary(), &path));
        c.args(args).assert().code(0);
    };
    vermas(&["init"]);
    vermas(&["wo", "create", "Add a flag"]);
    git(&path, &["worktree", "add", "-q", "../state", "vermas/state"]);
    let there = dir.path().join("state");
    let (passed, said) = commit(&there, "config.toml", "a =\n");
    assert!(!passed && said.contains("config.toml:1: "), "{said}");
    let (passed, said) = commit(&there, "config.toml", "a = 1\n");
    assert!(passed, "{said}");
    assert_eq!(commit(&path, "a.txt", "a"), (true, String::new()));
    git(&path, &["add", "-f", ".work/config.toml"]);
    let (passed, said) = try_git(&path, &["commit", "-q", "-m", "not fine"]);
    assert!(!passed && said.contains("would carry .work/"), "{said}");
}

//! What a shell offers: the names that there are at this moment.

use crate::desk::Desk;
use git_vermas::app::orders;

#[test]
fn moments_and_commits_of_the_state_branch_are_offered() {
    let desk = Desk::new();
    let id = desk.order("Add a flag");
    let commit = desk.git(&["rev-parse", "--short=10", "vermas/state"]);
    assert_eq!(desk.completed(&["git-vermas", "undo", ""])[0].split(' ').next(), Some(commit.as_str()));
    let moments = desk.completed(&["git-vermas", "wo", "show", &id, "--at", ""]);
    assert!(moments.iter().any(|m| m == "yesterday") && moments.iter().any(|m| m.starts_with(&commit)), "{moments:?}");
    assert_eq!(desk.completed(&["git-vermas", "wo", "list", "--at", "yes"]), ["yesterday"]);
}

#[test]
fn ids_are_offered_with_open_orders_first() {
    let desk = Desk::new();
    let (a, b) = (desk.order("First"), desk.order("Second"));
    orders::close(&mut desk.session(), std::slice::from_ref(&b), "done").unwrap();
    let mail = desk.json(&["send", "slot0", "-s", "Look"])["id"].as_str().unwrap().to_owned();
    assert_eq!(desk.completed(&["co", "assignment", "set", "slot0", ""]), [a.clone(), b.clone()]);
    assert_eq!(desk.completed(&["co", "assignment", "set", "slot0", &a[..7]]), [a.as_str()]);
    assert_eq!(
        desk.completed(&["co", "assignment", "set", "slot0", "work_order:"]),
        [format!("work_order:{a}"), format!("work_order:{b}")]
    );
    assert_eq!(desk.completed(&["co", "assignment", "set", "slot0", "msg-"]), [mail.as_str()]);
    assert_eq!(desk.completed(&["git-vermas", "wo", "show", &b[..7]]), [b.as_str()]);
    assert_eq!(desk.completed(&["co", "read", ""]), [mail.as_str()]);
    assert_eq!(desk.completed(&["co", "archive", &mail[..6]]), [mail.as_str()]);
    assert_eq!(desk.completed(&["co", "assignment", "attach", "wo-"]), Vec::<String>::new());
}

#[test]
fn agents_are_offered_by_their_short_names() {
    let desk = Desk::new();
    desk.run(&["send", "ceo", "-s", "Hi", "--as", "other/supervisor"]);
    let offered = desk.completed(&["co", "send", ""]);
    let short =
        ["slot0", "slot1", "slot2", "slot3", "slot4", "supervisor", "qa", "ceo", "operations", "other/supervisor"];
    assert_eq!(offered, short);
    assert_eq!(desk.completed(&["co", "inbox", "app/w"]).len(), 5);
    assert_eq!(desk.completed(&["co", "--as", "oth"]), ["other/supervisor"]);
    assert_eq!(desk.completed(&["co", "assignment", "set", "s"])[..2], ["slot0", "slot1"]);
}

#[test]
fn settings_are_offered_in_full_or_short() {
    let desk = Desk::without_state();
    assert_eq!(
        desk.completed(&["co", "config", "get", "vermas.qa"]),
        ["vermas.qa.test", "vermas.qa.timeout", "vermas.qa.merge", "vermas.qa.trust"]
    );
    assert_eq!(desk.completed(&["co", "config", "set", "sl"]), ["slots"]);
}

/// A line typed into bash with the script loaded.
fn in_bash(desk: &Desk, words: &str, line: &str) -> String {
    let bin = assert_cmd::cargo::cargo_bin!("git-vermas").parent().unwrap().to_owned();
    let script = format!(
        "set -u; source <(git-vermas completions bash); COMP_WORDS=({words}) COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
         COMP_LINE='{line}' COMP_WORDBREAKS=$' =:' COMP_TYPE=63; _git_vermas_main; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    );
    let mut c = std::process::Command::new("bash");
    c.args(["--norc", "-c", &script]).current_dir(&desk.path).env_clear();
    c.env("PATH", format!("{}:/usr/bin:/bin", bin.display())).env("LC_ALL", "C.UTF-8").env("HOME", "/nonexistent");
    let o = c.output().unwrap();
    format!("{}{}", String::from_utf8_lossy(&o.stdout), String::from_utf8_lossy(&o.stderr))
}

#[test]
fn bash_lists_live_ids_with_their_titles() {
    let desk = Desk::new();
    let (a, b) = (desk.order("First flag"), desk.order("Second flag"));
    let one = desk.json(&["send", "ceo", "-s", "A question"])["id"].as_str().unwrap().to_owned();
    desk.json(&["send", "ceo", "-s", "Another"]);
    let listed = in_bash(&desk, "co read ''", "co read ");
    assert!(listed.contains(&format!("{one}  (A question)\n")) && listed.lines().count() == 2, "{listed}");
    let listed = in_bash(&desk, "co assignment set slot0 ''", "co assignment set slot0 ");
    assert!(listed.contains(&format!("{a}  (First flag)\n")), "{listed}");
    // readline breaks words at ':' and puts back only what stands behind it.
    let one = in_bash(
        &desk,
        &format!("co assignment set slot0 work_order : {}", &b[..8]),
        &format!("co assignment set slot0 work_order:{}", &b[..8]),
    );
    assert_eq!(one, format!("{b}\n"));
}

#[test]
fn completing_writes_nothing_and_never_fails() {
    let desk = Desk::new();
    let id = desk.order("First");
    // A foreign line that the next command will take in: not now.
    let line = "{\"event_id\":\"evt-py1\",\"event_type\":\"work_order.commented\",\"timestamp\":\"2026-01-06T12:00:00.000Z\",\
                \"actor\":\"ceo\",\"data\":{\"work_order_id\":\"wo-x\",\"body\":\"b\"}}\n";
    let log = desk.work().join("events.jsonl");
    let text = std::fs::read_to_string(&log).unwrap();
    std::fs::write(&log, format!("{text}{line}")).unwrap();
    let before = desk.fingerprint();
    assert_eq!(desk.completed(&["co", "assignment", "set", "slot0", "wo-"]), [id.as_str()]);
    assert_eq!(desk.fingerprint(), before);
    std::fs::remove_file(desk.path.join(".git/vermas/cache.sqlite")).unwrap();
    let before = desk.fingerprint();
    assert_eq!(desk.completed(&["co", "assignment", "set", "slot0", "wo-"]), [id], "from the log, where no cache is");
    assert_eq!(desk.fingerprint(), before);
    let outside = Desk::without_state();
    assert_eq!(outside.completed(&["co", "read", "msg"]), Vec::<String>::new());
    let nowhere = desk.completed(&["co", "-C", "/", "read", "msg"]);
    assert_eq!(nowhere, Vec::<String>::new());
}

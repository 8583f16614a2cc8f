//! Settings as a person meets them.

use crate::desk::Desk;
use serde_json::json;

#[test]
fn every_setting_is_listed_with_value_origin_and_meaning() {
    let desk = Desk::without_state();
    desk.git(&["config", "vermas.slots", "3"]);
    desk.git(&["config", "vermas.agent.mine.command", "my-agent {prompt}"]);
    let all = desk.json(&["config"]);
    assert_eq!(desk.json(&["config", "list"]), all);
    let of = |key: &str| all.as_array().unwrap().iter().find(|s| s["key"] == key).cloned().unwrap();
    assert_eq!((of("vermas.slots")["value"].clone(), of("vermas.slots")["origin"].clone()), (json!("3"), json!("set")));
    assert_eq!(of("vermas.remote")["value"], json!("origin"));
    assert_eq!(of("vermas.remote")["origin"], json!("default"));
    assert_eq!(of("vermas.factory")["value"], json!("app"));
    assert_eq!(of("vermas.qa.test")["value"], json!(null));
    assert_eq!(of("vermas.agent.mine.command")["value"], json!("my-agent {prompt}"));
    assert!(all.as_array().unwrap().iter().all(|s| !s["meaning"].as_str().unwrap().is_empty()), "{all}");
    let text = desk.run(&["config"]).out;
    let slots = text.lines().find(|l| l.starts_with("vermas.slots")).unwrap();
    let words: Vec<&str> = slots.split_whitespace().take(3).collect();
    assert_eq!(words, ["vermas.slots", "3", "set"]);
}

#[test]
fn get_answers_as_git_does() {
    let desk = Desk::without_state();
    let get = |key: &str| {
        let said = desk.run(&["config", "get", key]);
        (said.code, said.out, said.err)
    };
    let ok = |text: &str| (0, format!("{text}\n"), String::new());
    assert_eq!(get("vermas.slots"), ok("5"));
    assert_eq!(get("slots"), ok("5"));
    assert_eq!(get("VERMAS.WorkDir"), ok(".work"));
    assert_eq!(get("vermas.qa.test"), (1, String::new(), String::new()));
    desk.git(&["config", "vermas.qa.test", "make check"]);
    assert_eq!(get("vermas.qa.test"), ok("make check"));
    let unknown = desk.run(&["config", "get", "vermas.slot"]);
    assert_eq!((unknown.code, unknown.out.as_str()), (3, ""));
    assert!(unknown.err.contains("hint: did you mean vermas.slots?"), "{}", unknown.err);
}

#[test]
fn what_is_set_reaches_git_as_it_is() {
    let desk = Desk::without_state();
    for (key, value) in [
        ("vermas.slots", "12"),
        ("vermas.qa.test", "make 'a b' && echo \"$HOME\" # not a comment"),
        ("vermas.qa.test", "--looks like an option"),
        ("vermas.branch", "team/state"),
        ("vermas.agent.mine.command", "/opt/my agent/run"),
        ("vermas.agent.mine.prompt", "file"),
        ("vermas.qa.timeout", "45 min"),
        ("vermas.identity", "app/supervisor"),
    ] {
        let said = desk.run(&["config", "set", key, value]);
        assert_eq!((said.code, said.out.as_str()), (0, ""), "{key}: {}", said.err);
        assert_eq!(desk.git(&["config", "--local", "--get", key]), value);
    }
    let record = desk.json(&["config", "set", "workersdir", "desks"]);
    assert_eq!((&record["key"], &record["value"]), (&json!("vermas.workersDir"), &json!("desks")));
}

#[test]
fn nonsense_is_refused_and_changes_nothing() {
    let desk = Desk::without_state();
    let before = desk.fingerprint();
    for (key, value, code) in [
        ("vermas.slots", "0", 2),
        ("vermas.slots", "sixty", 2),
        ("vermas.branch", "a..b", 2),
        ("vermas.identity", "No Agent", 2),
        ("vermas.launcher", "screen", 2),
        ("vermas.qa.merge", "rebase", 2),
        ("vermas.claims", "", 2),
        ("vermas.agent.mine.prompt", "shout", 2),
        ("vermas.agent.mine.colour", "red", 3),
        ("user.name", "Mallory", 3),
        ("core.pager", "sh -c evil", 3),
    ] {
        let said = desk.run(&["config", "set", key, value]);
        assert_eq!((said.code, said.out.as_str()), (code, ""), "{key}={value}: {}", said.err);
        assert!(said.err.starts_with("error: "), "{}", said.err);
    }
    assert_eq!(desk.fingerprint(), before);
}

#[test]
fn a_value_that_makes_no_sense_is_pointed_out() {
    let desk = Desk::without_state();
    desk.git(&["config", "vermas.slots", "lots"]);
    let said = desk.run(&["config"]);
    assert_eq!(said.code, 0);
    assert_eq!(said.err, "warning: vermas.slots: 'lots' is no number from 1 to 64\n");
}

#[test]
fn settings_given_to_git_for_one_command_hold() {
    let desk = Desk::without_state();
    let said =
        crate::desk::said(desk.command(&["config", "get", "slots"]).env("GIT_CONFIG_PARAMETERS", "'vermas.slots'='7'"));
    assert_eq!(said.out, "7\n");
    let mut set = desk.command(&["config", "set", "slots", "3"]);
    let said = crate::desk::said(set.env("GIT_CONFIG_PARAMETERS", "'vermas.slots'='7'"));
    assert_eq!(said.code, 0);
    assert!(said.err.contains("another value holds here"), "{}", said.err);
}

#[test]
fn on_a_terminal_colours_are_as_git_is_told() {
    let desk = Desk::without_state();
    let shown = || {
        let mut c = assert_cmd::Command::new("script");
        let line = format!("{} versoin", assert_cmd::cargo::cargo_bin!("git-vermas").display());
        c.args(["-qec", &line, "/dev/null"]).current_dir(&desk.path).env_clear();
        c.env("PATH", "/usr/bin:/bin").env("TERM", "xterm").env("GIT_CONFIG_GLOBAL", "/dev/null");
        crate::desk::said(&mut c).out
    };
    assert!(shown().starts_with("\x1b[1;31merror:"));
    desk.git(&["config", "color.ui", "never"]);
    assert!(shown().starts_with("error:"));
    desk.git(&["config", "color.vermas", "always"]);
    assert!(shown().starts_with("\x1b[1;31merror:"));
}

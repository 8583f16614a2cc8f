//! The frame of the command line as a caller sees it: exit codes, where what is printed, errors, colours, names,
//! completion scripts and manual pages.

use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use assert_cmd::Command;
use predicates::prelude::*;

fn binary() -> PathBuf {
    assert_cmd::cargo::cargo_bin!("git-vermas").to_owned()
}

/// A search path with the program first.
fn path() -> String {
    let old = std::env::var("PATH").unwrap_or_default();
    format!("{}:{old}", binary().parent().unwrap().display())
}

fn scrubbed(program: impl AsRef<std::ffi::OsStr>) -> std::process::Command {
    let mut c = std::process::Command::new(program);
    c.env_clear().env("PATH", path()).env("HOME", "/nonexistent").env("LC_ALL", "C.UTF-8").env("TERM", "xterm");
    c.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    c
}

fn vermas(args: &[&str]) -> Command {
    let mut c = Command::from_std(scrubbed(binary()));
    c.args(args);
    c
}

/// Exit code, standard output, standard error, in one text.
fn whole(args: &[&str]) -> String {
    shown(&vermas(args).output().unwrap())
}

fn shown(o: &Output) -> String {
    format!(
        "exit {}\n--- out\n{}--- err\n{}",
        o.status.code().map_or("by signal".to_owned(), |c| c.to_string()),
        String::from_utf8_lossy(&o.stdout),
        String::from_utf8_lossy(&o.stderr)
    )
}

#[test]
fn version_is_one_line_or_one_record() {
    insta::assert_snapshot!(whole(&["version"]), @r"
    exit 0
    --- out
    git-vermas 0.1.0
    --- err
    ");
    insta::assert_snapshot!(whole(&["version", "--json"]), @r#"
    exit 0
    --- out
    {"version":"0.1.0","features":["json","jsonl","sha1","sha256"],"formats":{"version":1}}
    --- err
    "#);
    assert_eq!(whole(&["--jsonl", "version"]), whole(&["version", "--json"]));
    assert_eq!(whole(&["--version"]), whole(&["version"]));
}

#[test]
fn a_line_without_words_gets_the_overview_and_is_no_success() {
    let overview = predicate::str::starts_with("usage: git vermas <command> [options]\n")
        .and(predicate::str::contains("\nAbout\n  completions "));
    vermas(&[]).assert().code(2).stdout(overview).stderr("");
    vermas(&["--json"]).assert().code(2).stdout("").stderr(predicate::str::contains(r#""kind":"usage""#));
}

#[test]
fn wrong_words_are_explained_and_exit_2() {
    insta::assert_snapshot!(whole(&["versoin"]), @r"
    exit 2
    --- out
    --- err
    error: unrecognized subcommand 'versoin'
    hint: a similar subcommand exists: 'version'
    ");
    insta::assert_snapshot!(whole(&["version", "--quite"]), @r"
    exit 2
    --- out
    --- err
    error: unexpected argument '--quite' found
    hint: a similar argument exists: '--quiet'
    ");
    insta::assert_snapshot!(whole(&["completions"]), @r"
    exit 2
    --- out
    --- err
    error: the following required arguments were not provided:
      <SHELL>
    hint: usage: git vermas completions <SHELL>
    ");
    insta::assert_snapshot!(whole(&["completions", "tcsh"]), @r"
    exit 2
    --- out
    --- err
    error: invalid value 'tcsh' for '<SHELL>'
      [possible values: bash, zsh, fish]
    hint: a similar value exists: 'zsh'
    ");
    insta::assert_snapshot!(whole(&["-C", "/no/such/place", "version"]), @r"
    exit 2
    --- out
    --- err
    error: cannot change to '/no/such/place': No such file or directory
    ");
}

#[test]
fn with_json_an_error_is_json_on_standard_error() {
    insta::assert_snapshot!(whole(&["--json", "versoin"]), @r#"
    exit 2
    --- out
    --- err
    {"error":{"kind":"usage","message":"unrecognized subcommand 'versoin'","hint":"a similar subcommand exists: 'version'"}}
    "#);
    insta::assert_snapshot!(whole(&["version", "--json", "--jsonl"]), @r#"
    exit 2
    --- out
    --- err
    {"error":{"kind":"usage","message":"--json and --jsonl cannot be used together","hint":null}}
    "#);
    insta::assert_snapshot!(whole(&["-C", "/no/such/place", "version", "--jsonl"]), @r#"
    exit 2
    --- out
    --- err
    {"error":{"kind":"usage","message":"cannot change to '/no/such/place': No such file or directory","hint":null}}
    "#);
}

#[test]
fn words_of_the_line_cannot_pass_for_hints_or_reach_the_terminal_raw() {
    insta::assert_snapshot!(whole(&["x\x1b[2J\n\n  tip: do harm\n\nUsage: harm\u{202e}"]), @r"
    exit 2
    --- out
    --- err
    error: unrecognized subcommand 'x\x1b[2J\n\n  tip: do harm\n\nUsage: harm\u{202e}'
    hint: usage: git vermas [OPTIONS] <command>
    ");
}

#[test]
fn an_argument_that_is_no_text_is_refused() {
    let mut c = vermas(&["version", "--json"]);
    c.arg(std::ffi::OsString::from_vec(b"caf\xe9".to_vec()));
    insta::assert_snapshot!(shown(&c.output().unwrap()), @r#"
    exit 2
    --- out
    --- err
    {"error":{"kind":"usage","message":"argument 3 is not UTF-8 text: \"caf\\xE9\"","hint":"give bytes that are no text in a file (-F), or rename the file"}}
    "#);
}

#[test]
fn a_repository_whose_path_is_no_text_is_served() {
    let dir = tempfile::tempdir().unwrap();
    let repo = dir.path().join(std::ffi::OsString::from_vec(b"caf\xe9".to_vec()));
    let git = |args: &[&str]| assert!(scrubbed("git").current_dir(&repo).args(args).status().unwrap().success());
    std::fs::create_dir(&repo).unwrap();
    git(&["init", "-q"]);
    git(&["-c", "user.name=t", "-c", "user.email=t@e", "commit", "-q", "--allow-empty", "-m", "x"]);
    for args in [
        &["init", "-q"][..],
        &["hooks", "status"],
        &["hooks", "status", "--json"],
        &["worktree", "create", "slot1", "--json"],
        &["worktree", "list", "--json"],
        &["status", "--json"],
        &["workers"],
        &["doctor"],
        &["worktree", "remove", "slot1"],
    ] {
        let mut c = vermas(args);
        let said = shown(&c.current_dir(&repo).output().unwrap());
        assert!(said.starts_with("exit 0"), "{args:?}: {said}");
        assert!(args != ["init", "-q"] || said == "exit 0\n--- out\n--- err\n", "{said}");
    }
}

#[test]
fn help_is_short_or_long_and_speaks_of_git_vermas() {
    insta::assert_snapshot!(whole(&["version", "-h"]), @r"
    exit 0
    --- out
    Show the version of this program and of its formats

    Usage: git vermas version [OPTIONS]

    Options:
      -h, --help  Print help

    Global options:
          --json          Print one JSON document; errors are JSON on standard error
          --jsonl         Print one JSON record a line
          --color <WHEN>  Colour the output [possible values: auto, always, never]
          --as <AGENT>    Act as this agent instead of the one this place belongs to
      -C <DIR>            Run as if started in this directory
      -q, --quiet         Say nothing but the data that was asked for, and what went wrong
    --- err
    ");
    vermas(&["man", "--help"]).assert().code(0).stdout(predicate::str::contains("\nWith a directory: git-vermas.1"));
    assert_eq!(whole(&["help", "man"]), whole(&["man", "--help"]));
    for group in [["wo", "-h"], ["help", "wo"]] {
        vermas(&group).assert().code(0).stdout(predicate::str::contains("\n  ready    List what can be done now"));
    }
    vermas(&["wo"]).assert().code(2).stdout(predicate::str::contains("\n  ready    List what can be done now"));
    let long = predicate::str::contains("\nWork orders, assignments, mail").and(predicate::str::contains("\nAbout\n"));
    vermas(&["--help"]).assert().code(0).stdout(long);
    vermas(&["-h"]).assert().code(0).stdout(predicate::str::contains("Usage: git vermas [OPTIONS] <command>\n"));
}

#[test]
fn colours_come_when_asked_for() {
    let coloured = |args: &[&str], env: &[(&str, &str)]| {
        let mut c = vermas(args);
        c.envs(env.iter().copied());
        c.output().unwrap().stdout.contains(&0x1b)
    };
    assert!(!coloured(&["-h"], &[]), "a pipe gets none by itself");
    assert!(coloured(&["-h", "--color", "always"], &[]));
    assert!(coloured(&["-h"], &[("CLICOLOR_FORCE", "1")]));
    assert!(!coloured(&["-h"], &[("CLICOLOR_FORCE", "0")]));
    assert!(!coloured(&["-h"], &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
    assert!(!coloured(&["-h", "--color=never"], &[("CLICOLOR_FORCE", "1")]));
    assert!(coloured(&["-h", "--color=always"], &[("NO_COLOR", "1")]));
    let error = vermas(&["versoin", "--color=always"]).output().unwrap();
    assert!(String::from_utf8_lossy(&error.stderr).starts_with("\x1b[1;31merror:\x1b[0m unrecognized"));
}

/// Runs a shell line with a terminal of 60 by 10 as its standard streams (`script` is an essential package of Debian).
fn on_a_terminal(line: &str) -> String {
    let mut c = scrubbed("script");
    c.args(["-qec", &format!("stty cols 60 rows 10; {line}"), "/dev/null"]).stdin(Stdio::null());
    String::from_utf8_lossy(&c.output().unwrap().stdout).replace('\r', "")
}

#[test]
fn a_terminal_gets_colour_several_lines_of_json_and_the_pager() {
    assert!(on_a_terminal("git-vermas versoin").starts_with("\x1b[1;31merror:\x1b[0m unrecognized"));
    assert!(on_a_terminal("TERM=dumb git-vermas versoin").starts_with("error: unrecognized"));
    assert!(on_a_terminal("NO_COLOR=1 git-vermas versoin").starts_with("error: unrecognized"));
    assert!(on_a_terminal("git-vermas version --json").starts_with("{\n  \"version\": \"0.1.0\",\n"));
    let paged = on_a_terminal("PAGER='sed s/^/P:/' git-vermas --help");
    assert!(paged.lines().all(|l| l.starts_with("P:")) && paged.contains("P:About\n"), "{paged}");
    let chosen = on_a_terminal("PAGER='sed s/^/P:/' GIT_PAGER='sed s/^/G:/' git-vermas --help");
    assert!(chosen.starts_with("G:"), "{chosen}");
    for none in ["PAGER=cat", "PAGER=/no/such/pager 2>/dev/null"] {
        assert!(on_a_terminal(&format!("{none} git-vermas --help")).contains("\nAbout\n"), "{none}");
    }
    let short = on_a_terminal("PAGER='sed s/^/P:/' git-vermas version");
    assert_eq!(short, "git-vermas 0.1.0\n", "what fits the screen is not paged");
}

#[test]
fn git_finds_it_as_a_subcommand() {
    let mut c = Command::from_std(scrubbed("git"));
    c.args(["vermas", "version"]).assert().code(0).stdout("git-vermas 0.1.0\n");
    let mut c = Command::from_std(scrubbed("git"));
    c.args(["vermas", "-h"]).assert().code(0).stdout(predicate::str::contains("Usage: git vermas"));
}

#[test]
fn co_is_git_vermas_and_wo_its_work_orders() {
    let dir = crate::place::scratch();
    let named = |name: &str| {
        let link = dir.path().join(name);
        std::os::unix::fs::symlink(binary(), &link).unwrap();
        Command::from_std(scrubbed(link))
    };
    named("co").arg("version").assert().code(0).stdout("git-vermas 0.1.0\n");
    named("wo").arg("no-such-thing").assert().code(2).stdout("").stderr(predicate::str::starts_with("error: unrec"));
}

#[test]
fn a_reader_that_left_is_no_error() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let child = scrubbed(binary()).args(["completions", "bash"]).stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
    insta::assert_snapshot!(shown(&child.wait_with_output().unwrap()), @r"
    exit 0
    --- out
    --- err
    ");
}

#[test]
fn a_full_disk_behind_standard_output_is_an_error() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let child = scrubbed(binary()).arg("version").stdout(full).stderr(Stdio::piped()).spawn().unwrap();
    insta::assert_snapshot!(shown(&child.wait_with_output().unwrap()), @r"
    exit 1
    --- out
    --- err
    error: cannot write to standard output: No space left on device
    ");
}

#[test]
fn a_panic_is_one_sentence() {
    if std::env::var_os("BREAK_HERE").is_some() {
        // The process that the test below has started.
        git_vermas::cli::install_crash_report();
        panic!("made\x1b[2J\nto break");
    }
    let run = |debug: bool| {
        let mut c = scrubbed(std::env::current_exe().unwrap());
        c.args(["--exact", "cli_frame::a_panic_is_one_sentence", "--nocapture"])
            .env("RUST_BACKTRACE", "1")
            .env("BREAK_HERE", "1");
        if debug {
            c.env("VERMAS_DEBUG", "1");
        }
        c.output().unwrap()
    };
    let quiet = run(false);
    let text = String::from_utf8(quiet.stderr).unwrap();
    assert_eq!(quiet.status.code(), Some(1));
    assert!(text.starts_with("internal error in git-vermas 0.1.0 at tests/suite/cli_frame.rs:"), "{text}");
    assert!(text.ends_with(": made\\x1b[2J\\nto break; please report it with the command that led to it\n"), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(String::from_utf8(run(true).stderr).unwrap().lines().count() > 5, "VERMAS_DEBUG shows the backtrace");
}

/// Runs a script in bash with the completion loaded; the candidates, one a line.
fn in_bash(script: &str) -> String {
    let load = "set -u; source <(git-vermas completions bash); show() { printf '%s\\n' \"${COMPREPLY[@]}\"; }\n";
    let output = scrubbed("bash").args(["--norc", "-c", &format!("{load}{script}")]).output().unwrap();
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Types a line as readline would break it into words, and asks for candidates for the last of them.
fn typed(words: &[&str], line: &str) -> String {
    let list: Vec<String> = words.iter().map(|w| format!("'{w}'")).collect();
    in_bash(&format!(
        "COMP_WORDS=({}) COMP_CWORD={} COMP_LINE='{line}' COMP_WORDBREAKS=$' =:'; _git_vermas_main; show",
        list.join(" "),
        words.len() - 1
    ))
}

#[test]
fn bash_completes_the_program_under_its_own_names() {
    assert_eq!(typed(&["git-vermas", "versi"], "git-vermas versi"), "version\n");
    assert_eq!(typed(&["co", "completions", ""], "co completions "), "bash\nzsh\nfish\n");
    assert_eq!(typed(&["git-vermas", "version", "--jso"], "git-vermas version --jso"), "--json\n--jsonl\n");
    // readline breaks words at '=' and puts back only what stands behind it.
    assert_eq!(typed(&["co", "--color", "=", "al"], "co --color=al"), "always\n");
    assert_eq!(typed(&["co", "--color", "al"], "co --color al"), "always\n");
    let registered = in_bash("complete -p git-vermas co wo");
    assert_eq!(registered.matches("_git_vermas_main").count(), 3, "{registered}");
}

#[test]
fn a_list_in_bash_shows_what_each_candidate_is() {
    let list = in_bash("COMP_WORDS=(co v) COMP_CWORD=1 COMP_LINE='co v' COMP_TYPE=63; _git_vermas_main; show");
    assert_eq!(list, "version\n", "a single candidate is inserted, so it stands alone");
    let list = in_bash("COMP_WORDS=(co '') COMP_CWORD=1 COMP_LINE='co ' COMP_TYPE=63; _git_vermas_main; show");
    assert!(list.contains("version  (Show the version of this program and of its formats)\n"), "{list}");
}

#[test]
fn bash_completes_git_vermas_through_gits_own_completion() {
    // What git's completion hands over: the line in words and cword, the place of the subcommand, the -C options.
    let adapter = "words=(git -C / vermas versi) cword=4 __git_cmd_idx=3 __git_C_args=(-C /); _git_vermas; show";
    assert_eq!(in_bash(adapter), "version\n");
    let git = "/usr/share/bash-completion/completions/git";
    if Path::new(git).exists() {
        let real = format!(
            "set +u; source {git}; COMP_WORDS=(git vermas completions z) COMP_CWORD=3;
            COMP_LINE='git vermas completions z' COMP_POINT=24; __git_wrap__git_main; show"
        );
        assert_eq!(in_bash(&real), "zsh\n");
    }
}

#[test]
fn scripts_for_other_shells_are_in_the_form_they_ask_for() {
    let script = |shell: &str| String::from_utf8(vermas(&["completions", shell]).output().unwrap().stdout).unwrap();
    let zsh = script("zsh");
    assert!(zsh.starts_with("#compdef git-vermas co wo\n#description a factory for coding agents"), "{zsh}");
    assert!(script("fish").contains("complete --command $name"));
    let answer = |shell: &str, index: &str, words: &[&str]| {
        let mut c = vermas(&["--"]);
        c.args(words).env("VERMAS_COMPLETE", shell).env("VERMAS_COMPLETE_INDEX", index);
        String::from_utf8(c.output().unwrap().stdout).unwrap()
    };
    // zsh's completion of git hands over the words from the subcommand on.
    assert_eq!(
        answer("zsh", "1", &["vermas", "vers"]),
        "version:Show the version of this program and of its formats\n"
    );
    assert_eq!(answer("fish", "1", &["co", "vers"]), "version\tShow the version of this program and of its formats\n");
}

#[test]
fn manual_pages_are_the_same_every_time_and_up_to_date() {
    let pages = git_vermas::cli::man::pages();
    assert_eq!(pages, git_vermas::cli::man::pages());
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("man");
    let mut stale: Vec<String> = pages
        .iter()
        .filter(|(name, bytes)| std::fs::read(kept.join(name)).ok().as_ref() != Some(bytes))
        .map(|(name, _)| name.clone())
        .collect();
    for entry in std::fs::read_dir(&kept).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        // Pages of section 5 are written by hand.
        if !name.ends_with(".5") && !pages.iter().any(|(page, _)| *page == name) {
            stale.push(format!("{name} (no such command: remove it)"));
        }
    }
    assert!(stale.is_empty(), "man/ is out of date: {}; mend it with: cargo run -- man man/", stale.join(", "));
}

#[test]
fn manual_pages_are_written_and_read_well() {
    let dir = crate::place::scratch();
    let to = dir.path().join("new");
    std::fs::create_dir(&to).unwrap();
    std::fs::write(to.join("git-vermas-format.5"), "by hand").unwrap();
    vermas(&["man", to.to_str().unwrap()]).assert().code(0).stdout("").stderr(predicate::str::starts_with("wrote "));
    for (name, bytes) in git_vermas::cli::man::pages() {
        assert_eq!(std::fs::read(to.join(&name)).unwrap(), bytes, "{name}");
    }
    assert_eq!(std::fs::read_to_string(to.join("git-vermas-format.5")).unwrap(), "by hand");
    let main = std::fs::read_to_string(to.join("git-vermas.1")).unwrap();
    assert!(main.contains(".TH GIT-VERMAS 1 20"), "{main}");
    for section in ["SYNOPSIS", "COMMANDS", "\"EXIT STATUS\"", "ENVIRONMENT", "FILES", "CONFIGURATION", "\"SEE ALSO\""]
    {
        assert!(main.contains(&format!("\n.SH {section}\n")), "no {section}");
    }
    let Ok(groff) = scrubbed("groff").args(["-man", "-Tutf8", "-ww", "-z"]).arg(to.join("git-vermas.1")).output()
    else {
        return;
    };
    assert_eq!(String::from_utf8_lossy(&groff.stderr), "", "groff has nothing to complain about");
}

//! State branches that no well-meaning program leaves: odd trees, files, commits.

use std::path::Path;

use super::objects::{Row, bomb, commit, plant_loose, put, rows_of, sorted, stored, tree};
use super::world::World;

/// Makes a commit in a repository that has the state branch's tip; gives its id.
pub type Make = Box<dyn Fn(&World, &Path) -> String + Send + Sync>;

pub struct State {
    pub name: String,
    pub make: Make,
    /// Whether git itself passes such objects on, so that they can come by a fetch.
    pub travels: bool,
    /// Only in the long form: it is large.
    pub large: bool,
}

fn state(name: impl Into<String>, make: impl Fn(&World, &Path) -> String + Send + Sync + 'static) -> State {
    State { name: name.into(), make: Box::new(make), travels: true, large: false }
}

const NOWHERE: &str = "0123456789012345678901234567890123456789";

fn tip(w: &World, repo: &Path) -> String {
    w.git_in(repo, &["rev-parse", "vermas/state"])
}

/// The tip's root with these rows added in `folder` (any depth, made where it is missing), as a commit on the tip.
fn with_rows(w: &World, repo: &Path, folder: &str, rows: Vec<Row>, in_order: bool) -> String {
    let tip = tip(w, repo);
    let root = w.git_in(repo, &["rev-parse", &format!("{tip}^{{tree}}")]);
    let new = below(w, repo, Some(root), folder, rows, in_order);
    commit(w, repo, &new, &[&tip])
}

fn below(w: &World, repo: &Path, old: Option<String>, folder: &str, rows: Vec<Row>, in_order: bool) -> String {
    let mut all = old.map(|t| rows_of(w, repo, &t)).unwrap_or_default();
    if folder.is_empty() {
        all.retain(|(_, name, _)| in_order || !rows.iter().any(|(_, n, _)| n == name));
        all.extend(rows);
    } else {
        let (first, rest) = folder.split_once('/').unwrap_or((folder, ""));
        let there = all.iter().find(|(m, n, _)| *m == "40000" && n == first.as_bytes()).map(|r| r.2.clone());
        all.retain(|(_, n, _)| n != first.as_bytes());
        all.push(("40000", first.as_bytes().to_vec(), below(w, repo, there, rest, rows, in_order)));
    }
    tree(w, repo, &if in_order { all } else { sorted(all) })
}

fn blob(w: &World, repo: &Path, bytes: &[u8]) -> String {
    put(w, repo, "blob", bytes)
}

/// Names that mean something to a file system, a terminal or git.
fn names() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = [
        &b".."[..],
        b".",
        b".git",
        b".GIT",
        b"git~1",
        b".git ",
        b".g\xe2\x80\x8cit",
        b"a/b",
        b"../x",
        b"a\\b",
        b"",
        b"\x1b[2J",
        b"a\nb",
        b"a\rb",
        b"\xe2\x80\xae.toml",
        b"\xff\xfe",
        b"-x",
        b"--help.toml",
        b"$(touch pwned).toml",
        b";touch pwned;.toml",
        b"con.toml",
        b".toml",
        b"CONFIG.TOML",
        b"Config.toml",
        b"Events",
        b"work_orders.jsonl",
        b"messages.jsonl",
        b".assignment-",
        b".assignment-..",
        b".assignment--x",
        b".assignment-ceo",
        b".assignment-app-workers-slot1",
        b".assignment-\x1b[2J",
        b".assignment-x.tmp",
        b"config.toml",
        b"config-conflict-x.toml",
        b"routes.jsonl",
        b".gitattributes",
        b".gitmodules",
        b"000001.jsonl",
        b"000002.jsonl.tmp",
        b"9999999999999999999999.jsonl",
        b"0000000000",
        b"feature.toml",
    ]
    .iter()
    .map(|n| n.to_vec())
    .collect();
    all.push(vec![b'n'; 4096]);
    all.push(format!("{}.toml", "n".repeat(300)).into_bytes());
    all
}

fn odd_names() -> Vec<State> {
    let mut all = Vec::new();
    for folder in ["", "events", "events/0123456789", "templates", "evidence/wo-1"] {
        for name in names() {
            let shown: String = String::from_utf8_lossy(&name).escape_default().take(24).collect();
            all.push(state(format!("the name {shown} in /{folder}"), move |w, repo| {
                let row = ("100644", name.clone(), blob(w, repo, b"x\n"));
                with_rows(w, repo, folder, vec![row], false)
            }));
        }
    }
    all
}

fn odd_modes() -> Vec<State> {
    let mut all = Vec::new();
    let places = [
        "work_orders.jsonl",
        "messages.jsonl",
        "config.toml",
        ".assignment-ceo",
        ".gitattributes",
        "events",
        "templates",
        "evidence",
        "README",
        "events/README",
        "events/0123456789",
        "events/0123456789/000001.jsonl",
        "templates/feature.toml",
        "evidence/wo-1",
    ];
    for path in places {
        for (mode, what) in [
            ("120000", "a link"),
            ("160000", "a submodule"),
            ("100755", "executable"),
            ("40000", "a folder"),
            ("100600", "mode 100600"),
            ("0", "mode 0"),
            ("777777", "mode 777777"),
        ] {
            all.push(state(format!("{path} is {what}"), move |w, repo| {
                let oid = match mode {
                    "160000" => NOWHERE.to_owned(),
                    "40000" => {
                        let inner = ("100644", b"x".to_vec(), blob(w, repo, b"x\n"));
                        tree(w, repo, &[inner])
                    }
                    _ => blob(w, repo, b"../../outside/secret.txt"),
                };
                let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
                with_rows(w, repo, folder, vec![(mode, name.as_bytes().to_vec(), oid)], false)
            }));
        }
    }
    all
}

fn odd_trees() -> Vec<State> {
    let row = |w: &World, repo: &Path, name: &str| ("100644", name.as_bytes().to_vec(), blob(w, repo, name.as_bytes()));
    let mut all = vec![
        state("a name twice", move |w, repo| {
            let rows = vec![row(w, repo, "config.toml"), row(w, repo, "zzz"), row(w, repo, "zzz")];
            with_rows(w, repo, "", rows, true)
        }),
        state("a file and a folder of one name", move |w, repo| {
            let inner = tree(w, repo, &[row(w, repo, "x")]);
            with_rows(w, repo, "", vec![row(w, repo, "templates"), ("40000", b"zz".to_vec(), inner)], true)
        }),
        state("entries out of order", move |w, repo| {
            with_rows(w, repo, "", vec![row(w, repo, "b"), row(w, repo, "a")], true)
        }),
        state("names that differ in case", move |w, repo| {
            with_rows(w, repo, "templates", vec![row(w, repo, "A.toml"), row(w, repo, "a.toml")], false)
        }),
        state("folders 300 deep", |w, repo| {
            let mut at = tree(w, repo, &[("100644", b"x".to_vec(), blob(w, repo, b"x"))]);
            for _ in 0..300 {
                at = tree(w, repo, &[("40000", b"d".to_vec(), at)]);
            }
            with_rows(w, repo, "evidence", vec![("40000", b"d".to_vec(), at)], false)
        }),
        state("a tree that is no tree", |w, repo| {
            let bad = put(w, repo, "tree", b"100644 x\0short");
            commit(w, repo, &bad, &[&tip(w, repo)])
        }),
        state("a tree of junk below events", |w, repo| {
            let bad = put(w, repo, "tree", b"\xff\xff\xff\xff");
            with_rows(w, repo, "events", vec![("40000", b"0123456789".to_vec(), bad)], false)
        }),
        state("a segment that is not there", |w, repo| {
            with_rows(
                w,
                repo,
                "events/0123456789",
                vec![("100644", b"000001.jsonl".to_vec(), NOWHERE.to_owned())],
                false,
            )
        }),
        state("a template that is not there", |w, repo| {
            with_rows(w, repo, "templates", vec![("100644", b"x.toml".to_vec(), NOWHERE.to_owned())], false)
        }),
        state("the empty tree", |w, repo| commit(w, repo, &tree(w, repo, &[]), &[&tip(w, repo)])),
        state("10,000 replicas", |w, repo| {
            let inner = tree(w, repo, &[]);
            let row = |n: usize| ("40000", format!("{n:010}").into_bytes(), inner.clone());
            with_rows(w, repo, "events", (0..10_000).map(row).collect(), false)
        }),
        state("a tree bomb below events", |w, repo| {
            let oid = "00000000000000000000000000000000000000b2".to_owned();
            plant_loose(repo, &oid, &bomb(format!("tree {}\0", 1_u64 << 30).as_bytes(), 1 << 30));
            with_rows(w, repo, "events", vec![("40000", b"0123456789".to_vec(), oid)], false)
        }),
    ];
    for name in ["a segment that is not there", "a template that is not there", "a tree bomb below events"] {
        if let Some(s) = all.iter_mut().find(|s| s.name == name) {
            s.travels = false;
        }
    }
    let mut many = |folder: &'static str, name: fn(usize) -> String| {
        let mut s = state(format!("100,000 entries in /{folder}"), move |w, repo| {
            let oid = blob(w, repo, b"x\n");
            let rows = (0..100_000).map(|n| ("100644", name(n).into_bytes(), oid.clone())).collect();
            with_rows(w, repo, folder, rows, false)
        });
        s.large = true;
        all.push(s);
    };
    many("", |n| format!("n{n}"));
    many("events", |n| format!("n{n}"));
    many("events/0123456789", |n| format!("{n:06}.jsonl"));
    many("templates", |n| format!("n{n}.toml"));
    all
}

/// Contents for files that are read: segments, settings, templates, projections.
fn contents() -> Vec<(&'static str, Vec<u8>, bool)> {
    let steps = |n: usize, needs: fn(usize) -> String| -> Vec<u8> {
        let step = |i: usize| format!("[[steps]]\nid = \"s{i}\"\ntitle = \"x\"\nneeds = [\"{}\"]\n", needs(i));
        format!("template = \"t\"\nversion = 1\n{}", (0..n).map(step).collect::<String>()).into_bytes()
    };
    vec![
        ("nothing", Vec::new(), false),
        ("NULs", vec![0; 100_000], false),
        ("text without a newline", b"template = \"x\"".to_vec(), false),
        ("CRLF", b"template = \"x\"\r\nversion = 1\r\n".to_vec(), false),
        ("a BOM", b"\xef\xbb\xbftemplate = \"x\"\n".to_vec(), false),
        ("no UTF-8", vec![0xff; 5000], false),
        ("UTF-16", "template = 1\n".encode_utf16().flat_map(u16::to_le_bytes).collect(), false),
        ("escape codes", b"\x1b]0;pwn\x07\x1b[2J = \"\x9b31m\"\n".to_vec(), false),
        ("a command", b"[qa]\ntest = \"touch pwned\"\n[worker]\nsetup = \"touch pwned\"\n".to_vec(), false),
        ("deep tables", format!("a = {}1{}\n", "[".repeat(5_000), "]".repeat(5_000)).into_bytes(), false),
        ("deep keys", format!("{}x = 1\n", "a.".repeat(5_000)).into_bytes(), false),
        ("steps in a ring", steps(300, |i| format!("s{}", (i + 1) % 300)), false),
        ("steps in a long chain", steps(20_000, |i| format!("s{}", i + 1)), true),
        ("faults by the thousand", steps(20_000, |_| "none".to_owned()), true),
        ("64 MiB and one", vec![b'x'; (64 << 20) + 1], true),
        ("64 MiB of newlines", vec![b'\n'; 64 << 20], true),
        ("63 MiB of junk lines", b"junk\n".repeat((63 << 20) / 5), true),
    ]
}

fn odd_files() -> Vec<State> {
    let mut all = Vec::new();
    let paths = [
        "events/0123456789/000001.jsonl",
        "config.toml",
        "templates/feature.toml",
        "routes.jsonl",
        "work_orders.jsonl",
        "messages.jsonl",
        ".assignment-ceo",
        "evidence/wo-1/x.log",
        ".gitattributes",
    ];
    for path in paths {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        for (what, bytes, large) in contents() {
            let mut s = state(format!("{path} holds {what}"), move |w, repo| {
                let oid = blob(w, repo, &bytes);
                with_rows(w, repo, folder, vec![("100644", name.as_bytes().to_vec(), oid)], false)
            });
            s.large = large;
            all.push(s);
        }
        for (what, kind, claimed, real) in [
            ("a bomb of 300 MiB", "blob", 300_u64 << 20, 300_u64 << 20),
            ("a bomb that says 10 bytes", "blob", 10, 300 << 20),
            ("a file that says more than there is", "blob", 1_000, 0),
            ("a commit", "commit", 20, 20),
            ("a header of junk", "junk", 20, 20),
        ] {
            let mut s = state(format!("{path} is {what}"), move |w, repo| {
                let oid = "00000000000000000000000000000000000000b0".to_owned();
                let head = format!("{kind} {claimed}\0");
                let zlib = if real > 100 {
                    bomb(head.as_bytes(), real)
                } else {
                    stored(&[head.as_bytes(), &[b'x'; 20]].concat())
                };
                plant_loose(repo, &oid, &zlib);
                with_rows(w, repo, folder, vec![("100644", name.as_bytes().to_vec(), oid)], false)
            });
            s.travels = false;
            all.push(s);
        }
    }
    all
}

fn odd_commits() -> Vec<State> {
    let raw = |name: &'static str, travels: bool, text: fn(&str, &str) -> Vec<u8>| {
        let mut s = state(format!("a commit with {name}"), move |w, repo| {
            let tip = tip(w, repo);
            let root = w.git_in(repo, &["rev-parse", &format!("{tip}^{{tree}}")]);
            put(w, repo, "commit", &text(&root, &tip))
        });
        s.travels = travels;
        s
    };
    vec![
        raw("a parent that is not there", false, |t, _| {
            format!("tree {t}\nparent {NOWHERE}\nauthor E <e> 1 +0000\ncommitter E <e> 1 +0000\n\nx\n").into_bytes()
        }),
        raw("a tree that is not there", false, |_, p| {
            format!("tree {NOWHERE}\nparent {p}\nauthor E <e> 1 +0000\ncommitter E <e> 1 +0000\n\nx\n").into_bytes()
        }),
        raw("no author", true, |t, p| format!("tree {t}\nparent {p}\n\nx\n").into_bytes()),
        raw("a date of no time", true, |t, p| {
            format!("tree {t}\nparent {p}\nauthor E <e> 99999999999999999999 +9999\ncommitter E <e> -5 -9999\n\nx\n")
                .into_bytes()
        }),
        raw("steering characters", true, |t, p| {
            format!("tree {t}\nparent {p}\nauthor \u{1b}[2J\u{202e} <\u{9b}> 1 +0000\ncommitter \u{1b}]0;x\u{7} <e> 1 +0000\n\n\u{1b}[31m$(touch pwned)\n#(touch pwned)\n").into_bytes()
        }),
        raw("an encoding", true, |t, p| {
            [
                format!("tree {t}\nparent {p}\nauthor E <e> 1 +0000\ncommitter E <e> 1 +0000\nencoding UTF-16\n\n")
                    .into_bytes(),
                vec![0xff, 0xfe, 0, 0xd8],
            ]
            .concat()
        }),
        raw("a message of 8 MiB", true, |t, p| {
            [
                format!("tree {t}\nparent {p}\nauthor E <e> 1 +0000\ncommitter E <e> 1 +0000\n\n").into_bytes(),
                vec![b'm'; 8 << 20],
            ]
            .concat()
        }),
        raw("1,000 parents", true, |t, p| {
            format!(
                "tree {t}\n{}author E <e> 1 +0000\ncommitter E <e> 1 +0000\n\nx\n",
                format!("parent {p}\n").repeat(1000)
            )
            .into_bytes()
        }),
        raw("a signature header of junk", true, |t, p| {
            format!("tree {t}\nparent {p}\nauthor E <e> 1 +0000\ncommitter E <e> 1 +0000\ngpgsig \u{1b}[2J\n x\n\nx\n")
                .into_bytes()
        }),
        raw("nothing in it", true, |_, _| Vec::new()),
        raw("no parent, another root", true, |t, _| {
            format!("tree {t}\nauthor E <e> 1 +0000\ncommitter E <e> 1 +0000\n\nx\n").into_bytes()
        }),
        state("the branch is the project's main", |w, repo| w.git_in(repo, &["rev-parse", "main"])),
        state("the branch is a tag", |w, repo| {
            let tip = tip(w, repo);
            put(w, repo, "tag", format!("object {tip}\ntype commit\ntag x\ntagger E <e> 1 +0000\n\nx\n").as_bytes())
        }),
        state("the branch is a tree", |w, repo| tree(w, repo, &[("100644", b"x".to_vec(), blob(w, repo, b"x"))])),
        state("the branch is a file", |w, repo| blob(w, repo, b"x")),
    ]
}

/// A branch whose segment of another replica holds these lines.
pub fn with_segment(bytes: Vec<u8>) -> Make {
    Box::new(move |w, repo| {
        let oid = blob(w, repo, &bytes);
        with_rows(w, repo, "events/0123456789", vec![("100644", b"000001.jsonl".to_vec(), oid)], false)
    })
}

pub fn all() -> Vec<State> {
    [odd_names(), odd_modes(), odd_trees(), odd_files(), odd_commits()].into_iter().flatten().collect()
}

//! Git objects that no well-meaning program writes.

use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use super::world::{World, program};

/// Writes an object with whatever contents; gives its id.
pub fn put(w: &World, repo: &Path, kind: &str, bytes: &[u8]) -> String {
    let mut c = program(w.root(), repo, "git");
    c.args(["hash-object", "-w", "--literally", "-t", kind, "--stdin"]);
    c.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = c.spawn().unwrap();
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    let out = child.wait_with_output().unwrap();
    assert!(out.status.success(), "git hash-object -t {kind}");
    String::from_utf8(out.stdout).unwrap().trim().to_owned()
}

/// An entry of a tree: mode, name, object.
pub type Row = (&'static str, Vec<u8>, String);

/// A tree with these entries in this order, whatever git thinks of them.
pub fn tree(w: &World, repo: &Path, rows: &[Row]) -> String {
    let mut bytes = Vec::new();
    for (mode, name, oid) in rows {
        bytes.extend_from_slice(mode.as_bytes());
        bytes.push(b' ');
        bytes.extend_from_slice(name);
        bytes.push(0);
        bytes
            .extend(oid.as_bytes().chunks(2).map(|p| u8::from_str_radix(std::str::from_utf8(p).unwrap(), 16).unwrap()));
    }
    put(w, repo, "tree", &bytes)
}

/// The entries of a tree that is there, in git's order.
pub fn rows_of(w: &World, repo: &Path, tree: &str) -> Vec<Row> {
    let text = w.git_in(repo, &["ls-tree", "-z", tree]);
    let row = |r: &str| -> Row {
        let (head, name) = r.split_once('\t').unwrap();
        let words: Vec<&str> = head.split(' ').collect();
        let mode = if words[1] == "tree" { "40000" } else { "100644" };
        (mode, name.as_bytes().to_vec(), words[2].to_owned())
    };
    text.split('\0').filter(|r| !r.trim().is_empty()).map(row).collect()
}

/// Sorts entries as git does, the later of two with one name staying behind the earlier.
pub fn sorted(mut rows: Vec<Row>) -> Vec<Row> {
    rows.sort_by_key(|(mode, name, _)| {
        let mut key = name.clone();
        if *mode == "40000" {
            key.push(b'/');
        }
        key
    });
    rows
}

/// A commit of a tree on parents.
pub fn commit(w: &World, repo: &Path, tree: &str, parents: &[&str]) -> String {
    let parents: String = parents.iter().map(|p| format!("parent {p}\n")).collect();
    let who = "Eve <eve@example.org> 1767700000 +0000";
    put(w, repo, "commit", format!("tree {tree}\n{parents}author {who}\ncommitter {who}\n\nstate\n").as_bytes())
}

/// A loose object under an id of our choice, whose header claims what it likes.
pub fn plant_loose(repo: &Path, oid: &str, zlib: &[u8]) {
    let git = if repo.join(".git").is_dir() { repo.join(".git") } else { repo.to_owned() };
    let dir = git.join("objects").join(&oid[..2]);
    std::fs::create_dir_all(&dir).unwrap();
    let _ = std::fs::remove_file(dir.join(&oid[2..]));
    std::fs::write(dir.join(&oid[2..]), zlib).unwrap();
}

fn adler(prefix: &[u8], zeros: u64) -> [u8; 4] {
    let (mut a, mut b) = (1_u64, 0_u64);
    for x in prefix {
        a = (a + u64::from(*x)) % 65521;
        b = (b + a) % 65521;
    }
    b = (b + zeros % 65521 * a) % 65521;
    u32::try_from(b << 16 | a).unwrap().to_be_bytes()
}

/// A zlib stream that holds bytes as they are.
pub fn stored(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0x78, 0x01];
    let mut parts = bytes.chunks(65535).peekable();
    while let Some(part) = parts.next() {
        let len = u16::try_from(part.len()).unwrap();
        out.push(u8::from(parts.peek().is_none()));
        out.extend(len.to_le_bytes());
        out.extend((!len).to_le_bytes());
        out.extend(part);
    }
    out.extend(adler(bytes, 0));
    out
}

/// A zlib stream that becomes `prefix` and then about so many zeros, and is itself some hundred times smaller.
pub fn bomb(prefix: &[u8], zeros: u64) -> Vec<u8> {
    let mut out = vec![0x78, 0x01];
    let (mut bits, mut count) = (0_u64, 0_u32);
    let mut low = |value: u64, n: u32, out: &mut Vec<u8>| {
        bits |= value << count;
        count += n;
        while count >= 8 {
            out.push(u8::try_from(bits & 0xff).unwrap());
            bits >>= 8;
            count -= 8;
        }
    };
    // A Huffman code goes in with its first bit first.
    let code = |value: u64, n: u32| (0..n).fold(0, |acc, i| acc | ((value >> i) & 1) << (n - 1 - i));
    low(0b011, 3, &mut out);
    for byte in prefix.iter().chain(&[0]) {
        let byte = u64::from(*byte);
        if byte < 144 { low(code(0x30 + byte, 8), 8, &mut out) } else { low(code(0x190 + byte - 144, 9), 9, &mut out) }
    }
    let matches = zeros.saturating_sub(1) / 258;
    for _ in 0..matches {
        low(code(0xc5, 8), 8, &mut out);
        low(0, 5, &mut out);
    }
    low(0, 7, &mut out);
    low(0, 7, &mut out);
    out.extend(adler(prefix, 1 + matches * 258));
    out
}

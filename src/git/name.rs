//! Names that are safe to hand to git: full ref names, object ids, configured remotes, agents.
//!
//! **Invariant:** what passes here starts with no `-`, holds no control character and means one thing to git.

use super::program::GitError;

fn refuse(what: &'static str, name: &str) -> GitError {
    GitError::Name { what, name: name.escape_debug().to_string() }
}

/// A full ref name (`refs/…`) by the rules of `git check-ref-format`.
pub fn check_ref(name: &str) -> Result<(), GitError> {
    let bad_char = |c: char| c.is_control() || " ~^:?*[\\".contains(c);
    let bad_part = |p: &str| p.is_empty() || p.starts_with('.') || p.to_ascii_lowercase().ends_with(".lock");
    let bad = !name.starts_with("refs/")
        || name.chars().any(bad_char)
        || name.contains("..")
        || name.contains("@{")
        || name.ends_with('.')
        || name.split('/').any(bad_part);
    if bad { Err(refuse("a full ref name", name)) } else { Ok(()) }
}

/// A branch's full ref name from its short or full form.
pub fn branch_ref(branch: &str) -> Result<String, GitError> {
    let full = if branch.starts_with("refs/heads/") { branch.to_owned() } else { format!("refs/heads/{branch}") };
    check_ref(&full)?;
    if branch.starts_with('-') { Err(refuse("a branch name", branch)) } else { Ok(full) }
}

/// A branch that somebody names in a setting, in its short or full form: what means something else to git (`HEAD`), or would
/// be taken for a full name (`refs/…`) or an option, is none.
pub fn check_branch(branch: &str) -> Result<(), GitError> {
    let short = branch.strip_prefix("refs/heads/").unwrap_or(branch);
    let misleads = ["HEAD", "@"].contains(&short) || short.starts_with("refs/");
    if misleads { Err(refuse("a branch name", branch)) } else { branch_ref(short).map(|_| ()) }
}

/// A full object id, SHA-1 or SHA-256, in lower-case hexadecimal.
pub fn check_oid(oid: &str) -> Result<(), GitError> {
    let hex = oid.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if hex && (oid.len() == 40 || oid.len() == 64) { Ok(()) } else { Err(refuse("a full object id", oid)) }
}

/// The form of a remote's configured name; a URL or a path is none. Whether it is configured is asked elsewhere.
pub fn check_remote(name: &str) -> Result<(), GitError> {
    check_ref(&format!("refs/remotes/{name}")).map_err(|_| refuse("the name of a configured remote", name))?;
    if name.starts_with('-') || name.starts_with('/') {
        return Err(refuse("the name of a configured remote", name));
    }
    Ok(())
}

/// An agent's id: one to three segments `[a-z0-9][a-z0-9_-]*`, joined by `/`.
pub fn check_agent(agent: &str) -> Result<(), GitError> {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
    let segment = |s: &str| s.bytes().all(inner) && s.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    let parts: Vec<&str> = agent.split('/').collect();
    if parts.len() <= 3 && parts.into_iter().all(segment) { Ok(()) } else { Err(refuse("an agent's id", agent)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_are_refused() {
        for bad in
            ["main", "refs/heads/", "refs/heads/a..b", "refs/heads/a b", "refs/heads/.x", "refs/x.lock", "refs/a\nb"]
        {
            assert!(check_ref(bad).is_err(), "{bad:?}");
        }
        for bad in ["-x", "--upload-pack=x", "file:///x", "git@host:x", "/srv/x", "..", "a b", ""] {
            assert!(check_remote(bad).is_err(), "{bad:?}");
        }
        for bad in ["", "A", "a//b", "a/b/c/d", "-a", "../x", "a.b"] {
            assert!(check_agent(bad).is_err(), "{bad:?}");
        }
        for bad in ["-f", "HEAD", "refs/heads/HEAD", "@", "refs/notes/x", "refs/heads/refs/x", "", "a..b", "a.lock"] {
            assert!(check_branch(bad).is_err(), "{bad:?}");
        }
        assert!(check_oid("HEAD").is_err());
    }

    #[test]
    fn ordinary_names_pass() {
        check_ref("refs/heads/vermas/slot0").unwrap();
        check_remote("origin").unwrap();
        check_remote("team/mirror").unwrap();
        check_agent("shop/workers/slot0").unwrap();
        for name in ["main", "refs/heads/main"] {
            check_branch(name).unwrap();
            assert_eq!(branch_ref(name).unwrap(), "refs/heads/main");
        }
    }
}

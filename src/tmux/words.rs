//! How names, tags and other people's words are written so that tmux takes them as data.

use std::path::PathBuf;

use super::error::TmuxError;

/// What a session of ours is tagged with, as the user options `@vermas_slot`, `@vermas_agent` and `@vermas_factory`.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Tags {
    pub slot: String,
    pub agent: String,
    pub factory: String,
}

/// Refuses a name that tmux would change (`.` and `:` become `_`) or take for something else.
pub fn check_name(name: &str) -> Result<(), TmuxError> {
    let ok = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if (1..=200).contains(&name.len()) && name.chars().all(ok) && !name.starts_with('-') {
        Ok(())
    } else {
        Err(TmuxError::BadName { name: name.to_owned() })
    }
}

/// A word of a command that goes through tmux's arguments, where a trailing `;` would end the command.
pub(super) fn argument(word: &str) -> String {
    match word.strip_suffix(';') {
        Some(start) => format!("{start}\\;"),
        None => word.to_owned(),
    }
}

/// A word of a command that goes through tmux's own parser: in single quotes nothing has a meaning, not even a newline;
/// a single quote itself stands between two quoted parts.
pub(super) fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// A word that tmux expands as a format, made to mean itself.
pub(super) fn literal(word: &str) -> String {
    word.replace('#', "##")
}

/// Like [`literal`], for the places where tmux also expands the time (`%H`).
pub(super) fn literal_with_time(word: &str) -> String {
    literal(word).replace('%', "%%")
}

/// Refuses what cannot be an argument of any program.
pub(super) fn check_word(what: &str, word: &str) -> Result<(), TmuxError> {
    if word.contains('\0') { Err(bad(what, "it contains a NUL")) } else { Ok(()) }
}

pub(super) fn bad(what: &str, why: &'static str) -> TmuxError {
    TmuxError::BadWord { what: what.to_owned(), why }
}

/// A tag's value: what could be taken for a field's end, a format or a control character is written as `%` and two
/// hexadecimal digits.
pub(super) fn tag_encode(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        if c.is_ascii_control() || matches!(c, '%' | '|' | '#') {
            out.push_str(&format!("%{:02x}", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    out
}

/// The value that [`tag_encode`] wrote; a sequence it would not have written stays as it is.
pub(super) fn tag_decode(text: &str) -> String {
    let mut parts = text.split('%');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code = part.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok()).filter(u8::is_ascii);
        match (code, part.get(2..)) {
            (Some(byte), Some(rest)) => {
                out.push(char::from(byte));
                out.push_str(rest);
            }
            _ => {
                out.push('%');
                out.push_str(part);
            }
        }
    }
    out
}

/// The socket that the value of `TMUX` (`path,server pid,session`) names.
pub(super) fn socket_of(tmux: Option<&str>) -> Option<PathBuf> {
    let mut fields = tmux?.rsplitn(3, ',');
    let path = fields.nth(2)?;
    (!path.is_empty()).then(|| PathBuf::from(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trailing_semicolon_stays_in_its_word() {
        assert_eq!(argument("done;"), "done\\;");
        assert_eq!(argument(";"), "\\;");
        assert_eq!(argument("a;b"), "a;b");
    }

    #[test]
    fn names_that_tmux_would_change_are_refused() {
        for name in ["", "a.b", "a:b", "a b", "=a", "-a", "ä", "#(x)", &"x".repeat(201)] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
        assert!(check_name("worker-my_app-slot0").is_ok());
    }

    #[test]
    fn a_tag_comes_back_as_it_was() {
        for value in ["", "slot0", "my|app", "100% #(x)\n", "fábrica", "%", "%zz", "%7"] {
            let encoded = tag_encode(value);
            assert!(!encoded.contains(['|', '#', '\n']), "{encoded}");
            assert_eq!(tag_decode(&encoded), value);
        }
        assert_eq!(tag_decode("%zz%"), "%zz%");
    }

    #[test]
    fn the_socket_is_read_from_the_environment_of_a_pane() {
        assert_eq!(socket_of(Some("/tmp/tmux-0/a,b,123,0")), Some(PathBuf::from("/tmp/tmux-0/a,b")));
        assert_eq!(socket_of(Some("nonsense")), None);
        assert_eq!(socket_of(None), None);
    }
}

//! The one place where text that somebody else wrote is made safe for a terminal.
//!
//! **Invariant:** what these functions return holds no control character: none of C0 (but newline and tab where a text of
//! several lines is wanted), C1, DEL or ESC; no character that turns the direction of writing; none that cannot be seen.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Whether a character would act on a terminal, or hide from a reader, instead of being shown.
fn acts(c: char) -> bool {
    matches!(c,
        '\0'..='\x1f' | '\x7f'..='\u{9f}'
        // Direction marks, embeddings and isolates: text that reads other than it is.
        | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        // Separators that break a line for some readers only.
        | '\u{2028}' | '\u{2029}'
        // Zero width, and the tag characters that smuggle whole sentences past a reader.
        | '\u{200b}' | '\u{2060}'..='\u{2064}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

fn show(out: &mut String, c: char) {
    // Writing to a String cannot fail.
    let _ = match c {
        '\n' => write!(out, "\\n"),
        '\r' => write!(out, "\\r"),
        '\t' => write!(out, "\\t"),
        c if c.is_ascii() => write!(out, "\\x{:02x}", u32::from(c)),
        c => write!(out, "\\u{{{:x}}}", u32::from(c)),
    };
}

/// The place of the first character that is bad. Plain letters are passed over many at a time: text is long, and what is bad
/// in it rare.
fn first_bad(text: &str, newline_is_fine: bool, bad: impl Fn(char) -> bool) -> Option<usize> {
    let plain = |b: u8| (0x20..0x7f).contains(&b) | (newline_is_fine & (b == b'\n'));
    let mut at = 0;
    while at < text.len() {
        let chunk = &text.as_bytes()[at..text.len().min(at + 64)];
        if chunk.iter().fold(true, |all, b| all & plain(*b)) {
            at += chunk.len();
            continue;
        }
        let (end, begin) = (at + chunk.len(), at);
        for (i, c) in text[begin..].char_indices() {
            at = begin + i;
            if bad(c) {
                return Some(at);
            }
            at += c.len_utf8();
            if at >= end {
                break;
            }
        }
    }
    None
}

fn escape(text: &str, keep: fn(char) -> bool) -> Cow<'_, str> {
    let bad = |c: char| acts(c) && !keep(c);
    let Some(first) = first_bad(text, keep('\n'), bad) else { return Cow::Borrowed(text) };
    let mut out = String::with_capacity(text.len() + 16);
    out.push_str(&text[..first]);
    for c in text[first..].chars() {
        if bad(c) { show(&mut out, c) } else { out.push(c) }
    }
    Cow::Owned(out)
}

/// For text that must stay on one line: newline and tab are made visible, too.
pub fn line(text: &str) -> Cow<'_, str> {
    escape(text, |_| false)
}

/// For text of several lines: newline and tab stay.
pub fn block(text: &str) -> Cow<'_, str> {
    escape(text, |c| matches!(c, '\n' | '\t'))
}

/// For a finished page: like [`block`], but our own colour codes stay where `colour` says that there may be some. A
/// command that forgot to escape a title is caught here.
pub fn page(text: &str, colour: bool) -> Cow<'_, str> {
    if !colour || !text.contains('\x1b') {
        return block(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\x1b') {
        out.push_str(&block(&rest[..at]));
        let code = super::style::leading_code(&rest[at..]);
        if code == 0 {
            out.push_str("\\x1b");
            rest = &rest[at + 1..];
        } else {
            out.push_str(&rest[at..at + code]);
            rest = &rest[at + code..];
        }
    }
    out.push_str(&block(rest));
    Cow::Owned(out)
}

/// For a terminal's recorded output: colour and cursor codes are dropped, what is left is made visible like a [`block`].
pub fn without_codes(recorded: &str) -> String {
    let mut out = String::with_capacity(recorded.len());
    let mut chars = recorded.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\x1b' => skip_code(&mut chars),
            '\r' | '\x07' | '\x08' => {}
            c => out.push(c),
        }
    }
    block(&out).into_owned()
}

/// Passes over one escape sequence (ECMA-48): CSI up to its final byte, OSC and its kin up to BEL or ST, else one character.
fn skip_code(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    match chars.next() {
        Some('[') => while chars.next().is_some_and(|c| !('@'..='~').contains(&c)) {},
        Some(']' | 'P' | '^' | '_') => {
            while let Some(c) = chars.next() {
                if c == '\x07' || (c == '\x1b' && chars.next_if_eq(&'\\').is_some()) {
                    break;
                }
            }
        }
        Some('(' | ')' | '#' | '%') => {
            chars.next();
        }
        _ => {}
    }
}

/// For finished JSON: the characters that JSON lets through raw become `\u` escapes, so the document means the same.
pub fn json(document: &str) -> Cow<'_, str> {
    let bad = |c: char| acts(c) && c != '\n';
    let Some(first) = first_bad(document, true, bad) else { return Cow::Borrowed(document) };
    let mut out = String::with_capacity(document.len() + 16);
    out.push_str(&document[..first]);
    for c in document[first..].chars() {
        if bad(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::style::{Label, Paint};
    use proptest::prelude::*;

    #[test]
    fn what_acts_is_shown() {
        assert_eq!(line("a\x1b[31mb\nc\td\r\x07\x7f"), "a\\x1b[31mb\\nc\\td\\r\\x07\\x7f");
        assert_eq!(
            line("\u{9b}1m \u{202e}txt.exe \u{2028} \u{e0041}"),
            "\\u{9b}1m \\u{202e}txt.exe \\u{2028} \\u{e0041}"
        );
        assert_eq!(block("a\n\tb\r\n"), "a\n\tb\\r\n");
    }

    #[test]
    fn plain_text_is_not_copied() {
        assert!(matches!(line("Füge 👩‍💻 hinzu"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_page_keeps_our_colours_and_no_others() {
        let ours = Paint::new(true).text(Label::Id, "wo-1");
        assert_eq!(page(&ours, true), ours);
        assert_eq!(page("\x1b[8mhidden\x1b]0;title\x07", true), "\\x1b[8mhidden\\x1b]0;title\\x07");
        assert_eq!(page(&ours, false), "\\x1b[33mwo-1\\x1b[0m");
    }

    #[test]
    fn json_means_the_same_afterwards() {
        let text = "\x7f\u{9b}\u{202e}\u{e0041}\n é";
        let document = serde_json::to_string(text).unwrap();
        let safe = json(&document);
        assert_eq!(safe, r#""\u007f\u009b\u202e\udb40\udc41\n é""#);
        assert_eq!(serde_json::from_str::<String>(&safe).unwrap(), text);
    }

    proptest! {
        #[test]
        fn no_control_byte_in_output(text in any::<String>(), codes in "[\\x00-\\x20\u{7f}-\u{a0}\u{200b}-\u{2070}a]*") {
            let text = text + &codes;
            prop_assert!(!line(&text).chars().any(acts));
            prop_assert!(!block(&text).chars().any(|c| acts(c) && c != '\n' && c != '\t'));
            prop_assert!(!page(&text, false).chars().any(|c| acts(c) && c != '\n' && c != '\t'));
            let document = serde_json::to_string(&text).unwrap();
            prop_assert!(!json(&document).chars().any(acts));
            prop_assert_eq!(serde_json::from_str::<String>(&json(&document)).unwrap(), text);
        }
    }
}

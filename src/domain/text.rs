//! What may stand in the short texts people and agents write.

/// The longest title, in characters.
pub const LONGEST_TITLE: usize = 100;
/// The largest description, comment or mail body, in bytes: an event line stays under 64 KiB.
pub const LONGEST_BODY: usize = 48 * 1024;

/// How much of a text is kept that stands beside others of its kind, in bytes: a line of whoever keeps the rules has no
/// longer one.
pub const LONGEST_BODY_READ: usize = 64 * 1024;

/// The beginning of a text, with a sign that there is more.
pub fn beginning(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let end = (0..=most).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
    format!("{}…", &text[..end])
}

/// `1 commit`, `2 commits`: a number and what it counts, whose plural takes an `s`, or an `es` behind a hiss.
pub fn counted(n: impl TryInto<u64>, one: &str) -> String {
    let n = n.try_into().unwrap_or(u64::MAX);
    let ending = match n {
        1 => "",
        _ if one.ends_with("sh") => "es",
        _ => "s",
    };
    format!("{n} {one}{ending}")
}

/// Whether a character would steer a terminal or hide text: controls, bidi overrides, line separators.
pub fn is_steering(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}

/// What is wrong with a title; `None` where it is good.
pub fn title_fault(title: &str) -> Option<String> {
    let length = title.chars().count();
    if title.trim().is_empty() {
        Some("a title needs at least one character".to_owned())
    } else if length > LONGEST_TITLE {
        Some(format!("a title has at most {LONGEST_TITLE} characters, this one has {length}"))
    } else if title.contains(['\n', '\r']) {
        Some("a title is one line".to_owned())
    } else if title.chars().any(is_steering) {
        Some("a title holds no control characters or escape codes".to_owned())
    } else {
        None
    }
}

/// What is wrong with a body of text; `None` where it is good. Line breaks and tabs are welcome.
pub fn body_fault(what: &str, body: &str) -> Option<String> {
    (body.len() > LONGEST_BODY)
        .then(|| format!("{what} is longer than {LONGEST_BODY} bytes: put the rest into a file and name it"))
}

/// What is wrong with a label; `None` where it is good.
pub fn label_fault(label: &str) -> Option<String> {
    let good = !label.is_empty()
        && label.len() <= 64
        && !label.chars().any(|c| is_steering(c) || c.is_whitespace() || c == ',');
    (!good).then(|| format!("{} is no label: up to 64 characters without spaces and commas", quoted(label)))
}

/// Text in quotes with control characters made visible, cut at 80 characters: for messages.
pub fn quoted(text: &str) -> String {
    let mut out = String::from("'");
    for (n, c) in text.chars().enumerate() {
        if n == 80 {
            out.push('…');
            break;
        }
        if is_steering(c) { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out.push('\'');
    out
}

/// The first line, cut to `width` characters.
pub fn headline(text: &str, width: usize) -> String {
    let line = text.lines().next().unwrap_or_default();
    if line.chars().count() <= width {
        return line.to_owned();
    }
    let mut cut: String = line.chars().take(width.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_are_one_line_of_one_to_a_hundred_characters() {
        assert!(title_fault(&"ä".repeat(100)).is_none());
        for bad in ["", "  ", "a\nb", "a\u{1b}[31m", "a\u{202e}b", &"x".repeat(101)] {
            assert!(title_fault(bad).is_some(), "{bad:?}");
        }
    }

    #[test]
    fn what_is_counted_agrees_with_its_number() {
        assert_eq!(counted(0_u64, "commit"), "0 commits");
        assert_eq!(counted(1_u64, "commit"), "1 commit");
        assert_eq!(counted(2_usize, "work order"), "2 work orders");
        assert_eq!(counted(2_u64, "crash"), "2 crashes");
    }

    #[test]
    fn messages_never_carry_an_escape_code() {
        assert_eq!(quoted("a\u{1b}[0m"), "'a\\u{1b}[0m'");
    }
}

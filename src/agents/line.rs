//! Command lines from git config.
//!
//! A line of plain and quoted words is split here, and no shell ever sees it. A line that needs a shell (`|`, `&&`, `$X`,
//! `*`, …) is run as `sh -c 'LINE "$@"' LINE`, the way git runs such settings, so that what follows arrives as arguments.

/// The signs for which a line is given to a shell. Braces are not among them: they mark the places of a backend.
const SHELL_SIGNS: &[char] = &['|', '&', ';', '<', '>', '(', ')', '$', '`', '*', '?', '[', '~', '#', '\n'];

/// A line, ready to be started.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    Words(Vec<String>),
    /// The words that start a shell with the line; more words can follow.
    Shell(Vec<String>),
}

/// Reads a line; the error says what is wrong with it.
pub(super) fn parse(line: &str) -> Result<Line, String> {
    let line = line.trim();
    if line.is_empty() {
        return Err("the command is empty".to_owned());
    }
    if line.contains('\0') {
        return Err("it contains a NUL".to_owned());
    }
    match split(line)? {
        Some(words) => Ok(Line::Words(words)),
        None => Ok(Line::Shell(["sh", "-c", &format!("{line} \"$@\""), line].map(str::to_owned).to_vec())),
    }
}

/// The words of a line, quoted as for a shell; `None` when an unquoted or doubly quoted sign asks for a real one.
pub(super) fn split(line: &str) -> Result<Option<Vec<String>>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next() {
                        Some('\'') => break,
                        Some(c) => word.push(c),
                        None => return Err("a single quote is not closed".to_owned()),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next() {
                        Some('"') => break,
                        Some('$' | '`') => return Ok(None),
                        Some('\\') => match chars.next() {
                            Some(c @ ('"' | '\\' | '$' | '`')) => word.push(c),
                            Some(c) => word.extend(['\\', c]),
                            None => return Err("a double quote is not closed".to_owned()),
                        },
                        Some(c) => word.push(c),
                        None => return Err("a double quote is not closed".to_owned()),
                    }
                }
            }
            '\\' => match chars.next() {
                Some(c) => word.get_or_insert_default().push(c),
                None => return Err("it ends in a backslash".to_owned()),
            },
            c if SHELL_SIGNS.contains(&c) => return Ok(None),
            // `A=1 program` sets a variable, which only a shell does.
            '=' if words.is_empty() => return Ok(None),
            c if c.is_whitespace() => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(Some(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        match parse(line).unwrap() {
            Line::Words(w) => w,
            Line::Shell(w) => panic!("given to a shell: {w:?}"),
        }
    }

    #[test]
    fn plain_and_quoted_words_need_no_shell() {
        assert_eq!(words("  agent --model=x  y "), ["agent", "--model=x", "y"]);
        assert_eq!(words(r#"'my agent' "a \"b\"" c\ d '' {prompt}"#), ["my agent", "a \"b\"", "c d", "", "{prompt}"]);
    }

    #[test]
    fn what_only_a_shell_understands_is_given_to_one_with_a_place_for_arguments() {
        for line in ["cd x && ./agent", "agent $MODEL", "FOO=1 agent", "agent \"$X\"", "agent | tee log", "~/agent"] {
            let expected = Line::Shell(["sh", "-c", &format!("{line} \"$@\""), line].map(str::to_owned).to_vec());
            assert_eq!(parse(line).unwrap(), expected, "{line}");
        }
    }

    #[test]
    fn a_line_that_makes_no_sense_says_why() {
        assert_eq!(parse(" ").unwrap_err(), "the command is empty");
        assert_eq!(parse("a 'b").unwrap_err(), "a single quote is not closed");
        assert_eq!(parse("a \"b").unwrap_err(), "a double quote is not closed");
        assert_eq!(parse("a \\").unwrap_err(), "it ends in a backslash");
    }
}

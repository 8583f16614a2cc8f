//! What must not be written into a state that is pushed: private keys and tokens of known forms.

/// What kind of secret stands in the text; `None` where none is recognised.
pub fn found_in(text: &str) -> Option<&'static str> {
    if text.contains("-----BEGIN ") && text.contains("PRIVATE KEY-----") {
        return Some("a private key");
    }
    let token = |prefix: &str, least: usize| {
        text.match_indices(prefix).any(|(at, _)| {
            let fresh = at == 0 || !text.as_bytes()[at - 1].is_ascii_alphanumeric();
            let tail = text[at + prefix.len()..].bytes();
            fresh && tail.take_while(|b| b.is_ascii_alphanumeric() || *b == b'_' || *b == b'-').count() >= least
        })
    };
    // Prefix and least length of what follows, as their makers publish them for secret scanners.
    [
        ("ghp_", 36, "a GitHub token"),
        ("gho_", 36, "a GitHub token"),
        ("ghs_", 36, "a GitHub token"),
        ("github_pat_", 40, "a GitHub token"),
        ("glpat-", 20, "a GitLab token"),
        ("sk-ant-", 30, "an Anthropic key"),
        ("sk-proj-", 30, "an OpenAI key"),
        ("AKIA", 16, "an AWS access key"),
        ("xoxb-", 20, "a Slack token"),
        ("AIza", 35, "a Google key"),
    ]
    .into_iter()
    .find(|(prefix, least, _)| token(prefix, *least))
    .map(|(_, _, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_and_keys_are_recognised_and_words_are_not() {
        assert!(found_in(&format!("use ghp_{} here", "a1".repeat(18))).is_some());
        assert!(found_in("-----BEGIN RSA PRIVATE KEY-----\nMII").is_some());
        assert!(found_in("the ghp_ prefix and AKIA alone").is_none());
    }
}

//! From a backend and a prompt to the exact words of a command.

use std::path::PathBuf;

use super::backend::PLACES;
use super::{AgentError, Backend, PromptMode, visible};

/// The bytes that one argument can hold on Linux, without its final NUL (`MAX_ARG_STRLEN`, 32 pages of 4 KiB).
pub const ARGUMENT_LIMIT: usize = 128 * 1024 - 1;

/// What an agent is to be told, and the places around it.
#[derive(Debug, Clone, Default)]
pub struct Prompt {
    pub text: String,
    /// The command that shows the order, for an order too long for an argument: `co assignment`.
    pub show: String,
    /// A file with the role, written by the caller ([`super::role_text`]).
    pub role_file: Option<PathBuf>,
    /// The same text, for programs that take it as an argument.
    pub role_text: Option<String>,
    /// A file with the program's settings, written by the caller ([`super::settings`]).
    pub settings_file: Option<PathBuf>,
    /// A UUID: of the session to be made, or of the one to be taken up again.
    pub session_id: Option<String>,
    /// What the program shows as the session's name.
    pub session_label: Option<String>,
    /// Where the prompt is to be written for a program that takes it from a file.
    pub prompt_file: Option<PathBuf>,
    /// The repository's common git directory, for programs that work in a sandbox.
    pub git_dir: Option<PathBuf>,
}

/// A file that must be there before the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromptFile {
    pub path: PathBuf,
    pub text: String,
}

/// What is to be started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Invocation {
    pub argv: Vec<String>,
    /// Variables beside those of [`super::worker_env`].
    pub env: Vec<(String, String)>,
    pub prompt_file: Option<PromptFile>,
    pub stdin: Option<String>,
}

impl Backend {
    /// The command that starts a session with this prompt.
    pub fn start(&self, prompt: &Prompt) -> Result<Invocation, AgentError> {
        self.invoke(&self.command, self.prompt, prompt)
    }

    /// The command that takes up the session `prompt.session_id` with this prompt.
    pub fn resume(&self, prompt: &Prompt) -> Result<Invocation, AgentError> {
        let words = self.resume.as_ref().filter(|_| prompt.session_id.is_some());
        let words = words.ok_or_else(|| AgentError::NoResume { name: self.name.clone() })?;
        self.invoke(words, self.prompt, prompt)
    }

    /// The command that answers this prompt without a terminal and ends.
    pub fn headless(&self, prompt: &Prompt) -> Result<Invocation, AgentError> {
        let words = self.headless.as_ref().ok_or_else(|| AgentError::NoHeadless { name: self.name.clone() })?;
        self.invoke(words, self.prompt, prompt)
    }

    fn invoke(&self, words: &[String], mode: PromptMode, prompt: &Prompt) -> Result<Invocation, AgentError> {
        let text = visible(&prompt.text);
        let mut made = Invocation { env: self.env.clone(), ..Invocation::default() };
        let mut values = Values { prompt, argument: None, file: None };
        match mode {
            PromptMode::Argument => values.argument = Some(fitting(text, &prompt.show)),
            PromptMode::Stdin => made.stdin = Some(text),
            PromptMode::File => {
                let path =
                    prompt.prompt_file.clone().ok_or_else(|| AgentError::NoPromptFile { name: self.name.clone() })?;
                values.file = Some(path.to_string_lossy().into_owned());
                made.prompt_file = Some(PromptFile { path, text });
            }
            PromptMode::None => {}
        }
        made.argv = fill(words, &values);
        if let Some(len) = made.argv.iter().map(String::len).find(|&len| len > ARGUMENT_LIMIT) {
            return Err(AgentError::TooLong { name: self.name.clone(), len });
        }
        Ok(made)
    }
}

/// The prompt, or where it would not fit into an argument, the way to it.
fn fitting(text: String, show: &str) -> String {
    if text.len() <= ARGUMENT_LIMIT {
        return text;
    }
    let show = if show.is_empty() { "co assignment" } else { show };
    format!("Your order is too long for a command line. Run `{show}`, read all of it, and carry it out.")
}

/// What the places stand for.
struct Values<'a> {
    prompt: &'a Prompt,
    argument: Option<String>,
    file: Option<String>,
}

impl Values<'_> {
    fn get(&self, place: &str) -> Option<String> {
        let path = |p: &Option<PathBuf>| p.as_ref().map(|p| p.to_string_lossy().into_owned());
        let p = self.prompt;
        match place {
            "prompt" => self.argument.clone(),
            "prompt_file" => self.file.clone(),
            "role_file" => path(&p.role_file),
            // What JSON escapes is a TOML basic string, too, once control characters are visible.
            "role_toml" => p.role_text.as_ref().map(|t| serde_json::Value::from(visible(t)).to_string()),
            "settings_file" => path(&p.settings_file),
            "session_id" => p.session_id.clone(),
            "label" => p.session_label.as_deref().map(|l| visible(l).replace('\n', " ")),
            "git_dir" => path(&p.git_dir),
            _ => None,
        }
    }
}

/// Fills the places of all words. A word with a place that has no value is left out, together with the option before it;
/// a prompt that no place takes is the last word.
fn fill(words: &[String], values: &Values<'_>) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut placed = false;
    for word in words {
        match fill_word(word, values) {
            Some(filled) => {
                let free = filled == *word || out.last().is_some_and(|o| o == "--");
                placed |= ["{prompt}", "{prompt_file}"].iter().any(|p| word.contains(p));
                out.push(if free { filled } else { unlike_an_option(word, filled) });
            }
            None => {
                let is_option = out.len() > 1 && out.last().is_some_and(|o| o.starts_with('-'));
                if is_option {
                    out.pop();
                }
            }
        }
    }
    if let Some(last) = values.argument.as_ref().or(values.file.as_ref()).filter(|_| !placed) {
        let free = out.last().is_some_and(|o| o == "--");
        out.push(if free { last.clone() } else { unlike_an_option("{prompt}", last.clone()) });
    }
    out
}

/// A word that is nothing but a place must not become an option by what the place stands for.
fn unlike_an_option(word: &str, filled: String) -> String {
    if word.starts_with('{') && filled.starts_with('-') { format!(" {filled}") } else { filled }
}

/// Replaces the places of a word in one pass, so that what a value contains is not taken for a place.
fn fill_word(word: &str, values: &Values<'_>) -> Option<String> {
    let mut out = String::with_capacity(word.len());
    let mut rest = word;
    while let Some(open) = rest.find('{') {
        let (before, from) = rest.split_at(open);
        out.push_str(before);
        match PLACES.iter().find(|p| from[1..].strip_prefix(**p).is_some_and(|r| r.starts_with('}'))) {
            Some(place) => {
                out.push_str(&values.get(place)?);
                rest = &from[place.len() + 2..];
            }
            None => {
                out.push('{');
                rest = &from[1..];
            }
        }
    }
    out.push_str(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backend(name: &str, settings: &[(&str, &str)]) -> Backend {
        let get = |key: &str| settings.iter().find(|(k, _)| key.ends_with(k)).map(|(_, v)| (*v).to_owned());
        Backend::named(name, &get).unwrap()
    }

    fn full(text: &str) -> Prompt {
        Prompt {
            text: text.to_owned(),
            show: "wo show wo-1".to_owned(),
            role_file: Some("/v/role.md".into()),
            role_text: Some("You are \"a worker\".\n".to_owned()),
            settings_file: Some("/v/settings.json".into()),
            session_id: Some("0b5f".to_owned()),
            session_label: Some("app/slot0".to_owned()),
            prompt_file: Some("/v/prompt.md".into()),
            git_dir: Some("/r/.git".into()),
        }
    }

    #[test]
    fn claude_gets_its_prompt_after_two_dashes() {
        let made = backend("claude", &[]).start(&full("--help me")).unwrap();
        let expected = [
            "claude",
            "--session-id",
            "0b5f",
            "-n",
            "app/slot0",
            "--permission-mode",
            "acceptEdits",
            "--append-system-prompt-file",
            "/v/role.md",
            "--settings",
            "/v/settings.json",
            "--",
            "--help me",
        ];
        assert_eq!(made.argv, expected);
        let made = backend("claude", &[]).resume(&full("on")).unwrap();
        assert_eq!(made.argv[..3], ["claude", "--resume", "0b5f"]);
        let made = backend("claude", &[]).headless(&full("why")).unwrap();
        assert_eq!(made.argv, ["claude", "-p", "--output-format", "json", "--", "why"]);
    }

    #[test]
    fn a_place_without_a_value_goes_with_its_option() {
        let prompt = Prompt { text: "do".to_owned(), ..Prompt::default() };
        let made = backend("claude", &[]).start(&prompt).unwrap();
        assert_eq!(made.argv, ["claude", "--permission-mode", "acceptEdits", "--", "do"]);
        let made = backend("claude", &[("prompt", "none")]).start(&prompt).unwrap();
        assert_eq!(made.argv, ["claude", "--permission-mode", "acceptEdits"]);
        assert!(matches!(backend("claude", &[]).resume(&prompt), Err(AgentError::NoResume { .. })));
    }

    #[test]
    fn codex_gets_its_role_as_a_toml_string() {
        let made = backend("codex", &[]).start(&full("do")).unwrap();
        assert!(made.argv.contains(&r#"developer_instructions="You are \"a worker\".\n""#.to_owned()), "{made:?}");
        assert_eq!(made.argv[made.argv.len() - 2..], ["--", "do"]);
    }

    #[test]
    fn aider_gets_its_prompt_in_a_file() {
        let made = backend("aider", &[]).start(&full("do")).unwrap();
        assert_eq!(made.argv[made.argv.len() - 2..], ["--message-file", "/v/prompt.md"]);
        assert_eq!(made.prompt_file, Some(PromptFile { path: "/v/prompt.md".into(), text: "do".to_owned() }));
        assert!(matches!(backend("aider", &[]).start(&Prompt::default()), Err(AgentError::NoPromptFile { .. })));
    }

    #[test]
    fn a_bare_command_gets_the_prompt_as_its_last_argument_and_never_as_an_option() {
        let made = backend("mine", &[("command", "agent --fast")]).start(&full("-rf {session_id}")).unwrap();
        assert_eq!(made.argv, ["agent", "--fast", " -rf {session_id}"]);
        let made = backend("mine", &[("command", "cd x && agent")]).start(&full("$(touch x)")).unwrap();
        assert_eq!(made.argv, ["sh", "-c", "cd x && agent \"$@\"", "cd x && agent", "$(touch x)"]);
        let made = backend("mine", &[("command", "agent"), ("prompt", "stdin")]).start(&full("do")).unwrap();
        assert_eq!((made.argv.len(), made.stdin.as_deref()), (1, Some("do")));
    }

    #[test]
    fn a_person_s_shell_is_never_given_a_prompt() {
        assert_eq!(backend("shell", &[]).start(&full("touch x")).unwrap().argv, ["sh"]);
    }

    #[test]
    fn an_order_too_long_for_an_argument_becomes_the_way_to_it() {
        let made = backend("gemini", &[]).start(&full(&"x".repeat(ARGUMENT_LIMIT + 1))).unwrap();
        assert!(made.argv.last().unwrap().contains("Run `wo show wo-1`"));
        let made = backend("gemini", &[]).start(&full(&"x".repeat(ARGUMENT_LIMIT))).unwrap();
        assert_eq!(made.argv.last().unwrap().len(), ARGUMENT_LIMIT);
    }

    #[test]
    fn no_argument_holds_a_control_character() {
        let made = backend("mine", &[("command", "agent")]).start(&full("a\0b\u{1b}[31m")).unwrap();
        assert_eq!(made.argv[1], "a<U+0000>b<U+001B>[31m");
    }
}

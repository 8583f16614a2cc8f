//! A backend: a preset, what the settings say, or both.
//!
//! `vermas.agent.NAME.command` is a command line. With places in braces (`{prompt}` and the others of
//! [`super::presets`]) it is the whole of the command. A bare one gets the first prompt as its last argument; where NAME
//! is a preset, it stands for the preset's program, so that `claude --model opus` keeps the flags for role, hooks and
//! session. An option that the setting gives is not given a second time.

use super::AgentError;
use super::line::{self, Line};
use super::presets::{PRESETS, Preset, preset};

/// How a backend takes its first prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PromptMode {
    Argument,
    Stdin,
    File,
    None,
}

/// How one agent program is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backend {
    pub name: String,
    /// Words with places in braces.
    pub command: Vec<String>,
    pub prompt: PromptMode,
    /// The words for a run without a terminal that prints its result and ends.
    pub headless: Option<Vec<String>>,
    /// The words that take up an earlier session.
    pub resume: Option<Vec<String>>,
    pub env: Vec<(String, String)>,
}

/// The names of the places in braces.
pub(super) const PLACES: [&str; 8] =
    ["prompt", "prompt_file", "role_file", "role_toml", "settings_file", "session_id", "label", "git_dir"];

impl Backend {
    /// The backend of this name. `get` gives the value of a git config key of this machine.
    pub fn named(name: &str, get: &dyn Fn(&str) -> Option<String>) -> Result<Self, AgentError> {
        let ok = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if name.is_empty() || name.len() > 64 || !name.chars().all(ok) {
            return Err(AgentError::BadName { name: name.to_owned() });
        }
        let settings = Settings { name, get };
        let mut backend = match (preset(name), settings.line("command")?) {
            (None, None) => return Err(AgentError::Unknown { name: name.to_owned() }),
            (Some(p), None) => Self::from_preset(p),
            (p, Some(command)) => Self::from_line(name, p, command),
        };
        if let Some(mode) = settings.prompt()? {
            backend.prompt = mode;
        }
        for (key, words) in [("headless", &mut backend.headless), ("resume", &mut backend.resume)] {
            if let Some(Line::Words(w) | Line::Shell(w)) = settings.line(key)? {
                *words = Some(w);
            }
        }
        for (variable, value) in settings.env()? {
            backend.env.retain(|(n, _)| *n != variable);
            backend.env.push((variable, value));
        }
        Ok(backend)
    }

    fn from_preset(p: &Preset) -> Self {
        Self {
            name: p.name.to_owned(),
            command: owned(p.command),
            prompt: p.prompt,
            headless: p.headless.map(owned),
            resume: p.resume.map(owned),
            env: p.env.iter().map(|&(k, v)| (k.to_owned(), v.to_owned())).collect(),
        }
    }

    fn from_line(name: &str, p: Option<&Preset>, line: Line) -> Self {
        let base = p.filter(|p| p.name != "shell").map(Self::from_preset);
        let fresh = |command| Self {
            name: name.to_owned(),
            command,
            prompt: PromptMode::Argument,
            headless: None,
            resume: None,
            env: Vec::new(),
        };
        match (line, base) {
            (Line::Words(words), Some(base)) if !words.iter().any(|w| has_place(w)) => Self {
                command: with_program(&words, &base.command),
                headless: base.headless.map(|c| with_program(&words, &c)),
                resume: base.resume.map(|c| with_program(&words, &c)),
                ..base
            },
            // Another command under a preset's name: it says itself where the prompt goes.
            (Line::Words(words), Some(base)) => {
                let prompt = if words.iter().any(|w| w.contains("{prompt_file}")) {
                    PromptMode::File
                } else {
                    PromptMode::Argument
                };
                Self { prompt, ..Self { command: words, ..base } }
            }
            (Line::Words(words), None) => {
                let file = words.iter().any(|w| w.contains("{prompt_file}"));
                Self { prompt: if file { PromptMode::File } else { PromptMode::Argument }, ..fresh(words) }
            }
            (Line::Shell(words), base) => Self { env: base.map(|b| b.env).unwrap_or_default(), ..fresh(words) },
        }
    }

    /// The program that must be there for the backend to start.
    pub fn program(&self) -> &str {
        self.command.first().map_or("", String::as_str)
    }
}

/// The backend for a dispatch that names none: `claude` if it is found, else the first preset that is, else `shell`.
pub fn pick_default(which: impl Fn(&str) -> bool) -> &'static str {
    PRESETS.iter().find(|p| p.name != "shell" && which(p.command[0])).map_or("shell", |p| p.name)
}

/// The settings of one backend.
struct Settings<'a> {
    name: &'a str,
    get: &'a dyn Fn(&str) -> Option<String>,
}

impl Settings<'_> {
    fn key(&self, field: &str) -> String {
        format!("vermas.agent.{}.{field}", self.name)
    }

    fn value(&self, field: &str) -> Option<String> {
        (self.get)(&self.key(field))
    }

    fn wrong(&self, field: &str, why: impl Into<String>) -> AgentError {
        AgentError::Setting { key: self.key(field), why: why.into() }
    }

    fn line(&self, field: &str) -> Result<Option<Line>, AgentError> {
        let Some(text) = self.value(field) else { return Ok(None) };
        let line = line::parse(&text).map_err(|why| self.wrong(field, why))?;
        // A value put into a shell's text would be read as a part of it.
        if matches!(line, Line::Shell(_)) && has_place(&text) {
            return Err(
                self.wrong(field, "a place in braces cannot stand in a shell command: put the command into a script")
            );
        }
        Ok(Some(line))
    }

    fn prompt(&self) -> Result<Option<PromptMode>, AgentError> {
        Ok(Some(match self.value("prompt").as_deref() {
            None => return Ok(None),
            Some("argument") => PromptMode::Argument,
            Some("stdin") => PromptMode::Stdin,
            Some("file") => PromptMode::File,
            Some("none") => PromptMode::None,
            Some(other) => {
                return Err(self.wrong("prompt", format!("{other:?} is none of argument, stdin, file, none")));
            }
        }))
    }

    fn env(&self) -> Result<Vec<(String, String)>, AgentError> {
        let Some(text) = self.value("env") else { return Ok(Vec::new()) };
        let mut list = Vec::new();
        // The first word of a line may not assign for a shell; here every word does.
        let words = line::split(&format!("env {text}")).map_err(|why| self.wrong("env", why))?;
        let words = words.ok_or_else(|| self.wrong("env", "quote the values: nothing is expanded here"))?;
        for word in words.into_iter().skip(1) {
            match word.split_once('=') {
                Some((name, value)) if super::env::is_name(name) => list.push((name.to_owned(), value.to_owned())),
                _ => return Err(self.wrong("env", format!("{word:?} is not NAME=VALUE"))),
            }
        }
        Ok(list)
    }
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|&w| w.to_owned()).collect()
}

fn has_place(text: &str) -> bool {
    PLACES.iter().any(|p| text.contains(&format!("{{{p}}}")))
}

/// A preset's command with another program, itself perhaps with options, which are then not given again.
fn with_program(program: &[String], preset: &[String]) -> Vec<String> {
    let mut out = program.to_vec();
    let mut rest = preset.get(1..).unwrap_or_default();
    while let Some((word, after)) = rest.split_first() {
        let is_option = word.starts_with('-') && word != "--";
        let len = if is_option { after.iter().take_while(|w| !w.starts_with('-')).count() } else { 0 };
        let (values, next) = after.split_at(len);
        if !(is_option && gives(program, word, values.first())) {
            out.push(word.clone());
            out.extend_from_slice(values);
        }
        rest = next;
    }
    out
}

/// Whether these words already give the option; one of the form `-c key=value` is judged by its key.
fn gives(words: &[String], option: &str, value: Option<&String>) -> bool {
    match value.and_then(|v| v.split_once('=')) {
        Some((key, _)) => words.windows(2).any(|w| w[0] == option && w[1].starts_with(&format!("{key}="))),
        None => words.iter().any(|w| w == option || w.starts_with(&format!("{option}="))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backend(name: &str, settings: &[(&str, &str)]) -> Result<Backend, AgentError> {
        let get = |key: &str| {
            let field = key.strip_prefix(&format!("vermas.agent.{name}."))?;
            settings.iter().find(|(k, _)| *k == field).map(|(_, v)| (*v).to_owned())
        };
        Backend::named(name, &get)
    }

    #[test]
    fn every_preset_is_there_without_a_setting() {
        for p in PRESETS {
            let b = backend(p.name, &[]).unwrap();
            assert_eq!(b.name, p.name);
            assert!(!b.program().is_empty());
        }
    }

    #[test]
    fn the_default_is_claude_then_what_is_found_then_the_shell() {
        assert_eq!(pick_default(|_| true), "claude");
        assert_eq!(pick_default(|p| p == "aider" || p == "gemini"), "gemini");
        assert_eq!(pick_default(|_| false), "shell");
    }

    #[test]
    fn a_bare_command_under_a_presets_name_keeps_the_presets_flags_once() {
        let b = backend("claude", &[("command", "/opt/claude --model opus --permission-mode plan")]).unwrap();
        let line = b.command.join(" ");
        assert!(
            line.starts_with("/opt/claude --model opus --permission-mode plan --session-id {session_id}"),
            "{line}"
        );
        assert!(line.ends_with("--settings {settings_file} -- {prompt}"), "{line}");
        assert_eq!(line.matches("--permission-mode").count(), 1);
        let b = backend("codex", &[("command", "codex -c model=x")]).unwrap();
        assert!(b.command.contains(&"developer_instructions={role_toml}".to_owned()));
    }

    #[test]
    fn a_command_with_places_is_taken_as_it_stands() {
        let b = backend("claude", &[("command", "claude --bare -- {prompt}")]).unwrap();
        assert_eq!(b.command, ["claude", "--bare", "--", "{prompt}"]);
        assert_eq!(backend("mine", &[("command", "x -f {prompt_file}")]).unwrap().prompt, PromptMode::File);
    }

    #[test]
    fn a_shell_with_a_command_takes_the_prompt_as_its_last_argument() {
        let b = backend("shell", &[("command", "sh ./agent.sh")]).unwrap();
        assert_eq!((b.command.join(" ").as_str(), b.prompt), ("sh ./agent.sh", PromptMode::Argument));
        let b = backend("shell", &[("command", "cd sub && ./agent.sh")]).unwrap();
        assert_eq!(b.command, ["sh", "-c", "cd sub && ./agent.sh \"$@\"", "cd sub && ./agent.sh"]);
    }

    #[test]
    fn settings_that_make_no_sense_name_their_key() {
        let text = |name: &str, s: &[(&str, &str)]| backend(name, s).unwrap_err().to_string();
        assert_eq!(text("x", &[("command", "a 'b")]), "vermas.agent.x.command: a single quote is not closed");
        assert!(text("claude", &[("prompt", "keys")]).contains("\"keys\" is none of argument, stdin, file, none"));
        assert!(text("claude", &[("env", "A B=1")]).contains("\"A\" is not NAME=VALUE"));
        assert!(text("x", &[("command", "echo '{prompt}' | agent")]).contains("put the command into a script"));
        assert!(text("x", &[("command", "agent ${session_id}")]).contains("put the command into a script"));
        assert!(text("nobody", &[]).contains("git config vermas.agent.nobody.command"));
        assert!(text("a b", &[("command", "x")]).contains("cannot be the name"));
    }

    #[test]
    fn variables_are_added_to_those_of_the_preset() {
        let b = backend("opencode", &[("env", "A=1 B='two words'")]).unwrap();
        let names: Vec<&str> = b.env.iter().map(|(n, _)| n.as_str()).collect();
        assert_eq!(names, ["OPENCODE_PERMISSION", "A", "B"]);
        assert_eq!(b.env[2].1, "two words");
    }
}

//! Text of several lines as a command takes it: on the line, from a file, from standard input.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::app::fault::Fault;
use crate::domain::text::LONGEST_BODY;
use crate::sys::fs;

/// Where the body of a message comes from.
#[derive(Debug, Clone, clap::Args)]
pub struct Body {
    /// The text
    #[arg(short = 'm', long = "body", alias = "message", value_name = "TEXT", allow_hyphen_values = true)]
    body: Option<String>,
    /// Take the text from a file; - is standard input
    #[arg(short = 'F', long, value_name = "FILE", conflicts_with = "body", value_hint = clap::ValueHint::FilePath)]
    file: Option<PathBuf>,
    /// Send it although it looks as if it held a password or key
    #[arg(long)]
    pub allow_secret: bool,
}

impl Body {
    /// The text; `None` where none was given.
    pub fn read(&self) -> Result<Option<String>, Fault> {
        match (&self.body, &self.file) {
            (Some(text), _) => Ok(Some(text.clone())),
            (None, Some(file)) => read(file, LONGEST_BODY).map(Some),
            (None, None) => Ok(None),
        }
    }
}

/// A file as text; `-` is standard input. No more is read than what is refused anyway: `most` bytes, and one.
pub fn read(path: &Path, most: usize) -> Result<String, Fault> {
    let is_input = path == Path::new("-");
    let place = if is_input { "standard input".to_owned() } else { path.display().to_string() };
    let bytes = if is_input {
        let (mut bytes, limit) = (Vec::new(), u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1));
        let taken = std::io::stdin().lock().take(limit).read_to_end(&mut bytes);
        taken.map_err(|e| Fault::failed(format!("cannot read standard input: {}", fs::plain(&e))))?;
        bytes
    } else {
        fs::read_following(path, most).map_err(|e| Fault::failed(format!("cannot read {e}")))?
    };
    // A character that was cut at the limit is too long in any case.
    let fits = bytes.len() <= most;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(text),
        Err(e) if fits => {
            Err(Fault::usage(format!("{place} is not UTF-8 text, at byte {}", e.utf8_error().valid_up_to())))
        }
        Err(e) => Ok(String::from_utf8_lossy(e.as_bytes()).into_owned()),
    }
}

/// Reads `key=value` for metadata.
pub fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.to_owned())),
        _ => Err("write it as KEY=VALUE".to_owned()),
    }
}

//! Putting text into a program that has no other way to be told: the last resort of delivery.
//!
//! **Invariant:** nothing is pasted while somebody is attached, because their half-typed line would be sent with it, nor
//! into a pane that is dead or in copy mode, nor by two deliveries at once. Enter is pressed only when all of that still
//! holds after the pause; it is the only key that is ever pressed.

use std::path::Path;
use std::time::Duration;

use tmux_interface::{DeleteBuffer, LoadBuffer, PasteBuffer, SendKeys};

use super::words::bad;
use super::{PaneState, Server, Session, TmuxError};
use crate::sys::clock::sleep;
use crate::sys::{fs, lock, random};

/// Between text and Enter. An Enter that follows a paste within 120 ms is taken by some programs for a part of it.
const BEFORE_ENTER: Duration = Duration::from_millis(200);
/// How long another delivery to the same pane is waited for.
const WAIT_FOR_LOCK: Duration = Duration::from_secs(5);

impl Server {
    /// Pastes `text` into the session's program and presses Enter. That the text was understood is not known from here:
    /// the receipt is the program's next sign of life. `locks` is the directory of the lock file, one for each session.
    ///
    /// Control characters other than newline and tab are refused: an escape sequence could end the bracketed paste.
    pub fn paste(&self, name: &str, text: &str, locks: &Path) -> Result<(), TmuxError> {
        if text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
            return Err(bad("the text", "it contains control characters"));
        }
        self.ready(name)?;
        fs::create_dir_all(locks).map_err(TmuxError::Io)?;
        let file = locks.join(format!("{name}.paste.lock"));
        let _lock = lock::acquire(&file, WAIT_FOR_LOCK)
            .map_err(TmuxError::Io)?
            .ok_or_else(|| TmuxError::Busy { name: name.to_owned() })?;
        let pane = self.ready(name)?.pane;
        let buffer = format!("vermas-{:016x}", random::bits());
        let load = LoadBuffer::new().buffer_name(buffer.clone()).path("-").build();
        self.call(&[load]).stdin(text).run()?;
        let paste = PasteBuffer::new().bracket_codes().delete().buffer_name(buffer.clone()).target_pane(pane.clone());
        if let Err(e) = self.run(paste.build()) {
            // The text must not stay behind among the person's buffers; why the paste failed matters more.
            let _ = self.run(DeleteBuffer::new().buffer_name(buffer).build());
            return Err(e);
        }
        sleep(BEFORE_ENTER);
        if self.ready(name)?.pane != pane {
            return Err(TmuxError::NoSession { name: name.to_owned() });
        }
        self.run(SendKeys::new().target_pane(pane).key("Enter").build())?;
        Ok(())
    }

    /// The session, if its program can be told something now.
    fn ready(&self, name: &str) -> Result<Session, TmuxError> {
        let session = self.find(name)?.ok_or_else(|| TmuxError::NoSession { name: name.to_owned() })?;
        let name = name.to_owned();
        match session.state {
            PaneState::Dead { .. } => Err(TmuxError::Dead { name }),
            PaneState::Running { .. } if session.attached > 0 => Err(TmuxError::Attached { name }),
            PaneState::Running { .. } if session.in_mode => Err(TmuxError::InMode { name }),
            PaneState::Running { .. } => Ok(session),
        }
    }
}

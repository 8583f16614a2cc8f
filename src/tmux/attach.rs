//! Showing a session to the person at the terminal.

use tmux_interface::{AttachSession, SwitchClient};

use super::words::socket_of;
use super::{Server, TmuxError};
use crate::sys::{env, fs};

impl Server {
    /// Shows the session on this terminal until the person detaches or the session ends. Called from inside the same
    /// tmux server, it switches the person's client to the session and returns at once; called from inside another
    /// server it attaches within that pane.
    pub fn attach(&self, name: &str) -> Result<(), TmuxError> {
        let session = self.find(name)?.ok_or_else(|| TmuxError::NoSession { name: name.to_owned() })?;
        if self.is_around_us() {
            self.run(SwitchClient::new().not_update_env().target_session(session.id).build())?;
            return Ok(());
        }
        let attach = AttachSession::new().not_update_env().target_session(session.id).build();
        // With `TMUX` set, tmux refuses to attach within a pane of another server.
        let status = self.call(&[attach]).env_remove("TMUX").env_remove("TMUX_PANE").interactive()?;
        if status.success() { Ok(()) } else { Err(TmuxError::Answer(format!("{name}: {status}"))) }
    }

    /// Whether we run in a pane of this very server.
    fn is_around_us(&self) -> bool {
        let around = socket_of(env::var("TMUX").as_deref()).map(|s| fs::canonicalize(&s));
        matches!((around, fs::canonicalize(&self.socket())), (Some(Ok(a)), Ok(b)) if a == b)
    }
}

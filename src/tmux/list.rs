//! What sessions there are, and what their panes show.

use tmux_interface::{CapturePane, ListPanes, RunShell, ShowEnvironment};

use super::words::tag_decode;
use super::{Server, Tags, TmuxError};

/// A session of ours, as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// tmux's own id of the session, `$3`.
    pub id: String,
    pub name: String,
    /// tmux's own id of the pane in which the program was started, `%7`.
    pub pane: String,
    pub state: PaneState,
    /// Seconds since the Unix epoch.
    pub created: i64,
    /// How many terminals show the session.
    pub attached: u32,
    /// Whether the pane is in copy mode, say, where keys do not reach the program.
    pub in_mode: bool,
    pub tags: Tags,
}

/// Whether the program in a pane still runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaneState {
    Running {
        pid: u32,
    },
    /// The exit code, or 128 and the signal's number; `None` where tmux does not know.
    Dead {
        code: Option<i32>,
    },
}

/// The fields of a row. `|` separates them, because it is neither in an id or a number nor in a tag as we write it; the
/// session's name, which for a session of somebody else may hold one, is last.
const FORMAT: &str = "#{@vermas_pane}|#{pane_id}|#{session_id}|#{pane_pid}|#{pane_dead}|#{pane_dead_status}|\
#{pane_dead_signal}|#{session_created}|#{session_attached}|#{pane_in_mode}|#{@vermas_slot}|#{@vermas_agent}|\
#{@vermas_factory}|#{session_name}";
const FIELDS: usize = 14;

impl Server {
    /// The sessions of ours whose name begins with `prefix`, by name.
    pub fn list_sessions(&self, prefix: &str) -> Result<Vec<Session>, TmuxError> {
        let read = || -> Result<Vec<Session>, TmuxError> {
            let rows = self.rows()?;
            Ok(rows.iter().filter_map(|r| parse(r)).filter(|s| s.name.starts_with(prefix)).collect())
        };
        let mut sessions = read()?;
        // tmux 3.3 sometimes misses the signal of a program that ends just after its start, and then knows of its exit
        // code only when it hears of another child's end. Here is one.
        if sessions.iter().any(|s| s.state == PaneState::Dead { code: None }) {
            self.run(RunShell::new().shell_command("true").build())?;
            sessions = read()?;
        }
        sessions.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(sessions)
    }

    /// The session of ours with exactly this name.
    pub fn find(&self, name: &str) -> Result<Option<Session>, TmuxError> {
        Ok(self.list_sessions(name)?.into_iter().find(|s| s.name == name))
    }

    /// Whether there is a session with exactly this name, whoever made it.
    pub fn has_session(&self, name: &str) -> Result<bool, TmuxError> {
        Ok(self.rows()?.iter().any(|r| r.splitn(FIELDS, '|').last() == Some(name)))
    }

    /// The last `lines` lines that the pane shows or has scrolled away, without the empty ones at the end. Lines that
    /// the pane has wrapped are joined.
    pub fn capture(&self, name: &str, lines: usize) -> Result<Vec<String>, TmuxError> {
        let session = self.find(name)?.ok_or_else(|| TmuxError::NoSession { name: name.to_owned() })?;
        let capture = CapturePane::new().stdout().join().start_line(format!("-{lines}")).target_pane(session.pane);
        let output = self.run(capture.build())?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let all: Vec<&str> = text.trim_end().lines().map(str::trim_end).collect();
        Ok(all[all.len().saturating_sub(lines)..].iter().map(|l| (*l).to_owned()).collect())
    }

    /// The names of the variables that the server gives to every pane; none when there is no server.
    pub fn environment_names(&self) -> Result<Vec<String>, TmuxError> {
        let output = self.ask(ShowEnvironment::new().global().build())?;
        let text = output.map(|o| o.text()).unwrap_or_default();
        Ok(text.lines().filter_map(|l| l.split_once('=')).map(|(name, _)| name.to_owned()).collect())
    }

    /// A row for every pane of every session. A session of ours has the pane in which its program runs; the panes that
    /// a person opened beside it are rows, too.
    fn rows(&self) -> Result<Vec<String>, TmuxError> {
        let output = self.ask(ListPanes::new().all().format(FORMAT).build())?;
        Ok(output.map(|o| o.text()).unwrap_or_default().lines().map(str::to_owned).collect())
    }
}

/// A session from the row of the pane in which its program was started; `None` for any other pane.
fn parse(row: &str) -> Option<Session> {
    let f: Vec<&str> = row.splitn(FIELDS, '|').collect();
    let [tagged, pane, id, pid, dead, status, signal, created, attached, mode, slot, agent, factory, name] =
        f.try_into().ok()?;
    if tagged.is_empty() || tagged != pane {
        return None;
    }
    let state = if dead == "1" {
        let code = status.parse().ok().or_else(|| signal.parse::<i32>().ok().map(|s| 128 + s));
        PaneState::Dead { code }
    } else {
        PaneState::Running { pid: pid.parse().ok()? }
    };
    Some(Session {
        id: id.to_owned(),
        name: name.to_owned(),
        pane: pane.to_owned(),
        state,
        created: created.parse().ok()?,
        attached: attached.parse().unwrap_or(0),
        in_mode: !mode.is_empty() && mode != "0",
        tags: Tags { slot: tag_decode(slot), agent: tag_decode(agent), factory: tag_decode(factory) },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_ours_is_read_whole() {
        let s = parse("%4|%4|$2|77|0|||1700000000|1|0|slot0|app/workers/slot0|my%7capp|worker-app-slot0").unwrap();
        assert_eq!((s.id.as_str(), s.pane.as_str(), s.name.as_str()), ("$2", "%4", "worker-app-slot0"));
        assert_eq!((s.state, s.created, s.attached), (PaneState::Running { pid: 77 }, 1_700_000_000, 1));
        assert_eq!(s.tags.factory, "my|app");
    }

    #[test]
    fn the_end_of_a_program_is_a_code_or_a_signal() {
        let state = |row: &str| parse(row).unwrap().state;
        assert_eq!(state("%4|%4|$2|77|1|3||1|0|0||||a"), PaneState::Dead { code: Some(3) });
        assert_eq!(state("%4|%4|$2|77|1||9|1|0|0||||a"), PaneState::Dead { code: Some(137) });
        assert_eq!(state("%4|%4|$2|77|1|||1|0|0||||a"), PaneState::Dead { code: None });
    }

    #[test]
    fn a_pane_that_a_person_opened_is_not_taken_for_the_program() {
        assert_eq!(parse("%4|%5|$2|78|0|||1|0|0|slot0|a|f|worker"), None);
        assert_eq!(parse("|%5|$2|78|0|||1|0|0||||mine|with a bar"), None);
    }
}

//! Decisions: from the present state and a wish to the events that fulfil it, or a refusal that says why not.
//!
//! Pure: whoever calls gives the state in and stamps the drafts that come out.

pub mod assignment;
pub mod event;
pub mod mail;
pub mod order;
pub mod undo;
pub mod work;

//! Identifiers, parsed at the edge: a value that exists has a valid form, so nothing below checks again.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::crockford;
use super::text::quoted;

/// The text has not the form of the id that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadId {
    #[error("{0} is no id of this kind: an id looks like wo-3f9k2m8q1x")]
    Ref(String),
    #[error(
        "{0} is no agent: an agent is ceo, operations, or factory/role with up to three parts of a-z, 0-9, _ and -"
    )]
    Agent(String),
}

/// An id with a prefix, `wo-3f9k2m8q1x`, `msg-…`, `proc-…`, or a foreign one: `[a-z]{1,8}-[A-Za-z0-9_]{1,64}(\.[0-9]+)*`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RefId(String);

/// A work order's id.
pub type OrderId = RefId;

/// How many characters follow the prefix of a new id: 50 random bits.
const DIGITS: u32 = 10;
const LONGEST: usize = 128;

impl RefId {
    /// A new id of this kind from 50 bits of `random`.
    pub fn new(prefix: &str, random: u64) -> Self {
        Self(format!("{prefix}-{}", crockford::encode(random, DIGITS)))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn prefix(&self) -> &str {
        self.0.split('-').next().unwrap_or_default()
    }

    /// The work order that a hierarchical foreign id (`wo-abc.1`) is a child of.
    pub fn hierarchical_parent(&self) -> Option<Self> {
        self.0.rsplit_once('.').map(|(parent, _)| Self(parent.to_owned()))
    }
}

impl FromStr for RefId {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        if is_ref_id(text) { Ok(Self(text.to_owned())) } else { Err(BadId::Ref(quoted(text))) }
    }
}

fn is_ref_id(text: &str) -> bool {
    let Some((prefix, rest)) = text.split_once('-') else { return false };
    let mut parts = rest.split('.');
    let first = parts.next().unwrap_or_default();
    text.len() <= LONGEST
        && (1..=8).contains(&prefix.len())
        && prefix.bytes().all(|b| b.is_ascii_lowercase())
        && (1..=64).contains(&first.len())
        && first.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && parts.all(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()))
}

/// An agent's address: `ceo`, `operations`, `{factory}/supervisor`, `{factory}/workers/slot0`, …
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgentId(String);

impl AgentId {
    pub fn ceo() -> Self {
        Self("ceo".to_owned())
    }

    /// Whoever changed a shared file without saying so in an event.
    pub fn foreign() -> Self {
        Self("foreign".to_owned())
    }

    /// The worker in a slot of a factory.
    pub fn worker(factory: &str, slot: u32) -> Self {
        Self(format!("{factory}/workers/slot{slot}"))
    }

    pub fn supervisor(factory: &str) -> Self {
        Self(format!("{factory}/supervisor"))
    }

    pub fn qa(factory: &str) -> Self {
        Self(format!("{factory}/qa"))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The factory and slot number, when this is a worker.
    pub fn as_worker(&self) -> Option<(&str, u32)> {
        let (factory, rest) = self.0.split_once("/workers/slot")?;
        let plain = rest == "0" || !rest.starts_with('0');
        rest.parse().ok().filter(|_| plain).map(|n| (factory, n))
    }

    /// The name of this agent's assignment file. Different agents may fall on the same name.
    pub fn assignment_file(&self) -> String {
        format!(".assignment-{}", self.0.replace('/', "-"))
    }
}

impl FromStr for AgentId {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let segments: Vec<&str> = text.split('/').collect();
        if segments.len() <= 3 && segments.iter().all(|s| is_segment(s)) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadId::Agent(quoted(text)))
        }
    }
}

/// One part of an agent's address, or a factory's name: `[a-z0-9][a-z0-9_-]{0,62}`.
pub fn is_segment(s: &str) -> bool {
    (1..=63).contains(&s.len())
        && s.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && s.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-')
}

/// A directory's name made into a factory's: lower case, everything else a `-`.
pub fn segment_from(name: &str) -> String {
    let mapped: String = name
        .chars()
        .map(|c| c.to_ascii_lowercase())
        .map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' { c } else { '-' })
        .collect();
    let trimmed: String = mapped.trim_matches(|c| c == '-' || c == '_').chars().take(63).collect();
    if is_segment(&trimmed) { trimmed } else { "factory".to_owned() }
}

macro_rules! text_like {
    ($t:ty) => {
        impl fmt::Display for $t {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
        impl Serialize for $t {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str(&self.0)
            }
        }
        impl<'de> Deserialize<'de> for $t {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
text_like!(RefId);
text_like!(AgentId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_ids_are_valid_and_paths_are_not() {
        for good in ["wo-abc12", "wo-test123", "hq-x_Y", "wo-abc.1.2", "msg-0"] {
            assert!(good.parse::<RefId>().is_ok(), "{good}");
        }
        for bad in
            ["", "wo", "wo-", "-wo-a", "wo-../x", "wo-a/b", "wo-a.", "wo-a.b", "WO-a", "wo-a\n", "toolongprefix-a"]
        {
            assert!(bad.parse::<RefId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn agents_have_up_to_three_plain_segments() {
        for good in ["ceo", "app/supervisor", "app/workers/slot0", "my-app_2/qa/judge"] {
            assert!(good.parse::<AgentId>().is_ok(), "{good}");
        }
        for bad in ["", "/", "a/", "../x", "a/b/c/d", "-a", "A", "a b", "a\u{1b}"] {
            assert!(bad.parse::<AgentId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_worker_knows_its_slot() {
        assert_eq!(AgentId::worker("app", 3).as_worker(), Some(("app", 3)));
        assert_eq!("app/workers/slot03".parse::<AgentId>().unwrap().as_worker(), None);
    }

    #[test]
    fn any_directory_name_makes_a_factory() {
        assert_eq!(segment_from("My.Project:2"), "my-project-2");
        assert_eq!(segment_from("..."), "factory");
    }

    #[test]
    fn new_ids_have_ten_digits() {
        assert_eq!(RefId::new("wo", 0).as_str(), "wo-0000000000");
        assert!(RefId::new("wo", u64::MAX).as_str().parse::<RefId>().is_ok());
    }
}

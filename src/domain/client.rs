//! Who may call: platforms, offices and administrators.

use super::region::Region;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a client is. A worker is no client: they come by a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Platform,
    Office,
    Admin,
}

impl Role {
    pub fn code(self) -> &'static str {
        match self {
            Role::Platform => "platform",
            Role::Office => "office",
            Role::Admin => "admin",
        }
    }

    pub fn parse(code: &str) -> Option<Self> {
        [Role::Platform, Role::Office, Role::Admin].into_iter().find(|r| r.code() == code)
    }
}

/// A platform's slug, `[a-z0-9-]{1,40}`: the key of its tenancy.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Slug(String);

impl Slug {
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (1..=40).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        fits.then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a client is allowed, as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    pub id: super::id::ClientId,
    pub role: Role,
    /// A platform's slug, or what an office or administrator is called.
    pub name: String,
    /// The subtree an office may see.
    pub region: Region,
    /// The format a platform sends unless it says otherwise.
    pub adapter: String,
    pub revoked: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_is_short_and_plain() {
        assert!(Slug::parse("wuba-daojia").is_some());
        for bad in ["", "Meituan", "a b", "美团", "a/b", &"x".repeat(41)] {
            assert!(Slug::parse(bad).is_none(), "{bad}");
        }
    }
}

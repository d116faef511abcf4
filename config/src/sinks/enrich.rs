//! What is added to events before they are delivered.

use std::path::PathBuf;

/// One of them at least.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrich {
    pub geoip: Option<Geoip>,
    pub user_agent: Option<UserAgent>,
}

/// What a user agent's text tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserAgent {
    /// The field with the text. Default `user_agent.original`.
    pub field: String,
}

/// Where an address is, by databases in MaxMind's format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Geoip {
    /// The field with the address. Default `source.ip`.
    pub field: String,
    /// Of cities or countries.
    pub database: PathBuf,
    /// Of autonomous systems.
    pub asn_database: Option<PathBuf>,
}

//! Exit codes of every program of the project, after sysexits.h where it has one.

/// Something failed.
pub const FAILED: u8 = 1;
/// Wrong usage (EX_USAGE): unknown command or option.
pub const USAGE: u8 = 64;
/// Wrong configuration (EX_CONFIG).
pub const CONFIG: u8 = 78;

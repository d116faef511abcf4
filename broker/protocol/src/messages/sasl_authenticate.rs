//! SaslAuthenticate (36): one step of the SASL exchange.

use std::borrow::Cow;

use crate::ErrorCode;

message! {
    SaslAuthenticateRequest<'a>: SaslAuthenticate 0..=2 {
        auth_bytes: &'a [u8],
    }
}

message! {
    SaslAuthenticateResponse<'a>: SaslAuthenticate 0..=2 {
        error_code: ErrorCode,
        error_message: Option<Cow<'a, str>> [0.., nullable 0..],
        auth_bytes: Cow<'a, [u8]>,
        session_lifetime_ms: i64 [1..],
    }
}

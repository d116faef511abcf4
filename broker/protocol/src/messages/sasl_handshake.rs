//! SaslHandshake (17): picks the SASL mechanism; after version 0 bare tokens follow, after version 1 SaslAuthenticate.

use std::borrow::Cow;

use crate::ErrorCode;

message! {
    SaslHandshakeRequest<'a>: SaslHandshake 0..=1 {
        mechanism: &'a str,
    }
}

message! {
    SaslHandshakeResponse<'a>: SaslHandshake 0..=1 {
        error_code: ErrorCode,
        mechanisms: Vec<Cow<'a, str>>,
    }
}

//! Signatures by which a receiver knows the sender: HMAC-SHA256.

use base64::{Engine, engine::general_purpose::STANDARD};
use logmill_config::sinks::{Scheme, Sign};
use openssl::{error::ErrorStack, hash::MessageDigest, pkey::PKey, sha::Sha256, sign::Signer};

/// The headers that sign `body`. `seconds` is the time of sending, since the epoch.
pub(super) fn headers(sign: &Sign, id: &str, seconds: i64, body: &[u8]) -> Vec<(&'static str, String)> {
    let seconds = seconds.to_string();
    match sign.scheme {
        Scheme::HubSha256 => {
            let hex = hmac(&sign.secret, &[body]).map(|mac| hex(&mac)).unwrap_or_default();
            vec![("x-hub-signature-256", format!("sha256={hex}"))]
        }
        Scheme::StandardWebhooks => {
            let signed = [id.as_bytes(), b".", seconds.as_bytes(), b".", body];
            let mac = hmac(&sign.secret, &signed).map(|mac| STANDARD.encode(mac)).unwrap_or_default();
            vec![
                ("webhook-id", id.to_owned()),
                ("webhook-timestamp", seconds),
                ("webhook-signature", format!("v1,{mac}")),
            ]
        }
    }
}

/// The identity of several events sent together: the same for the same events.
pub(super) fn batch_id<'a>(ids: impl Iterator<Item = &'a [u8]>) -> String {
    let mut hash = Sha256::new();
    for id in ids {
        hash.update(id);
        hash.update(b"\n");
    }
    format!("batch-{}", hex(hash.finish().get(..16).unwrap_or_default()))
}

fn hmac(secret: &[u8], parts: &[&[u8]]) -> Result<Vec<u8>, ErrorStack> {
    let key = PKey::hmac(secret)?;
    let mut signer = Signer::new(MessageDigest::sha256(), &key)?;
    for part in parts {
        signer.update(part)?;
    }
    signer.sign_to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers() {
        // GitHub's documented example.
        let hub = Sign { scheme: Scheme::HubSha256, secret: b"It's a Secret to Everybody".to_vec() };
        assert_eq!(
            headers(&hub, "x", 0, b"Hello, World!"),
            [(
                "x-hub-signature-256",
                "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17".to_owned()
            )]
        );
        // The example of the Standard Webhooks specification's libraries.
        let secret = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let standard = Sign { scheme: Scheme::StandardWebhooks, secret };
        let found = headers(&standard, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(found[2], ("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=".to_owned()));
        assert_eq!(found[1].1, "1614265330");
    }

    #[test]
    fn a_batch_is_known_by_its_events() {
        let id = |ids: &[&str]| batch_id(ids.iter().map(|id| id.as_bytes()));
        assert_eq!(id(&["a", "b"]), id(&["a", "b"]));
        assert_ne!(id(&["a", "b"]), id(&["b", "a"]));
        assert_ne!(id(&["a", "b"]), id(&["ab"]));
        assert_eq!(id(&["a"]).len(), 38);
    }
}

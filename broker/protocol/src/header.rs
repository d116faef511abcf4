//! Request headers v0-2 and response headers v0-1.

use crate::codec::{DecodeError, DecodeErrorKind, EncodeError, Field, Reader, Wire, Writer};
use crate::messages::api_versions::ApiVersionsRequest;
use crate::{ApiKey, Message};

/// What stands in front of every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestHeader<'a> {
    pub api_key: ApiKey,
    pub api_version: i16,
    pub correlation_id: i32,
    /// What the client calls itself; the absence of it is null.
    pub client_id: Option<&'a str>,
}

impl<'a> RequestHeader<'a> {
    /// Reads the header; its own version follows from the API key and version.
    ///
    /// An ApiVersions request of a version yet unknown is read as far as the correlation id only, so that it can be
    /// answered with version 0 and `UNSUPPORTED_VERSION`.
    pub fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Self::decode_inner(r).map_err(|error| error.in_field("RequestHeader"))
    }

    fn decode_inner(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let code = r.i16()?;
        let Some(api_key) = ApiKey::from_code(code) else {
            return Err(r.error(DecodeErrorKind::UnknownApiKey(code)));
        };
        let api_version = r.i16()?;
        let correlation_id = r.i32()?;
        let mut header = Self { api_key, api_version, correlation_id, client_id: None };
        if api_key == ApiKey::ApiVersions && !ApiVersionsRequest::VERSIONS.contains(&api_version) {
            return Ok(header);
        }
        let version = api_key.request_header_version(api_version);
        if version >= 1 {
            // Not compact even in version 2.
            header.client_id = Field::decode(r, Wire { version, flexible: false, nullable: true })?;
        }
        if version >= 2 {
            r.skip_tagged_fields()?;
        }
        Ok(header)
    }

    pub fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        let version = self.api_key.request_header_version(self.api_version);
        w.put_i16(self.api_key.code());
        w.put_i16(self.api_version);
        w.put_i32(self.correlation_id);
        if version >= 1 {
            let wire = Wire { version, flexible: false, nullable: true };
            Field::encode(&self.client_id, w, wire).map_err(|error| error.in_field("RequestHeader.client_id"))?;
        }
        if version >= 2 {
            w.put_uvarint(0);
        }
        Ok(())
    }
}

/// What stands in front of every response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResponseHeader {
    pub correlation_id: i32,
}

impl ResponseHeader {
    /// Reads the header of a response to a request of this key and version.
    pub fn decode(r: &mut Reader<'_>, key: ApiKey, version: i16) -> Result<Self, DecodeError> {
        let correlation_id = r.i32()?;
        if key.response_header_version(version) >= 1 {
            r.skip_tagged_fields()?;
        }
        Ok(Self { correlation_id })
    }

    pub fn encode(&self, w: &mut Writer, key: ApiKey, version: i16) {
        w.put_i32(self.correlation_id);
        if key.response_header_version(version) >= 1 {
            w.put_uvarint(0);
        }
    }
}

//! IncrementalAlterConfigs (KIP-339), which the rdkafka crate does not wrap; its own AlterConfigs replaces everything and hides what the broker
//! answers.
//!
//! The only unsafe code of this crate: every pointer that librdkafka makes is held by an [`Owned`] that frees it once.

use std::{
    ffi::{CStr, CString, c_char},
    ptr::NonNull,
    time::Duration,
};

use anyhow::{Context as _, anyhow, bail};
use rdkafka::{
    admin::AdminClient,
    bindings::{
        rd_kafka_AdminOptions_destroy, rd_kafka_AdminOptions_new, rd_kafka_AdminOptions_set_request_timeout,
        rd_kafka_AdminOptions_set_validate_only, rd_kafka_AlterConfigOpType_t as Op,
        rd_kafka_ConfigResource_add_incremental_config, rd_kafka_ConfigResource_destroy, rd_kafka_ConfigResource_error,
        rd_kafka_ConfigResource_error_string, rd_kafka_ConfigResource_new, rd_kafka_IncrementalAlterConfigs,
        rd_kafka_IncrementalAlterConfigs_result_resources, rd_kafka_ResourceType_t as ResourceType,
        rd_kafka_admin_op_t as AdminOp, rd_kafka_error_destroy, rd_kafka_error_string,
        rd_kafka_event_IncrementalAlterConfigs_result, rd_kafka_event_destroy, rd_kafka_event_error,
        rd_kafka_event_error_string, rd_kafka_queue_destroy, rd_kafka_queue_new, rd_kafka_queue_poll,
        rd_kafka_resp_err_t as ErrorCode,
    },
    client::DefaultClientContext,
};

/// What settings belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Resource {
    Topic(String),
    Broker(i32),
}

/// A change of one setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Edit {
    Set(String, String),
    /// Back to its default.
    Delete(String),
    /// Adds items to a list.
    Append(String, String),
    /// Takes items out of a list.
    Subtract(String, String),
}

/// A pointer from librdkafka and how to free it.
struct Owned<T> {
    pointer: NonNull<T>,
    free: unsafe extern "C" fn(*mut T),
}

impl<T> Owned<T> {
    fn new(pointer: *mut T, free: unsafe extern "C" fn(*mut T)) -> anyhow::Result<Self> {
        let pointer = NonNull::new(pointer).context("librdkafka is out of memory")?;
        Ok(Self { pointer, free })
    }

    fn as_ptr(&self) -> *mut T {
        self.pointer.as_ptr()
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: `new` got the pointer from the function that `free` belongs to, and nothing else frees it.
        unsafe { (self.free)(self.pointer.as_ptr()) }
    }
}

/// Makes all of the changes or none; the broker's own words if it refuses. Waits for the answer.
pub(crate) fn alter_configs(
    admin: &AdminClient<DefaultClientContext>,
    resource: &Resource,
    edits: &[Edit],
    validate_only: bool,
    timeout: Duration,
) -> anyhow::Result<()> {
    let client = admin.inner().native_ptr();
    let timeout_ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    let config = config_resource(resource, edits)?;
    // SAFETY: `client` lives as long as `admin`, which outlives everything made here; the options and the queue are freed once, and before it.
    let options = Owned::new(
        unsafe { rd_kafka_AdminOptions_new(client, AdminOp::RD_KAFKA_ADMIN_OP_INCREMENTALALTERCONFIGS) },
        rd_kafka_AdminOptions_destroy,
    )?;
    let mut why = [0 as c_char; 256];
    // SAFETY: the options are alive, and `why` has the length that is given.
    let wrong = unsafe {
        let timeout =
            rd_kafka_AdminOptions_set_request_timeout(options.as_ptr(), timeout_ms, why.as_mut_ptr(), why.len());
        let validate = rd_kafka_AdminOptions_set_validate_only(
            options.as_ptr(),
            i32::from(validate_only),
            why.as_mut_ptr(),
            why.len(),
        );
        timeout != ErrorCode::RD_KAFKA_RESP_ERR_NO_ERROR || validate != ErrorCode::RD_KAFKA_RESP_ERR_NO_ERROR
    };
    if wrong {
        // SAFETY: librdkafka ends what it writes into the buffer with a NUL.
        bail!("cannot ask the broker: {}", unsafe { words(why.as_ptr()) });
    }
    // SAFETY: as for the options.
    let queue = Owned::new(unsafe { rd_kafka_queue_new(client) }, rd_kafka_queue_destroy)?;
    let mut configs = [config.as_ptr()];
    // SAFETY: everything is alive; librdkafka copies the resources before it returns.
    unsafe {
        rd_kafka_IncrementalAlterConfigs(client, configs.as_mut_ptr(), configs.len(), options.as_ptr(), queue.as_ptr());
    }
    // The answer comes, well or not, when the request's own time is up at the latest.
    // SAFETY: the queue is alive; an event belongs to whoever polled it.
    let event = unsafe { rd_kafka_queue_poll(queue.as_ptr(), timeout_ms.saturating_add(1000)) };
    let event = Owned::new(event, rd_kafka_event_destroy).map_err(|_| anyhow!("no answer within {timeout:?}"))?;
    // SAFETY: the event is alive, and with it its message, the result and the resources in it, of which there are `count`.
    unsafe {
        if rd_kafka_event_error(event.as_ptr()) != ErrorCode::RD_KAFKA_RESP_ERR_NO_ERROR {
            bail!("{}", words(rd_kafka_event_error_string(event.as_ptr())));
        }
        let result = rd_kafka_event_IncrementalAlterConfigs_result(event.as_ptr());
        if result.is_null() {
            bail!("librdkafka answered with something else");
        }
        let mut count = 0;
        let resources = rd_kafka_IncrementalAlterConfigs_result_resources(result, &mut count);
        for at in 0..count {
            let resource = *resources.add(at);
            if rd_kafka_ConfigResource_error(resource) != ErrorCode::RD_KAFKA_RESP_ERR_NO_ERROR {
                bail!("{}", words(rd_kafka_ConfigResource_error_string(resource)));
            }
        }
    }
    Ok(())
}

fn config_resource(
    resource: &Resource,
    edits: &[Edit],
) -> anyhow::Result<Owned<rdkafka::bindings::rd_kafka_ConfigResource_t>> {
    let (kind, name) = match resource {
        Resource::Topic(name) => (ResourceType::RD_KAFKA_RESOURCE_TOPIC, c_string(name)?),
        Resource::Broker(id) => (ResourceType::RD_KAFKA_RESOURCE_BROKER, c_string(&id.to_string())?),
    };
    // SAFETY: the name is a C string, which librdkafka copies.
    let config = unsafe { rd_kafka_ConfigResource_new(kind, name.as_ptr()) };
    let config = Owned::new(config, rd_kafka_ConfigResource_destroy)?;
    for edit in edits {
        let (operation, name, value) = match edit {
            Edit::Set(name, value) => (Op::RD_KAFKA_ALTER_CONFIG_OP_TYPE_SET, name, Some(value)),
            Edit::Delete(name) => (Op::RD_KAFKA_ALTER_CONFIG_OP_TYPE_DELETE, name, None),
            Edit::Append(name, value) => (Op::RD_KAFKA_ALTER_CONFIG_OP_TYPE_APPEND, name, Some(value)),
            Edit::Subtract(name, value) => (Op::RD_KAFKA_ALTER_CONFIG_OP_TYPE_SUBTRACT, name, Some(value)),
        };
        let (name, value) = (c_string(name)?, value.map(|value| c_string(value)).transpose()?);
        let value = value.as_ref().map_or(std::ptr::null(), |value| value.as_ptr());
        // SAFETY: the resource is alive, name and value are C strings (or null, for a deletion), which librdkafka copies; an error is the
        // caller's to free.
        let error =
            unsafe { rd_kafka_ConfigResource_add_incremental_config(config.as_ptr(), name.as_ptr(), operation, value) };
        if let Ok(error) = Owned::new(error, rd_kafka_error_destroy) {
            // SAFETY: the error is alive, and its text with it.
            bail!("{}", unsafe { words(rd_kafka_error_string(error.as_ptr())) });
        }
    }
    Ok(config)
}

fn c_string(text: &str) -> anyhow::Result<CString> {
    CString::new(text).with_context(|| format!("{text:?} has a zero byte"))
}

/// # Safety
/// Null, or a C string that lives during the call.
unsafe fn words(text: *const c_char) -> String {
    if text.is_null() {
        return "the broker gives no reason".to_owned();
    }
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

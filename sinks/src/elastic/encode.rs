//! The action line of a document: operation, index name, `_id`.

use logmill_config::sinks::{Id, Op};

use super::index_name::{IndexNames, IndexTemplate};
use crate::{
    connector::{Class, Encode},
    event::Event,
};

/// Writes action lines.
pub(crate) struct ActionLines {
    action: &'static [u8],
    id: Id,
    template: IndexTemplate,
    names: IndexNames,
}

impl ActionLines {
    pub(super) fn new(op: Op, id: Id, template: IndexTemplate) -> Self {
        let action: &[u8] = match op {
            Op::Create => b"{\"create\":{\"_index\":\"",
            Op::Index => b"{\"index\":{\"_index\":\"",
        };
        Self { action, id, names: IndexNames::new(template.clone()), template }
    }
}

impl Encode for ActionLines {
    fn fields(&self) -> Vec<String> {
        self.template.fields().to_vec()
    }

    fn head(&mut self, event: &Event<'_>, head: &mut Vec<u8>) -> Result<u128, (Class, String)> {
        let index = self.names.name(event.hour(), &event.fields.values).map_err(|reason| (Class::IndexName, reason))?;
        head.extend_from_slice(self.action);
        head.extend_from_slice(index.as_bytes());
        head.extend_from_slice(b"\",\"_id\":\"");
        event.write_id(self.id, head);
        head.extend_from_slice(b"\"}}\n");
        Ok(event.id_identity(self.id))
    }
}

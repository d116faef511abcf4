//! Where an address is, beside the field that holds it: `geo` and `as` of ECS.

use std::{net::IpAddr, sync::Arc};

use logmill_config::sinks::Geoip;
use serde_json::{Map, Value};

use super::{beside, database::Database, insert, recent::Recent};
use crate::document::Fields;

/// Of each of two generations.
const KEPT: usize = 4096;

/// The databases of one sink, open.
#[derive(Clone)]
pub(super) struct Databases {
    databases: Arc<Vec<Database>>,
    config: Geoip,
}

/// Looks up for one reader.
pub(super) struct Addresses {
    databases: Arc<Vec<Database>>,
    fields: Fields,
    /// Below which `geo` and `as` are put.
    parent: Vec<String>,
    pub(super) places: Recent<IpAddr, Place>,
}

/// JSON as it is put into events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Place {
    geo: Option<String>,
    autonomous_system: Option<String>,
}

impl Databases {
    /// # Errors
    /// One is missing or is none.
    pub(super) fn open(config: &Geoip) -> Result<Self, String> {
        let paths = std::iter::once(&config.database).chain(&config.asn_database);
        let databases: Vec<_> = paths.map(|path| Database::open(path)).collect::<Result<_, _>>()?;
        Ok(Self { databases: Arc::new(databases), config: config.clone() })
    }

    pub(super) fn addresses(&self) -> Addresses {
        let field = &self.config.field;
        Addresses {
            databases: self.databases.clone(),
            fields: Fields::new(std::slice::from_ref(field)),
            parent: beside(field),
            places: Recent::new(KEPT),
        }
    }
}

impl Addresses {
    /// `value`, one JSON object, with what is known of its address, or why nothing was added.
    pub(super) fn add(&mut self, value: &[u8]) -> Result<Vec<u8>, &'static str> {
        self.fields.read(value).map_err(|_| "no_address")?;
        let text = self.fields.values.first().and_then(Option::as_deref).ok_or("no_address")?;
        let address: IpAddr = text.trim().parse().map_err(|_| "no_address")?;
        let place = self.of(address);
        let parts = [("geo", &place.geo), ("as", &place.autonomous_system)];
        let parts = parts.into_iter().filter_map(|(name, json)| Some((name, json.as_deref()?)));
        insert::all(value, &self.parent, parts).ok_or("unknown")
    }

    pub(super) fn of(&mut self, address: IpAddr) -> Arc<Place> {
        // An IPv4 address in IPv6's clothes is an IPv4 address.
        let address = address.to_canonical();
        let databases = &self.databases;
        self.places.get(&address, || look_up(databases, address))
    }
}

fn look_up(databases: &[Database], address: IpAddr) -> Place {
    let (mut geo, mut autonomous_system) = (Map::new(), Map::new());
    for database in databases {
        let (more, system) = database.look_up(address);
        geo.extend(more);
        autonomous_system.extend(system);
    }
    let text = |map: Map<String, Value>| (!map.is_empty()).then(|| Value::Object(map).to_string());
    Place { geo: text(geo), autonomous_system: text(autonomous_system) }
}

//! A database in MaxMind's format, held in memory: a file that is replaced or cut while it is open harms nothing.

use std::{fs::File, io::Read, net::IpAddr, path::Path};

use maxminddb::Reader;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// A larger file is refused; cities of all the world have about 60 MiB.
const MOST: u64 = 512 << 20;

pub(super) struct Database(Reader<Vec<u8>>);

/// What databases of cities, countries and autonomous systems tell, as far as ECS has a field for it.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Told<'a> {
    #[serde(borrow)]
    continent: Part<'a>,
    country: Part<'a>,
    subdivisions: Vec<Part<'a>>,
    city: Part<'a>,
    postal: Part<'a>,
    location: Location<'a>,
    autonomous_system_number: Option<u32>,
    autonomous_system_organization: Option<&'a str>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Part<'a> {
    #[serde(borrow)]
    code: Option<&'a str>,
    iso_code: Option<&'a str>,
    names: Names<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Names<'a> {
    #[serde(borrow)]
    en: Option<&'a str>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Location<'a> {
    latitude: Option<f64>,
    longitude: Option<f64>,
    #[serde(borrow)]
    time_zone: Option<&'a str>,
}

impl Database {
    /// # Errors
    /// In words, with the path.
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        let failed = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(|e| failed(&e))?;
        file.take(MOST + 1).read_to_end(&mut bytes).map_err(|e| failed(&e))?;
        if bytes.len() as u64 > MOST {
            return Err(failed(&"larger than 512MiB"));
        }
        let reader =
            Reader::from_source(bytes).map_err(|e| failed(&format!("is no database of MaxMind's format: {e}")))?;
        Ok(Self(reader))
    }

    /// ECS `geo` and `as`; empty where nothing is known.
    pub(super) fn look_up(&self, address: IpAddr) -> (Map<String, Value>, Map<String, Value>) {
        let found = self.0.lookup(address).ok().and_then(|found| found.decode::<Told<'_>>().ok().flatten());
        let Some(told) = found else { return Default::default() };
        (geo(&told), autonomous_system(&told))
    }
}

fn geo(told: &Told<'_>) -> Map<String, Value> {
    let region = told.subdivisions.first();
    let region_code = told.country.iso_code.zip(region.and_then(|region| region.iso_code));
    let mut geo = Map::new();
    for (name, value) in [
        ("continent_code", told.continent.code),
        ("continent_name", told.continent.names.en),
        ("country_iso_code", told.country.iso_code),
        ("country_name", told.country.names.en),
        ("region_name", region.and_then(|region| region.names.en)),
        ("city_name", told.city.names.en),
        ("postal_code", told.postal.code),
        ("timezone", told.location.time_zone),
    ] {
        if let Some(value) = value {
            geo.insert(name.to_owned(), value.into());
        }
    }
    if let Some((country, region)) = region_code {
        geo.insert("region_iso_code".to_owned(), format!("{country}-{region}").into());
    }
    if let (Some(lat), Some(lon)) = (told.location.latitude, told.location.longitude) {
        geo.insert("location".to_owned(), json!({ "lat": lat, "lon": lon }));
    }
    geo
}

fn autonomous_system(told: &Told<'_>) -> Map<String, Value> {
    let mut system = Map::new();
    if let Some(number) = told.autonomous_system_number {
        system.insert("number".to_owned(), number.into());
    }
    if let Some(name) = told.autonomous_system_organization {
        system.insert("organization".to_owned(), json!({ "name": name }));
    }
    system
}

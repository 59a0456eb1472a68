//! The options about files that requests name by URI.

use std::str::FromStr;
use std::time::Duration;

use super::super::options::Key;
use super::super::value::{self, Wrong};
use super::Reader;
use super::access::path;
use crate::fetch::{Allowed, Config, Fetcher, Network, Networks};
use crate::limits;

/// Less than a name and a handshake take.
const TIMEOUT_MIN: Duration = Duration::from_millis(100);

/// None where something is wrong; inside, none where nothing is fetched.
#[expect(clippy::option_option, reason = "as Reader::read_or_unset has it")]
pub(super) fn fetch(reader: &mut Reader<'_>) -> Option<Option<Config>> {
    let origins = reader.read_or_unset(Key::FetchFrom, origins);
    let networks = reader.read_or_unset(Key::FetchNetworks, networks);
    let authorities = reader.read_or_unset(Key::FetchCa, path);
    let timeout = reader.read(Key::FetchTimeout, timeout);
    let at_once =
        reader.read(Key::FetchAtOnce, |text| value::count(text, &(1..=limits::FETCHES_MAX)));
    let (networks, authorities, timeout, at_once) = (networks?, authorities?, timeout?, at_once?);
    let Some(origins) = origins? else { return Some(None) };
    let networks = networks.unwrap_or_default();
    let config = Config { origins, networks, timeout, at_once, authorities };
    reachable(reader, &config)?;
    if let Err(error) = Fetcher::new(&config) {
        let key = if config.authorities.is_some() { Key::FetchCa } else { Key::FetchFrom };
        let given = reader.low.get(key)?;
        let remedy = "give a PEM file of authorities that sign for the origins";
        reader.note(given, Wrong::new(format!("cannot be used: {error}"), remedy));
        return None;
    }
    Some(Some(config))
}

/// An address that is listed as an origin and that no connection may go to would fail each request.
fn reachable(reader: &mut Reader<'_>, config: &Config) -> Option<()> {
    let networks = Networks::new(config.networks.clone());
    let mut addresses = config.origins.iter().filter_map(Allowed::address);
    let Some(hidden) = addresses.find(|address| !networks.allow(*address)) else {
        return Some(());
    };
    let given = reader.low.get(Key::FetchFrom)?;
    let length = if hidden.is_ipv4() { 32 } else { 128 };
    let reason = format!("has {hidden}, which is not public");
    let remedy = format!("list its network too: --fetch-networks {hidden}/{length}");
    reader.note(given, Wrong::new(reason, remedy));
    None
}

fn origins(text: &str) -> Result<Vec<Allowed>, Wrong> {
    let remedy = "give scheme and host, with a port where it is not the scheme's own: https://docs.example.com, or \
        https://*.docs.example.com for each name with one label more";
    listed(text, "origin", remedy)
}

fn networks(text: &str) -> Result<Vec<Network>, Wrong> {
    listed(text, "network", "give addresses with a length: 10.20.0.0/16,fd12:3456::/32")
}

/// Entries with commas between.
fn listed<T>(text: &str, what: &str, remedy: &str) -> Result<Vec<T>, Wrong>
where
    T: FromStr<Err: std::fmt::Display>,
{
    let entries: Vec<&str> = text.split(',').map(str::trim).collect();
    if entries.len() > limits::FETCH_LISTED_MAX {
        let reason = format!("has more than {} entries", limits::FETCH_LISTED_MAX);
        return Err(Wrong::new(reason, "list fewer, or one that stands for several"));
    }
    let entry = |entry: &str| {
        entry.parse().map_err(|error| {
            Wrong::new(format!("has {entry:?}, which is no {what}: it {error}"), remedy)
        })
    };
    entries.into_iter().map(entry).collect()
}

fn timeout(text: &str) -> Result<Duration, Wrong> {
    value::duration_within(text, &(TIMEOUT_MIN..=Duration::from_millis(limits::FETCH_MS_MAX)))
}

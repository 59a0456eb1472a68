//! The options that say who may call, and over what.

use std::path::PathBuf;
use std::time::Duration;

use super::super::checked::ServerConfig;
use super::super::options::Key;
use super::super::value::{self, Wrong};
use super::Reader;
use crate::access::{self, Quota};
use crate::placement::parse_bytes;
use crate::transport::{self, ClientTrust, TlsFiles};
use crate::{limits, service};

/// Quotas are small numbers; a bound for typing errors.
const QUOTA_MAX: usize = 1_000_000;

/// What opens a connection may take this long to be told to go; less would be a connection per call.
const CONNECTION_AGE_MIN: Duration = Duration::from_secs(1);

/// Networks pause for less than a second at times.
const TIMEOUT_MIN: Duration = Duration::from_secs(1);

pub(super) fn transport(reader: &mut Reader<'_>) -> Option<transport::Options> {
    let tls = tls(reader);
    let connections_max = reader
        .read(Key::MaxConnections, |text| value::count(text, &(1..=limits::CONNECTIONS_MAX * 10)));
    let connection_age = reader.read(Key::ConnectionAge, |text| {
        let age = value::duration(text)?;
        if !age.is_zero() && age < CONNECTION_AGE_MIN {
            return Err(Wrong::new("is too short", "give 1s or more, or 0s for never"));
        }
        Ok((!age.is_zero()).then_some(age))
    });
    Some(transport::Options {
        tls: tls?,
        connections_max: connections_max?,
        connection_age: connection_age?,
        ..transport::Options::default()
    })
}

pub(super) fn access(reader: &mut Reader<'_>) -> Option<access::Config> {
    let file = reader.read_or_unset(Key::AccessFile, |text| {
        let config = access::Config { file: Some(path(text)?), ..access::Config::default() };
        config.check(&service::rule_names()).map_err(|error| {
            let remedy = "correct it; docs/security.md shows a whole one";
            Wrong::new(format!("cannot be used: {error}"), remedy)
        })?;
        Ok(config.file)
    });
    let quota = |text: &str| -> Result<Option<u32>, Wrong> {
        let count = value::count(text, &(0..=QUOTA_MAX))?;
        Ok((count > 0).then_some(count as u32))
    };
    let in_flight = reader.read(Key::ClientInFlight, quota);
    let per_minute = reader.read(Key::ClientPerMinute, quota);
    let quota = Quota { in_flight: in_flight?, per_minute: per_minute? };
    let file = file?.flatten();
    if file.is_some() && !quota.is_none() {
        let given = [Key::ClientInFlight, Key::ClientPerMinute]
            .into_iter()
            .find_map(|key| reader.low.get(key).filter(|given| given.text.trim() != "0"));
        if let Some(given) = given {
            let remedy =
                "leave it out, and give the rules of --access-file in-flight or per-minute";
            reader.note(given, Wrong::new("has no meaning beside --access-file", remedy));
            return None;
        }
    }
    Some(access::Config { file, quota })
}

/// At least one request of the largest size.
pub(super) fn request_memory(text: &str) -> Result<usize, Wrong> {
    let remedy = "give a size of 64MiB or more: 2GiB";
    let bytes = parse_bytes(text.trim())
        .map_err(|error| Wrong::new(format!("is no size: {error}"), remedy))?;
    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
    if bytes < limits::REQUEST_BYTES_MAX {
        return Err(Wrong::new("is less than one request may have", remedy));
    }
    Ok(bytes)
}

/// No longer than a whole message may take.
pub(super) fn receive_timeout(text: &str) -> Result<Duration, Wrong> {
    value::duration_within(text, &(TIMEOUT_MIN..=Duration::from_millis(limits::MESSAGE_MS_MAX)))
}

/// The outer level is `wrong`, the inner one `no TLS`.
#[expect(clippy::option_option, reason = "as Reader::read_or_unset has it")]
fn tls(reader: &mut Reader<'_>) -> Option<Option<TlsFiles>> {
    let certificate = reader.read_or_unset(Key::TlsCert, path);
    let key = reader.read_or_unset(Key::TlsKey, path);
    let authorities = reader.read_or_unset(Key::TlsClientCa, path);
    let required = reader.read(Key::TlsClientAuth, |text| {
        value::one_of(text, &[("require", true), ("request", false)])
    });
    let (certificate, key, authorities, required) = (certificate?, key?, authorities?, required?);
    let clients = authorities.map(|authorities| ClientTrust { authorities, required });
    match (certificate, key) {
        (Some(certificate), Some(key)) => {
            let files = TlsFiles { certificate, key, clients };
            if let Err(error) = files.check() {
                let remedy = "give a PEM chain, its key, and authorities that fit together";
                let given = reader.low.get(Key::TlsCert)?;
                reader.note(given, Wrong::new(format!("cannot be used: {error}"), remedy));
                return None;
            }
            Some(Some(files))
        }
        (None, None) if clients.is_none() => Some(None),
        (certificate, key) => {
            let missing = match (certificate, key) {
                (Some(_), None) => "--tls-key",
                (None, Some(_)) => "--tls-cert",
                _ => "--tls-cert and --tls-key",
            };
            let given = [Key::TlsCert, Key::TlsKey, Key::TlsClientCa]
                .into_iter()
                .find_map(|key| reader.low.get(key))?;
            let wrong = Wrong::new(format!("needs {missing}"), format!("give {missing} too"));
            reader.note(given, wrong);
            None
        }
    }
}

pub(super) fn path(text: &str) -> Result<PathBuf, Wrong> {
    let path = PathBuf::from(text.trim());
    if path.is_file() {
        return Ok(path);
    }
    Err(Wrong::new("is no file here", "give the path of a file"))
}

/// What is worth a word about a configuration that is right.
pub(super) fn warnings(server: &ServerConfig) -> Vec<String> {
    let mut warnings = Vec::new();
    let public = !server.listen.ip().is_loopback();
    let tls = server.transport.tls.as_ref();
    let certificates = tls.and_then(|tls| tls.clients.as_ref()).is_some();
    let known = server.access.file.is_some() || certificates;
    match (public, tls.is_some(), known) {
        (true, false, false) => warnings.push(format!(
            "--listen {}: everybody who reaches this address can call, unencrypted; unless a mesh or a \
             proxy guards it, set --tls-cert, and --tls-client-ca or --access-file",
            server.listen
        )),
        (true, true, false) => warnings.push(format!(
            "--listen {}: everybody who reaches this address can call; set --tls-client-ca or \
             --access-file",
            server.listen
        )),
        (true, false, true) => warnings.push(format!(
            "--listen {}: keys and tokens travel unencrypted; unless a mesh encrypts, set --tls-cert",
            server.listen
        )),
        _ => {}
    }
    if let Some(Ok(Some(warning))) = tls.map(TlsFiles::check) {
        warnings.push(warning);
    }
    warnings.extend(server.access.warnings(&service::rule_names(), certificates));
    warnings
}

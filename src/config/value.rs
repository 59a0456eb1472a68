//! How one value is read: text in, a value or the reason and the remedy out.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use crate::placement::{DeviceMap, MapError};

/// Why a text is not the value it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}; {remedy}")]
pub struct Wrong {
    /// "is not a number"
    pub reason: String,
    /// "give a number from 1 to 1024"
    pub remedy: String,
}

impl Wrong {
    pub fn new(reason: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { reason: reason.into(), remedy: remedy.into() }
    }
}

/// A whole number within `range`.
pub fn count(text: &str, range: &RangeInclusive<usize>) -> Result<usize, Wrong> {
    let remedy = || format!("give a whole number from {} to {}", range.start(), range.end());
    let number: i128 =
        text.trim().parse().map_err(|_| Wrong::new("is not a whole number", remedy()))?;
    match usize::try_from(number) {
        Ok(count) if range.contains(&count) => Ok(count),
        _ if number < *range.start() as i128 => Err(Wrong::new("is too small", remedy())),
        _ => Err(Wrong::new("is too large", remedy())),
    }
}

/// As [`count`]; `auto` is none.
pub fn count_or_auto(text: &str, range: &RangeInclusive<usize>) -> Result<Option<usize>, Wrong> {
    if text.trim() == "auto" {
        return Ok(None);
    }
    count(text, range)
        .map(Some)
        .map_err(|wrong| Wrong { remedy: format!("{}, or auto", wrong.remedy), ..wrong })
}

/// A number from 0 to 1.
pub fn ratio(text: &str) -> Result<f64, Wrong> {
    let remedy = "give a number from 0 to 1";
    match text.trim().parse::<f64>() {
        Ok(ratio) if (0.0..=1.0).contains(&ratio) => Ok(ratio),
        Ok(_) => Err(Wrong::new("is not from 0 to 1", remedy)),
        Err(_) => Err(Wrong::new("is not a number", remedy)),
    }
}

/// `true` or `false`; also 1, 0, yes, no, on, off, which scripts use in variables.
pub fn switch(text: &str) -> Result<bool, Wrong> {
    match text.trim().to_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err(Wrong::new("is neither true nor false", "give true or false")),
    }
}

/// A length of time within `bounds`.
pub fn duration_within(text: &str, bounds: &RangeInclusive<Duration>) -> Result<Duration, Wrong> {
    let time = duration(text)?;
    if bounds.contains(&time) {
        return Ok(time);
    }
    let shown = |time: &Duration| match time.subsec_millis() {
        0 => format!("{}s", time.as_secs()),
        _ => format!("{}ms", time.as_millis()),
    };
    let reason = if time < *bounds.start() { "is too short" } else { "is too long" };
    Err(Wrong::new(reason, format!("give {} to {}", shown(bounds.start()), shown(bounds.end()))))
}

/// `500ms`, `30s`, `5m`, `1h`, and sums of them: `1m30s`.
pub fn duration(text: &str) -> Result<Duration, Wrong> {
    let remedy = "give a number with its unit: 500ms, 30s, 5m, 1h";
    let wrong = |reason: &str| Wrong::new(reason, remedy);
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(wrong("is empty"));
    }
    let mut sum = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let number: u64 = rest[..digits].parse().map_err(|_| wrong("is not a length of time"))?;
        let letters = rest[digits..].trim_start();
        let end = letters.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(letters.len());
        let (unit, tail) = letters.split_at(end);
        let unit_ms: u64 = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            "" => return Err(wrong("has no unit")),
            _ => return Err(wrong("has an unknown unit")),
        };
        let piece = number.checked_mul(unit_ms).filter(|ms| *ms <= DURATION_MS_MAX);
        sum += Duration::from_millis(piece.ok_or_else(|| wrong("is longer than a day"))?);
        rest = tail.trim_start();
    }
    if sum.as_millis() > u128::from(DURATION_MS_MAX) {
        return Err(wrong("is longer than a day"));
    }
    Ok(sum)
}

const DURATION_MS_MAX: u64 = 24 * 3_600_000;

/// An address to listen on: numbers, so that nothing depends on name servers.
pub fn address(text: &str) -> Result<SocketAddr, Wrong> {
    let text = text.trim();
    let numeric = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    numeric.as_deref().unwrap_or(text).parse().map_err(|_| {
        Wrong::new(
            "is not an address with a port",
            "give IP:PORT: 127.0.0.1:50051 for this machine only, 0.0.0.0:50051 for all",
        )
    })
}

/// An `http://` or `https://` URL with a host.
pub fn url(text: &str) -> Result<String, Wrong> {
    let text = text.trim();
    let host = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let parses = text.parse::<tonic::transport::Uri>().is_ok();
    match host {
        Some(host) if parses && !host.is_empty() => Ok(text.to_owned()),
        _ => Err(Wrong::new("is not a URL", "give http://HOST:PORT")),
    }
}

/// Origins of web pages, with commas between, as browsers send them; or `*`.
pub fn origins(text: &str) -> Result<Vec<String>, Wrong> {
    let remedy = "give scheme and host, with a port where it is not the scheme's own, and no path: \
        https://app.example.com,http://localhost:5173; or * for every origin";
    let mut origins = Vec::new();
    for origin in text.split(',').map(str::trim) {
        let host = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        let host_is_one = host.is_some_and(|host| {
            !host.is_empty() && host.bytes().all(|c| c.is_ascii_graphic() && !b"/?#@*".contains(&c))
        });
        if origin != "*" && !host_is_one {
            return Err(Wrong::new(format!("has {origin:?}, which is no origin"), remedy));
        }
        // Browsers send scheme and host in lower case.
        origins.push(origin.to_ascii_lowercase());
    }
    Ok(origins)
}

/// Names of hosts, with commas between, without scheme and port; or `*`.
pub fn hosts(text: &str) -> Result<Vec<String>, Wrong> {
    let remedy =
        "give names without scheme and port: tessera.example.com,reader.internal; or * for any";
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|c| c.is_ascii_alphanumeric() || b"-._".contains(&c))
    };
    let names = text.split(',').map(str::trim).map(|name| {
        if name == "*" || is_name(name) {
            return Ok(name.to_ascii_lowercase());
        }
        Err(Wrong::new(format!("has {name:?}, which is no name of a host"), remedy))
    });
    names.collect()
}

/// One of `names`.
pub fn one_of<T: Copy>(text: &str, names: &[(&str, T)]) -> Result<T, Wrong> {
    let found = names.iter().find(|(name, _)| *name == text.trim());
    found.map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
        Wrong::new("is not known here", format!("give one of: {}", names.join(", ")))
    })
}

/// A strategy, one device, or the map in a file.
pub fn device_map(text: &str) -> Result<DeviceMap, Wrong> {
    let remedy =
        "give auto, balanced, balanced_low_0, sequential, internvl, cuda:N, cpu or FILE.json";
    let wrong = |error: MapError| Wrong::new(format!("cannot be used: {error}"), remedy);
    let path = Path::new(text.trim());
    if path.extension().is_none_or(|extension| extension != "json") {
        return text.parse().map_err(wrong);
    }
    let map = std::fs::read_to_string(path)
        .map_err(|error| Wrong::new(format!("cannot be read: {error}"), remedy))?;
    DeviceMap::from_json(&map).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration(" 1m30s "), Ok(Duration::from_secs(90)));
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        assert_eq!(duration("30").unwrap_err().reason, "has no unit");
        assert_eq!(duration("3 weeks").unwrap_err().reason, "has an unknown unit");
        assert_eq!(duration("-1s").unwrap_err().reason, "is not a length of time");
        assert_eq!(duration("99999999999h").unwrap_err().reason, "is longer than a day");
        assert_eq!(duration("20h5h").unwrap_err().reason, "is longer than a day");
    }

    #[test]
    fn counts_name_their_bounds() {
        assert_eq!(count("7", &(1..=8)), Ok(7));
        for (text, reason) in [
            ("0", "is too small"),
            ("-3", "is too small"),
            ("9", "is too large"),
            ("x", "is not a whole number"),
        ] {
            let wrong = count(text, &(1..=8)).unwrap_err();
            assert_eq!(
                (wrong.reason.as_str(), wrong.remedy.as_str()),
                (reason, "give a whole number from 1 to 8")
            );
        }
        assert_eq!(count_or_auto("auto", &(1..=8)), Ok(None));
    }

    #[test]
    fn addresses_are_numeric() {
        assert_eq!(address("localhost:1"), Ok(([127, 0, 0, 1], 1).into()));
        assert!(address("[::]:50051").is_ok());
        assert!(address("example.com:50051").is_err());
        assert!(address("50051").is_err());
    }

    #[test]
    fn origins_have_no_path() {
        assert_eq!(
            origins("https://App.example.com, http://localhost:5173").unwrap(),
            ["https://app.example.com", "http://localhost:5173"]
        );
        assert_eq!(origins("*").unwrap(), ["*"]);
        for wrong in ["", "app.example.com", "https://", "https://a.com/", "https://*.a.com", "a,*"]
        {
            let found = origins(wrong).unwrap_err();
            assert!(found.reason.ends_with("is no origin"), "{wrong:?}: {found}");
        }
    }

    #[test]
    fn hosts_are_names() {
        assert_eq!(hosts("Tessera.example, b").unwrap(), ["tessera.example", "b"]);
        assert_eq!(hosts("*").unwrap(), ["*"]);
        for wrong in ["", "https://a", "a:50051", "a b", "*.a"] {
            let found = hosts(wrong).unwrap_err();
            assert!(found.reason.ends_with("is no name of a host"), "{wrong:?}: {found}");
        }
    }

    #[test]
    fn urls_have_a_host() {
        assert!(url("http://127.0.0.1:4317").is_ok());
        assert!(url("127.0.0.1:4317").is_err());
        assert!(url("http://").is_err());
    }
}

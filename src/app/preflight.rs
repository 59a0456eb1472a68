//! What stands against serving, known before anything is loaded. Looks at everything, also after a
//! failure.

use std::fs::OpenOptions;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use super::load::Loader;
use crate::config::Config;
use crate::device::{self, DeviceSelection};
use crate::telemetry::spans::FILE_NAME;

/// Files that the process needs beside its connections: weights, libraries, logs, threads.
const FILES_BESIDE_CONNECTIONS: u64 = 256;

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// "address", "model"
    pub what: &'static str,
    pub outcome: Outcome,
    pub found: String,
    pub remedy: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Well,
    /// Serving is possible, and may not be what was meant.
    Warning,
    Wrong,
}

impl Finding {
    fn new(what: &'static str, outcome: Outcome, found: impl Into<String>) -> Self {
        Self { what, outcome, found: found.into(), remedy: None }
    }

    fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

/// Looks at everything that serving with `config` needs.
pub fn run(config: &Config) -> Vec<Finding> {
    let mut findings = vec![Finding::new("configuration", Outcome::Well, "every value is right")];
    findings.extend(
        config
            .warnings
            .iter()
            .map(|warning| Finding::new("configuration", Outcome::Warning, warning)),
    );
    findings.push(address("address", config.server.listen));
    findings.extend(config.server.admin_listen.map(|admin| address("admin address", admin)));
    findings.extend(config.telemetry.trace.directory.as_deref().map(traces));
    findings.push(files(config.server.transport.connections_max as u64));
    findings.extend(access(config));
    findings.push(fetch(config));
    findings.extend(gpus(config));
    findings.extend(model(config));
    findings
}

fn address(what: &'static str, address: SocketAddr) -> Finding {
    match TcpListener::bind(address) {
        Ok(_) => Finding::new(what, Outcome::Well, format!("{address} is free")),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            Finding::new(what, Outcome::Warning, format!("{address} is in use"))
                .remedy("well if that is this server; else another port, or stop what uses it")
        }
        Err(error) => {
            Finding::new(what, Outcome::Wrong, format!("cannot listen on {address}: {error}"))
                .remedy("an address of this machine, and a port above 1023")
        }
    }
}

/// Where spans are written: opened as one that serves does, and nothing is written.
fn traces(directory: &Path) -> Finding {
    let path = directory.join(FILE_NAME);
    let was_there = path.exists();
    let opened = std::fs::create_dir_all(directory)
        .and_then(|()| OpenOptions::new().create(true).append(true).open(&path));
    match opened {
        Ok(_) => {
            if !was_there {
                // An empty file that stays harms nobody.
                let _ = std::fs::remove_file(&path);
            }
            Finding::new("trace files", Outcome::Well, format!("{} can be written", path.display()))
        }
        Err(error) => {
            let found = format!("cannot write {}: {error}", path.display());
            Finding::new("trace files", Outcome::Wrong, found)
                .remedy("a directory that the server's user may write, or no --trace-dir")
        }
    }
}

/// Each connection is an open file.
fn files(connections: u64) -> Finding {
    let needed = connections + FILES_BESIDE_CONNECTIONS;
    match rustix::process::getrlimit(rustix::process::Resource::Nofile).current {
        Some(limit) if limit < needed => {
            let found =
                format!("{limit} open files are fewer than --max-connections {connections} needs");
            Finding::new("open files", Outcome::Warning, found)
                .remedy(format!("ulimit -n {needed}, or LimitNOFILE={needed} in a unit"))
        }
        Some(limit) => Finding::new("open files", Outcome::Well, format!("{limit} are allowed")),
        None => Finding::new("open files", Outcome::Well, "any number is allowed"),
    }
}

/// What the configuration has read already; who may call is worth a line.
fn access(config: &Config) -> Vec<Finding> {
    let transport = &config.server.transport;
    let tls = match &transport.tls {
        None => "plaintext".to_owned(),
        Some(files) => {
            let clients = match &files.clients {
                None => "clients without certificates",
                Some(trust) if trust.required => "clients with certificates only",
                Some(_) => "clients with or without certificates",
            };
            format!("certificate and key fit; {clients}")
        }
    };
    let callers = match &config.server.access.file {
        None => "everybody may call".to_owned(),
        Some(path) => format!("by the rules of {}", path.display()),
    };
    vec![Finding::new("tls", Outcome::Well, tls), Finding::new("callers", Outcome::Well, callers)]
}

/// Where requests may have files fetched from.
fn fetch(config: &Config) -> Finding {
    let Some(fetch) = &config.server.fetch else {
        return Finding::new("files by URI", Outcome::Well, "not taken");
    };
    let origins: Vec<String> = fetch.origins.iter().map(ToString::to_string).collect();
    let networks: Vec<String> = fetch.networks.iter().map(ToString::to_string).collect();
    let mut found = format!("from {}, where they are public", origins.join(", "));
    if !networks.is_empty() {
        found = format!("{found} or in {}", networks.join(", "));
    }
    Finding::new("files by URI", Outcome::Well, found)
}

/// The CPU is an answer to `auto` that few want of a build for GPUs.
fn gpus(config: &Config) -> Option<Finding> {
    let reason =
        device::without_gpus().filter(|_| config.model.devices == DeviceSelection::Auto)?;
    let found = format!("no GPU is found, the CPU would compute: {reason}");
    let finding = Finding::new("devices", Outcome::Warning, found);
    Some(
        finding.remedy(
            "the driver and the container's access to GPUs, or --devices cpu if it is meant",
        ),
    )
}

fn model(config: &Config) -> Vec<Finding> {
    let name = config.model.checkpoint.name();
    let problems = Loader::new(config).check();
    if problems.is_empty() {
        let found = format!("{name}: files are whole, and it fits");
        return vec![Finding::new("model", Outcome::Well, found)];
    }
    let wrong = |problem: String| {
        Finding::new("model", Outcome::Wrong, format!("{name}: {problem}"))
            .remedy("`tessera plan` shows memory, `tessera doctor` devices; or another --model")
    };
    problems.into_iter().map(wrong).collect()
}

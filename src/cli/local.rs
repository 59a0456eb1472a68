//! A server in this process, for commands that need one for as long as they run.

use tokio::sync::watch;

use super::failure::{Exit, Failure};
use super::term::{StatusLine, Term};
use super::{render_pdf, serve};
use crate::app::{Ready, Server};
use crate::config::env::ProcessEnv;
use crate::config::{self, Config, Flags, Key, Low};
use crate::engine::{ModelState, Status};
use crate::telemetry::Telemetry;

/// A server that takes requests. Dropping it takes it down without waiting.
#[derive(Debug)]
pub(super) struct Local {
    pub ready: Ready,
    _server: Server,
}

impl Local {
    /// Starts a server with the options of `flags`, of variables and of a file, as `tessera serve` reads
    /// them, but on a free port of this machine, where nothing else is said.
    pub(super) async fn start(mut flags: Flags, term: &Term) -> Result<Self, Failure> {
        flags.values.entry(Key::Listen).or_insert_with(|| "127.0.0.1:0".to_owned());
        let config = config::check(&Low::gather(&flags, &ProcessEnv))
            .map_err(|problems| Failure::new(Exit::Usage, problems.to_string()))?;
        Self::with(config, term).await
    }

    /// Starts a server, and says meanwhile what it is doing.
    pub(super) async fn with(mut config: Config, term: &Term) -> Result<Self, Failure> {
        config.pdf = render_pdf::renderer();
        let started = Server::start(config, Telemetry::default()).await;
        let mut server = started.map_err(|error| serve::failure(&error))?;
        until_loaded(server.status(), &mut StatusLine::new(term)).await;
        let ready = server.ready().await.map_err(|error| serve::failure(&error))?;
        Ok(Self { ready, _server: server })
    }
}

/// Waits until a model is loaded, or will not be, and says meanwhile how far it is.
pub(super) async fn until_loaded(mut status: watch::Receiver<Status>, line: &mut StatusLine) {
    loop {
        let now = status.borrow_and_update().clone();
        if now.state != ModelState::Loading {
            break;
        }
        line.draw(&now.message);
        if status.changed().await.is_err() {
            break;
        }
    }
    line.clear();
}

/// Refuses options of a server where a running one was named: they would say nothing.
pub(super) fn refuse(flags: &Flags) -> Result<(), Failure> {
    let names: Vec<String> = flags.values.keys().map(|key| format!("--{}", key.name())).collect();
    if names.is_empty() && flags.config.is_none() {
        return Ok(());
    }
    Err(Failure::new(Exit::Usage, "options of a server go only with one that is started here")
        .fact("given", if names.is_empty() { "--config".to_owned() } else { names.join(", ") })
        .remedy("leave them out, or leave --server out"))
}

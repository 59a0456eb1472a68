//! Names to addresses, asked for once for each file.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::Semaphore;

/// All addresses of a name, in the order in which they are to be tried.
pub type Resolving = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Whoever knows the addresses of names.
pub trait Resolve: fmt::Debug + Send + Sync {
    fn resolve(&self, name: &str) -> Resolving;
}

/// As the machine has them: its files and its name servers.
#[derive(Debug)]
pub(super) struct System {
    /// Looking up holds a thread that nobody can stop. It keeps its place until it is back, also where nobody
    /// waits for it any more.
    places: Arc<Semaphore>,
}

impl System {
    pub(super) fn new(at_once: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(at_once)) }
    }
}

impl Resolve for System {
    fn resolve(&self, name: &str) -> Resolving {
        let name = name.to_owned();
        let places = Arc::clone(&self.places);
        Box::pin(async move {
            let place = places.acquire_owned().await.map_err(io::Error::other)?;
            let looked_up = tokio::task::spawn_blocking(move || {
                let _place = place;
                Ok((name.as_str(), 0).to_socket_addrs()?.map(|found| found.ip()).collect())
            });
            looked_up.await.map_err(io::Error::other)?
        })
    }
}

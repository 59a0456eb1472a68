//! Addresses for servers of tests. Shared by all test programs that start processes.

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener};
use std::sync::Mutex;

/// An address on which nobody listens, and which no test of this program was given before: the kernel gives a port
/// out again as soon as it is free, also to a server's second listener.
pub(crate) fn free() -> SocketAddr {
    static GIVEN: Mutex<BTreeSet<SocketAddr>> = Mutex::new(BTreeSet::new());
    loop {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        if GIVEN.lock().unwrap().insert(address) {
            return address;
        }
    }
}

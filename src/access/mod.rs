//! Who calls, what they may call, and how much of it. Knows no gRPC and no socket: credentials come in as
//! texts, and a decision comes out.
//!
//! An access file says who is known and what each may do; without one everybody may call everything, and
//! quotas go by address.

mod file;
mod gate;
mod jwt;
mod lint;
mod policy;
mod quota;

pub use file::{AccessError, digest_of_key};
pub use gate::{Admitted, Config, Gate};
pub use policy::Refusal;
pub use quota::{Meter, Permit, Quota};

use std::net::IpAddr;

/// What a caller shows of itself.
#[derive(Clone, Copy)]
pub struct Credentials<'a> {
    /// A bearer token or API key.
    pub token: Option<&'a str>,
    /// Names in the client certificate, which the handshake verified.
    pub certificate: &'a [String],
    pub address: Option<IpAddr>,
}

impl std::fmt::Debug for Credentials<'_> {
    /// Never the token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("token", &self.token.map(|_| "…"))
            .field("certificate", &self.certificate)
            .field("address", &self.address)
            .finish()
    }
}

/// What a call asks to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Action<'a> {
    /// As rules name it: `Extract`, `reflection`.
    pub name: &'a str,
    pub counted: Counted,
}

/// What quotas count: documents that are read, however they are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    Nothing,
    /// The call, which is one document.
    Call,
    /// Each document that comes in the call, by [`Meter::enter`]; the call beside them is nothing.
    Documents,
}

/// The name of whoever shows nothing, for rules.
const ANONYMOUS: &str = "anonymous";

#[cfg(test)]
mod tests;

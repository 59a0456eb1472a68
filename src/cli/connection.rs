//! Where a server is, how to be sure of it, and as whom to call: flags, with variables behind them.

use std::path::{Path, PathBuf};

use clap::Args;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Certificate, ClientTlsConfig, Identity};

use super::failure::{Exit, Failure};
use crate::config::env::Env;

const SERVER: &str = "http://127.0.0.1:50051";

/// Each flag has a variable, which counts where the flag is not given.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Connection, each also as a variable: TESSERA_CA for --ca")]
pub(super) struct ConnectionArgs {
    /// With https://: authorities to trust, in PEM [default: the system's]
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Name in the server's certificate, where it is not that of the address
    #[arg(long, value_name = "NAME")]
    server_name: Option<String>,
    /// Mutual TLS: certificate chain of this client, in PEM
    #[arg(long, value_name = "FILE")]
    client_cert: Option<PathBuf>,
    /// Private key of --client-cert, in PEM
    #[arg(long, value_name = "FILE")]
    client_key: Option<PathBuf>,
    /// Bearer token; rather by its variable, since others can see command lines
    #[arg(long, value_name = "TOKEN", conflicts_with = "api_key")]
    token: Option<String>,
    /// API key, likewise
    #[arg(long, value_name = "KEY")]
    api_key: Option<String>,
}

/// A server to connect to.
#[derive(Debug, Clone)]
pub(super) struct Connection {
    /// With its scheme.
    pub(super) url: String,
    /// None: plaintext.
    pub(super) tls: Option<ClientTlsConfig>,
    pub(super) credentials: Option<Credentials>,
}

/// What goes with each call: the name of its metadata, and a value that no log shows.
#[derive(Debug, Clone)]
pub(super) struct Credentials {
    pub(super) name: &'static str,
    pub(super) value: MetadataValue<Ascii>,
}

// === impl Connection ===

impl Connection {
    /// A server of this process, or one that asks for nothing.
    pub(super) fn plain(address: &str) -> Self {
        Self { url: with_scheme(address, "http"), tls: None, credentials: None }
    }

    /// `server` is what was typed, if anything was.
    pub(super) fn new(
        server: Option<&str>,
        args: &ConnectionArgs,
        env: &dyn Env,
    ) -> Result<Self, Failure> {
        let typed = args.tls_flag();
        let args = args.or(env);
        let server = server.map(str::to_owned).or_else(|| env.get("TESSERA_SERVER"));
        let scheme = if typed.is_some() { "https" } else { "http" };
        let url = with_scheme(server.as_deref().unwrap_or(SERVER), scheme);
        let credentials = args.credentials()?;
        let tls = url.starts_with("https://").then(|| args.tls()).transpose()?;
        match typed {
            Some(flag) if tls.is_none() => Err(Failure::new(
                Exit::Usage,
                format!("{flag} has no meaning for {url}, which is not encrypted"),
            )
            .remedy("--server https://HOST:PORT")),
            _ => Ok(Self { url, tls, credentials }),
        }
    }
}

// === impl ConnectionArgs ===

impl ConnectionArgs {
    /// A flag that is about TLS, if one was typed.
    fn tls_flag(&self) -> Option<&'static str> {
        [
            ("--ca", self.ca.is_some()),
            ("--server-name", self.server_name.is_some()),
            ("--client-cert", self.client_cert.is_some()),
            ("--client-key", self.client_key.is_some()),
        ]
        .into_iter()
        .find_map(|(flag, given)| given.then_some(flag))
    }

    /// These flags, and variables where they are not given.
    fn or(&self, env: &dyn Env) -> Self {
        let path = |flag: &Option<PathBuf>, name: &str| {
            flag.clone().or_else(|| given(env, name).map(PathBuf::from))
        };
        // One kind of credentials that was typed is not joined by the other's variable.
        let who = self.token.is_some() || self.api_key.is_some();
        let secret = |flag: &Option<String>, name: &str| {
            flag.clone().or_else(|| given(env, name).filter(|_| !who))
        };
        Self {
            ca: path(&self.ca, "TESSERA_CA"),
            server_name: self.server_name.clone().or_else(|| given(env, "TESSERA_SERVER_NAME")),
            client_cert: path(&self.client_cert, "TESSERA_CLIENT_CERT"),
            client_key: path(&self.client_key, "TESSERA_CLIENT_KEY"),
            token: secret(&self.token, "TESSERA_TOKEN"),
            api_key: secret(&self.api_key, "TESSERA_API_KEY"),
        }
    }

    fn credentials(&self) -> Result<Option<Credentials>, Failure> {
        let (name, text) = match (&self.token, &self.api_key) {
            (Some(token), _) => ("authorization", format!("Bearer {token}")),
            (None, Some(key)) => ("x-api-key", key.clone()),
            (None, None) => return Ok(None),
        };
        let mut value = MetadataValue::try_from(text).map_err(|_| {
            let what = if name == "x-api-key" { "the API key" } else { "the token" };
            Failure::new(Exit::Usage, format!("{what} has characters that none has"))
                .remedy("it without line breaks and quotes")
        })?;
        value.set_sensitive(true);
        Ok(Some(Credentials { name, value }))
    }

    fn tls(&self) -> Result<ClientTlsConfig, Failure> {
        let mut tls = match &self.ca {
            Some(path) => {
                let pem = pem(path, "CERTIFICATE", "--ca")?;
                ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem))
            }
            None => ClientTlsConfig::new().with_native_roots(),
        };
        if let Some(name) = &self.server_name {
            tls = tls.domain_name(name);
        }
        match (&self.client_cert, &self.client_key) {
            (Some(cert), Some(key)) => {
                let cert = pem(cert, "CERTIFICATE", "--client-cert")?;
                let key = pem(key, "PRIVATE KEY", "--client-key")?;
                Ok(tls.identity(Identity::from_pem(cert, key)))
            }
            (None, None) => Ok(tls),
            (Some(_), None) => Err(half("--client-cert", "--client-key")),
            (None, Some(_)) => Err(half("--client-key", "--client-cert")),
        }
    }
}

fn given(env: &dyn Env, name: &str) -> Option<String> {
    env.get(name).filter(|value| !value.is_empty())
}

/// An address without a scheme is what people type.
fn with_scheme(server: &str, scheme: &str) -> String {
    if server.contains("://") { server.to_owned() } else { format!("{scheme}://{server}") }
}

/// The text of a PEM file that has what it should; one that has not would fail as something else.
fn pem(path: &Path, label: &str, flag: &str) -> Result<String, Failure> {
    let wrong = |what: String| {
        Failure::new(Exit::Usage, what).remedy(format!("{flag} with the path of a PEM file"))
    };
    let text = std::fs::read_to_string(path)
        .map_err(|error| wrong(format!("cannot read {}", path.display())).because(&error))?;
    let begins = |line: &str| line.starts_with("-----BEGIN ") && line.contains(label);
    if text.lines().any(begins) {
        return Ok(text);
    }
    Err(wrong(format!("{} has no {}", path.display(), label.to_lowercase())))
}

fn half(given: &str, missing: &str) -> Failure {
    Failure::new(Exit::Usage, format!("{given} without {missing}"))
        .remedy("both: a certificate and its key")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn env(variables: &[(&str, &str)]) -> BTreeMap<String, String> {
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn failure(args: &ConnectionArgs, server: &str) -> String {
        Connection::new(Some(server), args, &env(&[])).unwrap_err().to_string()
    }

    #[test]
    fn flags_count_before_variables() {
        let variables = env(&[
            ("TESSERA_SERVER", "tessera.example:443"),
            ("TESSERA_API_KEY", "of the variable"),
        ]);
        let plain = Connection::new(None, &ConnectionArgs::default(), &variables).unwrap();
        assert_eq!(plain.url, "http://tessera.example:443");
        let credentials = plain.credentials.unwrap();
        assert_eq!(
            (credentials.name, credentials.value.to_str().unwrap()),
            ("x-api-key", "of the variable")
        );
        assert!(!format!("{credentials:?}").contains("of the variable"));

        let args = ConnectionArgs { token: Some("typed".to_owned()), ..ConnectionArgs::default() };
        let typed = Connection::new(Some("https://a:1"), &args, &variables).unwrap();
        assert_eq!(typed.url, "https://a:1");
        assert!(typed.tls.is_some());
        let credentials = typed.credentials.unwrap();
        assert_eq!(
            (credentials.name, credentials.value.to_str().unwrap()),
            ("authorization", "Bearer typed")
        );
        let nothing = Connection::new(None, &ConnectionArgs::default(), &env(&[])).unwrap();
        assert_eq!(nothing.url, SERVER);
        assert!(nothing.credentials.is_none());
    }

    #[test]
    fn what_does_not_fit_together_is_said() {
        let path = Some(PathBuf::from("/no/such/file.pem"));
        let ca = ConnectionArgs { ca: path.clone(), ..ConnectionArgs::default() };
        assert!(failure(&ca, "http://a:1").starts_with("--ca has no meaning for http://a:1"));
        // Who names authorities means TLS.
        assert!(failure(&ca, "a:1").starts_with("cannot read /no/such/file.pem"));
        let half = ConnectionArgs { client_key: path, ..ConnectionArgs::default() };
        assert!(failure(&half, "a:1").starts_with("--client-key without --client-cert"));
        let manifest = Some(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"));
        let no_pem = ConnectionArgs { ca: manifest, ..ConnectionArgs::default() };
        assert!(failure(&no_pem, "a:1").contains("Cargo.toml has no certificate"));
        let broken = ConnectionArgs { token: Some("a\nb".to_owned()), ..ConnectionArgs::default() };
        assert!(failure(&broken, "a:1").starts_with("the token has characters"));
    }
}

//! `tessera serve`: the server, from its options to its last words.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;

use super::failure::{Exit, Failure};
use super::term::{Style, Term, print};
use super::{render_pdf, runtime};
use crate::app::{self, AppError, Goodbye, Ready};
use crate::config::env::ProcessEnv;
use crate::config::{self, Config, Flags, Low, ServerConfig};
use crate::telemetry;

/// What the last traces may take to leave: they must not hold up the exit.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

const AFTER_HELP: &str = "\
Every option can be given in three places, under one name; the first one found counts:
  a flag       --slot-tokens 4096
  a variable   TESSERA_SLOT_TOKENS=4096     (--config is TESSERA_CONFIG)
  a TOML file  slot-tokens = 4096           (named with --config)

On SIGTERM or SIGINT health turns NOT_SERVING. After --drain-propagation new requests are refused,
and running ones may take --drain-timeout to end. A second signal stops at once.

Exit code:
  0    stopped by a signal
  1    could not start, or could not go on
  2    the configuration is wrong
  130  stopped by a second signal

Examples:
  tessera serve
  tessera serve --model ./InternVL3-2B --devices cuda:0 --listen 0.0.0.0:50051
  TESSERA_SLOTS=16 tessera serve --config tessera.toml --log-format json";

/// Serve a model over gRPC
///
/// Without options: the built-in tessera-tiny, on 127.0.0.1:50051. The port answers at once; health
/// and the model information say how far loading is.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct ServeArgs {
    #[command(flatten)]
    flags: Flags,
}

pub(super) fn run(args: &ServeArgs, term: &Term) -> Result<(), Failure> {
    let mut config = config::check(&Low::gather(&args.flags, &ProcessEnv))
        .map_err(|problems| Failure::new(Exit::Usage, problems.to_string()))?;
    config.pdf = render_pdf::renderer();
    let runtime = runtime()?;
    let ended = runtime.block_on(serve(config, term));
    // What is still running has had its time.
    runtime.shutdown_background();
    ended
}

async fn serve(config: Config, term: &Term) -> Result<(), Failure> {
    let telemetry = telemetry::init(&config.telemetry).map_err(|error| {
        Failure::new(Exit::Failed, "cannot set up logs and traces")
            .because(&error)
            .remedy("another --otlp-endpoint, or none")
    })?;
    let recording = telemetry.telemetry();
    let door = Door::of(&config.server);
    let ended = app::run(config, recording, |ready| announce(term, ready, &door)).await;
    telemetry.flush(FLUSH_TIMEOUT).await;
    match ended {
        Ok(Goodbye::Finished | Goodbye::Cut) => Ok(()),
        Ok(Goodbye::Interrupted) => Err(Failure::silent(Exit::Interrupted)),
        Err(error) => Err(failure(&error)),
    }
}

/// One line when requests are taken, and what to do with it.
fn announce(term: &Term, ready: &Ready, door: &Door) {
    let spec = &ready.spec;
    let placed = spec.placements.first();
    let devices: Vec<&str> = spec.devices.iter().map(|device| device.id.as_str()).collect();
    let replicas = match spec.replicas {
        0 | 1 => String::new(),
        several => format!(", {several} replicas"),
    };
    let line = format!(
        "{} {} on {}, {} on {} in {}{replicas}, started in {} ms",
        term.paint(Style::Good, "SERVING"),
        spec.name,
        ready.address,
        spec.revision,
        devices.join(","),
        placed.map_or_else(|| spec.kv_dtype.to_string(), |placed| placed.compute_dtype.to_string()),
        ready.took.as_millis(),
    );
    // A closed stdout is no reason not to serve.
    let _ = print(&line).and_then(|()| {
        door.hints(ready.address).iter().try_for_each(|hint| print(&term.paint(Style::Dim, hint)))
    });
}

/// What callers have to know besides the address.
#[derive(Debug)]
struct Door {
    /// None: plaintext.
    tls: Option<Certified>,
    /// Whether a browser finds a page here.
    page: bool,
}

#[derive(Debug)]
struct Certified {
    /// Of the server's certificate, if it has one.
    name: Option<String>,
    /// What `--ca` is to name.
    authority: String,
    /// Whether callers need a certificate too.
    mutual: bool,
}

impl Door {
    fn of(server: &ServerConfig) -> Self {
        let tls = server.transport.tls.as_ref().map(|files| Certified {
            name: files.name(),
            authority: if files.vouch_for_themselves() {
                files.certificate.display().to_string()
            } else {
                "CA.pem".to_owned()
            },
            mutual: files.clients.as_ref().is_some_and(|clients| clients.required),
        });
        // Few browsers have a certificate to show.
        let page = server.playground && tls.as_ref().is_none_or(|tls| !tls.mutual);
        Self { tls, page }
    }

    /// A command that reads a document with the server at `address`, and where its page is.
    fn hints(&self, address: SocketAddr) -> Vec<String> {
        let address = if address.ip().is_unspecified() {
            SocketAddr::from(([127, 0, 0, 1], address.port()))
        } else {
            address
        };
        let mut hints =
            vec![format!("  try: tessera extract receipt.png{}", self.options(address))];
        if self.page {
            let (scheme, host) = match &self.tls {
                None => ("http", address.to_string()),
                Some(Certified { name: None, .. }) => ("https", address.to_string()),
                Some(Certified { name: Some(name), .. }) => {
                    ("https", format!("{name}:{}", address.port()))
                }
            };
            hints.push(format!("  or:  {scheme}://{host}/ in a browser"));
        }
        hints
    }

    /// Those of `extract` for this server.
    fn options(&self, address: SocketAddr) -> String {
        let Some(Certified { name, authority, mutual }) = &self.tls else {
            // Where `extract` looks anyway.
            let is_default = address == SocketAddr::from(([127, 0, 0, 1], 50051));
            return if is_default { String::new() } else { format!(" --server {address}") };
        };
        let server = match name.as_deref() {
            Some("localhost") if address.ip().is_loopback() => {
                format!("localhost:{}", address.port())
            }
            Some(name) => format!("{address} --server-name {name}"),
            None => address.to_string(),
        };
        let client = if *mutual { " --client-cert CLIENT.pem --client-key CLIENT.key" } else { "" };
        format!(" --server https://{server} --ca {authority}{client}")
    }
}

/// Why the server did not start or go on, with what to do.
pub(super) fn failure(error: &AppError) -> Failure {
    let failure = Failure::new(Exit::Failed, error.to_string());
    match error {
        AppError::Listen { address, source } | AppError::Admin { address, source } => {
            let admin = matches!(error, AppError::Admin { .. });
            let (option, port) =
                if admin { ("--admin-listen", 9464) } else { ("--listen", 50051) };
            let remedy = match source.kind() {
                std::io::ErrorKind::AddrInUse => format!(
                    "another port, for example {option} {}:0 for any free one, or stop what uses it",
                    address.ip()
                ),
                std::io::ErrorKind::PermissionDenied => {
                    format!("a port above 1023, for example {option} 127.0.0.1:{port}")
                }
                _ => format!("an address of this machine, for example {option} 127.0.0.1:{port}"),
            };
            failure.because(source).remedy(remedy)
        }
        AppError::Signals(source) => failure.because(source),
        AppError::Model { .. } => failure.remedy(
            "another --model, --devices cpu, fewer --slots or --slot-tokens, or none of them for the \
             built-in model",
        ),
        AppError::Fetch(source) => failure.because(source),
        AppError::Serve(_) => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hints(address: &str, door: Door) -> String {
        format!("{address}\n{}", door.hints(address.parse().unwrap()).join("\n"))
    }

    fn certified(name: Option<&str>, mutual: bool) -> Door {
        let tls =
            Certified { name: name.map(str::to_owned), authority: "server.pem".to_owned(), mutual };
        Door { tls: Some(tls), page: !mutual }
    }

    #[test]
    fn hints_are_commands_that_reach_the_server() {
        let plain = |page| Door { tls: None, page };
        expect_test::expect![[r"
            0.0.0.0:50051
              try: tessera extract receipt.png
              or:  http://127.0.0.1:50051/ in a browser
            127.0.0.1:8000
              try: tessera extract receipt.png --server 127.0.0.1:8000
            [::]:50051
              try: tessera extract receipt.png --server https://localhost:50051 --ca server.pem
              or:  https://localhost:50051/ in a browser
            10.0.0.7:443
              try: tessera extract receipt.png --server https://10.0.0.7:443 --server-name tessera.example --ca server.pem
              or:  https://tessera.example:443/ in a browser
            [::1]:443
              try: tessera extract receipt.png --server https://[::1]:443 --ca server.pem --client-cert CLIENT.pem --client-key CLIENT.key
        "]]
        .assert_eq(&format!(
            "{}\n",
            [
                hints("0.0.0.0:50051", plain(true)),
                hints("127.0.0.1:8000", plain(false)),
                hints("[::]:50051", certified(Some("localhost"), false)),
                hints("10.0.0.7:443", certified(Some("tessera.example"), false)),
                hints("[::1]:443", certified(None, true)),
            ]
            .join("\n")
        ));
    }
}

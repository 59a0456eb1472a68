//! `tessera key`: an API key, and what an access file has to say of it.

use clap::Args;
use rand::TryRngCore as _;
use rand::rngs::OsRng;

use super::failure::{Exit, Failure};
use super::term::{print, print_err};
use crate::access;

/// So that who finds a key knows what it is, and scanners for leaked secrets too.
const PREFIX: &str = "tsr_";

/// As many as the digest that stands for the key.
const KEY_BYTES: usize = 32;

const AFTER_HELP: &str = "\
The key goes to stderr, once; nothing else keeps it. Its section of the access file goes to stdout, and has
only a digest of the key:

  tessera key billing >> access.toml";

/// Make an API key for an access file
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct KeyArgs {
    /// Who gets it: rules name it key:NAME
    #[arg(value_name = "NAME", value_parser = name)]
    name: String,
}

pub(super) fn run(args: &KeyArgs) -> Result<(), Failure> {
    let mut bytes = [0; KEY_BYTES];
    OsRng.try_fill_bytes(&mut bytes).map_err(|error| {
        Failure::new(Exit::Failed, "this system gives no random numbers").because(&error)
    })?;
    let key = bytes.iter().fold(PREFIX.to_owned(), |key, byte| format!("{key}{byte:02x}"));
    let sha256 = access::digest_of_key(&key);
    print(&format!("\n[[key]]\nname = \"{}\"\nsha256 = \"{sha256}\"", args.name))?;
    print_err(&key);
    Ok(())
}

/// A name that needs no quoting anywhere.
fn name(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if text.is_empty() || !text.chars().all(plain) {
        return Err("give letters, digits, - _ and .".to_owned());
    }
    Ok(text.to_owned())
}

//! The options as flags: clap arguments made from the table of options.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

use super::options::{ALL, CONFIG_FLAG, Key, MODEL, Spec};

/// Flags of `tessera serve` as typed, unread.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    pub config: Option<PathBuf>,
    pub values: BTreeMap<Key, String>,
}

fn arg(spec: &Spec) -> Arg {
    let help = if spec.default.is_empty() {
        spec.help.to_owned()
    } else {
        format!("{} [default: {}]", spec.help, spec.default)
    };
    let arg = Arg::new(spec.name).long(spec.name).help(help).help_heading(spec.heading);
    if spec.is_switch() {
        arg.action(ArgAction::SetTrue)
    } else {
        // A negative number shall reach our own check, which names the bounds.
        arg.value_name(spec.value_name).allow_hyphen_values(true)
    }
}

fn config_arg() -> Arg {
    Arg::new(CONFIG_FLAG)
        .long(CONFIG_FLAG)
        .value_name("FILE")
        .value_parser(clap::value_parser!(PathBuf))
        .help("TOML file with any of the options below: slots = 8")
}

impl Args for Flags {
    fn augment_args(command: Command) -> Command {
        command.arg(config_arg()).args(ALL.iter().map(arg))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

/// The flags about the model and where it runs, for commands that load one and serve nobody.
#[derive(Debug, Clone, Default)]
pub struct ModelFlags(pub Flags);

impl Args for ModelFlags {
    fn augment_args(command: Command) -> Command {
        command.args(model_specs().map(arg))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for ModelFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = Self::default();
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0.take(matches, model_specs());
        Ok(())
    }
}

/// The flags that say what the server loads and how much room it makes, with the file they may stand in, for commands
/// that load a model as the server does.
#[derive(Debug, Clone, Default)]
pub struct LoadFlags(pub Flags);

impl Args for LoadFlags {
    fn augment_args(command: Command) -> Command {
        command.arg(config_arg()).args(load_specs().map(arg))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for LoadFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = Self::default();
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0.config = matches.get_one::<PathBuf>(CONFIG_FLAG).cloned();
        self.0.take(matches, load_specs());
        Ok(())
    }
}

fn load_specs() -> impl Iterator<Item = &'static Spec> {
    ALL.iter().filter(|spec| spec.is_for_loading())
}

fn model_specs() -> impl Iterator<Item = &'static Spec> {
    ALL.iter().filter(|spec| spec.heading == MODEL)
}

impl Flags {
    fn take(&mut self, matches: &ArgMatches, specs: impl Iterator<Item = &'static Spec>) {
        for spec in specs {
            let value = if spec.is_switch() {
                matches.get_flag(spec.name).then(|| "true".to_owned())
            } else {
                matches.get_one::<String>(spec.name).cloned()
            };
            if let Some(value) = value {
                self.values.insert(spec.key, value);
            }
        }
    }
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = Self::default();
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.config = matches.get_one::<PathBuf>(CONFIG_FLAG).cloned();
        self.take(matches, ALL.iter());
        Ok(())
    }
}

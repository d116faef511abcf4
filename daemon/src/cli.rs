//! The command line every daemon has: `--config FILE` to run, to `--check` the file or to ask for the daemon's `--health`.

use std::{future::Future, net::SocketAddr, path::Path, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use logmill_config::{ConfigFile, Problem};

use crate::{context::Context, exit, generate, probe, reload::Reloader, run::run_main, version::VERSION};

/// What makes one daemon different from the others.
pub struct Daemon<C> {
    pub name: &'static str,
    pub about: &'static str,
    /// Where metrics are served and how long a stop may take.
    pub settings: fn(&C) -> (SocketAddr, Duration),
    /// Whether a change of this key (`inputs.app.limits`) is applied while running, on SIGHUP.
    pub live: fn(&str) -> bool,
}

/// What one daemon has beside the usual.
pub struct Extras<C> {
    /// Options without value, by name, with their help: they reach the daemon in [`Context::flags`].
    pub flags: &'static [(&'static str, &'static str)],
    /// Pages that can be asked of the running daemon, by name.
    pub pages: &'static [&'static str],
    /// The mistakes that only the daemon itself can find in its file.
    pub verify: fn(&C) -> Vec<Problem>,
}

impl<C> Default for Extras<C> {
    fn default() -> Self {
        Self { flags: &[], pages: &[], verify: |_| Vec::new() }
    }
}

/// As [`daemon_main_with`], with nothing beside the usual.
pub fn daemon_main<C, F, R, E>(daemon: Daemon<C>, run: F) -> ExitCode
where
    C: ConfigFile + Send + Sync + 'static,
    F: FnOnce(C, Context) -> R,
    R: Future<Output = Result<(), E>>,
    E: Into<anyhow::Error>,
{
    daemon_main_with(daemon, Extras::default(), run)
}

/// A daemon's whole `main`: reads the command line, loads the configuration, runs.
///
/// Exit codes: 0, 1 failed, 64 wrong usage, 78 wrong configuration.
pub fn daemon_main_with<C, F, R, E>(daemon: Daemon<C>, extras: Extras<C>, run: F) -> ExitCode
where
    C: ConfigFile + Send + Sync + 'static,
    F: FnOnce(C, Context) -> R,
    R: Future<Output = Result<(), E>>,
    E: Into<anyhow::Error>,
{
    let matches = match arguments(daemon.name, daemon.about, &extras).try_get_matches() {
        Ok(matches) => matches,
        Err(e) => {
            // Help and version go to stdout with code 0; a broken pipe there is nobody's concern.
            drop(e.print());
            return ExitCode::from(if e.use_stderr() { exit::USAGE } else { 0 });
        }
    };
    if let Some(dir) = matches.get_one::<PathBuf>("generate") {
        return ended(
            generate::write(arguments(daemon.name, daemon.about, &extras), "8", dir).map_err(|e| e.to_string()),
        );
    }
    let path = matches.get_one::<PathBuf>("config").cloned().unwrap_or_default();
    // Before loading: what changes in between is seen as a change later.
    let reloader = Reloader::<C>::new(&path, daemon.live, extras.verify);
    match reloader.and_then(|reloader| Ok((reloader, C::load_verified(&path, extras.verify)?))) {
        Err(errors) => said(&errors.to_string(), exit::CONFIG),
        Ok((mut reloader, config)) => {
            let (metrics, shutdown_timeout) = (daemon.settings)(&config);
            if let Some(end) = asked_only(&matches, &path, metrics) {
                return end;
            }
            let reload = |context: &Context| reloader.again(&context.reload).tell();
            run_main(daemon.name, shutdown_timeout, metrics, reload, |mut context| {
                context.flags = extras.flags.iter().map(|(flag, _)| *flag).filter(|f| matches.get_flag(f)).collect();
                run(config, context)
            })
        }
    }
}

/// The end of a call that was not to run the daemon.
fn asked_only(matches: &ArgMatches, path: &Path, metrics: SocketAddr) -> Option<ExitCode> {
    if matches.get_flag("check") {
        return Some(said(&format!("{}: ok", path.display()), 0));
    }
    if let Some(page) = matches.try_get_one::<String>("page").ok().flatten() {
        return Some(ended(probe::page(metrics, page)));
    }
    let question = matches.get_one::<String>("health")?;
    Some(ended(probe::health(metrics, question)))
}

fn arguments<C>(name: &'static str, about: &'static str, extras: &Extras<C>) -> Command {
    let mut command = usual_arguments(name, about);
    for (flag, help) in extras.flags {
        command = command.arg(Arg::new(*flag).long(*flag).action(ArgAction::SetTrue).help(*help));
    }
    if !extras.pages.is_empty() {
        let page = Arg::new("page").value_name("QUESTION").value_parser(extras.pages.to_vec());
        command = command.arg(page.help("Ask the daemon that runs on this configuration, print its answer and exit"));
    }
    command
}

fn usual_arguments(name: &'static str, about: &'static str) -> Command {
    Command::new(name)
        .about(about)
        .version(VERSION)
        .arg(
            Arg::new("config")
                .long("config")
                .short('c')
                .value_name("FILE")
                .required_unless_present("generate")
                .value_parser(value_parser!(PathBuf))
                .help("Configuration file (YAML)"),
        )
        .arg(Arg::new("check").long("check").action(ArgAction::SetTrue).help("Check the configuration and exit"))
        .arg(
            Arg::new("health")
                .long("health")
                .value_name("QUESTION")
                .num_args(0..=1)
                .default_missing_value("ready")
                .value_parser(["live", "ready"])
                .conflicts_with("check")
                .help("Ask the daemon that runs on this configuration whether it is live or ready [default: ready] and exit"),
        )
        .arg(
            Arg::new("generate")
                .long("generate")
                .value_name("DIR")
                .value_parser(value_parser!(PathBuf))
                .hide(true)
                .help("Write man page and shell completions below DIR and exit"),
        )
}

#[allow(clippy::print_stdout)]
fn ended(result: Result<String, String>) -> ExitCode {
    match result {
        Ok(words) => {
            println!("{words}");
            ExitCode::SUCCESS
        }
        Err(words) => said(&words, exit::FAILED),
    }
}

#[allow(clippy::print_stderr)]
fn said(message: &str, code: u8) -> ExitCode {
    eprintln!("{message}");
    ExitCode::from(code)
}

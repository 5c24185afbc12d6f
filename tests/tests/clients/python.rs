//! A Python environment of the tests' own, made once under `target/` and kept.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

/// Time to make the environment; the packages are tens of megabytes.
const INSTALL: Duration = Duration::from_secs(300);
/// Time for one script.
const SCRIPT: Duration = Duration::from_secs(120);

/// An interpreter that has the clients.
pub(crate) struct Python {
    interpreter: PathBuf,
    scripts: PathBuf,
}

impl Python {
    /// The environment, made if it is not there. Where it cannot be had, says so past the test runner's capture and
    /// returns none; in CI that is a failure.
    pub(crate) async fn or_skip() -> Option<Self> {
        match Self::prepare().await {
            Ok(python) => Some(python),
            Err(why) if in_ci() => panic!("the client tests may not be skipped in CI, and cannot run: {why}"),
            Err(why) => {
                let banner = "!".repeat(72);
                let text =
                    format!("\n{banner}\nSKIPPED: the tests with foreign clients did not run: {why}\n{banner}\n");
                io::stderr().write_all(text.as_bytes()).expect("standard error is open");
                None
            }
        }
    }

    async fn prepare() -> Result<Self, String> {
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients");
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the folder is target/tmp");
        let environment = target.join("clients-venv");
        let interpreter = environment.join("bin/python");
        let requirements = fs::read_to_string(scripts.join("requirements.txt")).map_err(|why| why.to_string())?;
        // Written last, so an environment that is half made or of other packages is made anew.
        let installed = environment.join("installed.txt");
        if fs::read_to_string(&installed).ok().as_deref() != Some(&requirements) {
            let venv = ["-m", "venv", "--clear", &environment.to_string_lossy()];
            done(Command::new("python3").args(venv), INSTALL).await?;
            let list = scripts.join("requirements.txt");
            let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", &list.to_string_lossy()];
            done(Command::new(&interpreter).args(pip), INSTALL).await?;
            fs::write(&installed, requirements).map_err(|why| why.to_string())?;
        }
        Ok(Self { interpreter, scripts })
    }

    /// Runs a script of `tests/clients` with these variables; what it said. Panics with that if it fails.
    pub(crate) async fn run(&self, script: &str, variables: &[(&str, &str)]) -> String {
        let mut command = Command::new(&self.interpreter);
        command.arg(self.scripts.join(script)).arg("--verbose").envs(variables.iter().copied());
        // The checkout stays as it was, and a proxy that knows nothing of this machine's ports is not asked.
        command.env("PYTHONDONTWRITEBYTECODE", "1").env("NO_PROXY", "*").env("no_proxy", "*");
        match done(&mut command, SCRIPT).await {
            Ok(output) => said(&output),
            Err(why) => panic!("{script}: {why}"),
        }
    }
}

/// Runs a command to its end; the error says how it failed, in its own words too.
async fn done(command: &mut Command, limit: Duration) -> Result<Output, String> {
    let name = format!("{:?}", command.as_std());
    let run = command.kill_on_drop(true).output();
    match timeout(limit, run).await {
        Err(_) => Err(format!("{name} took more than {limit:?}")),
        Ok(Err(why)) => Err(format!("{name} cannot be started: {why}")),
        Ok(Ok(output)) if output.status.success() => Ok(output),
        Ok(Ok(output)) => Err(format!("{name} failed, {}:\n{}", output.status, said(&output))),
    }
}

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned()).concat()
}

fn in_ci() -> bool {
    ["CI", "SYNGRAD_CI"].iter().any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}

//! The collector as a process.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Once, OnceLock};

use crate::{Failure, Outcome, wait};

/// A running `ottlcol`; killed when dropped.
pub struct Collector {
    child: Child,
    directory: PathBuf,
}

impl Collector {
    /// Writes `config` into a directory of its own, starts the collector and waits until it says that it is ready.
    pub fn start(config: &str) -> Outcome<Self> {
        Self::start_with(config, &[])
    }

    /// Likewise with environment variables.
    pub fn start_with(config: &str, environment: &[(&str, &str)]) -> Outcome<Self> {
        Self::start_program(binary()?, config, environment)
    }

    /// Likewise another collector, which says the same when it is ready: the Go one.
    pub fn start_program(program: &Path, config: &str, environment: &[(&str, &str)]) -> Outcome<Self> {
        let mut collector = Self::spawn(program, config, environment)?;
        let ready = wait::until("the collector is ready", 60, || {
            if let Ok(Some(status)) = collector.child.try_wait() {
                return Some(Err(Failure(format!("ended early with {status}"))));
            }
            collector.log().contains("Everything is ready").then_some(Ok(()))
        });
        match ready.and_then(|inner| inner) {
            Ok(()) => Ok(collector),
            Err(Failure(why)) => Err(Failure(format!("{why}; its log:\n{}", collector.log()))),
        }
    }

    fn spawn(program: &Path, config: &str, environment: &[(&str, &str)]) -> Outcome<Self> {
        let directory = fresh_directory("collector")?;
        let file = directory.join("config.yaml");
        fs::write(&file, config)?;
        let log = fs::File::create(directory.join("log"))?;
        let child = Command::new(program)
            .arg("--config")
            .arg(&file)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::from(log.try_clone()?))
            .stderr(Stdio::from(log))
            .spawn()?;
        Ok(Self { child, directory })
    }

    /// Everything printed so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }

    /// Process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Replaces the configuration file and asks for a reload with SIGHUP.
    pub fn reload(&self, config: &str) -> Outcome {
        fs::write(self.directory.join("config.yaml"), config)?;
        let sent = Command::new("kill").arg("-HUP").arg(self.child.id().to_string()).status()?;
        crate::check(sent.success(), || "kill -HUP failed".to_owned())
    }

    /// Sends SIGTERM and waits for the end.
    pub fn terminate(mut self) -> Outcome<(ExitStatus, String)> {
        let sent = Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status()?;
        crate::check(sent.success(), || "kill -TERM failed".to_owned())?;
        let status = wait::until("the collector stops after SIGTERM", 30, || self.child.try_wait().ok().flatten())?;
        Ok((status, self.log()))
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        // Both fail only where the process is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the collector to its end, for commands such as `validate`: exit code and everything printed.
pub fn run(arguments: &[&str]) -> Outcome<(i32, String)> {
    run_with(arguments, &[])
}

/// The same with variables in its environment.
pub fn run_with(arguments: &[&str], environment: &[(&str, &str)]) -> Outcome<(i32, String)> {
    let variables = environment.iter().copied();
    let output = Command::new(binary()?).args(arguments).envs(variables).stdin(Stdio::null()).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    Ok((output.status.code().unwrap_or(-1), text))
}

/// Writes a configuration to a file of its own.
pub fn config_file(config: &str) -> Outcome<PathBuf> {
    let file = fresh_directory("config")?.join("config.yaml");
    fs::write(&file, config)?;
    Ok(file)
}

/// The binary beside this one in the target directory; built first, so that it is never an old one.
pub fn binary() -> Outcome<&'static Path> {
    static BINARY: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    match BINARY.get_or_init(build) {
        Ok(path) => Ok(path),
        Err(why) => Err(Failure(why.clone())),
    }
}

fn build() -> Result<PathBuf, String> {
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut directory = this.parent().ok_or("no directory of this program")?;
    if directory.ends_with("deps") {
        directory = directory.parent().ok_or("no target directory")?;
    }
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--package", "collector", "--bin", "ottlcol", "--target-dir"]);
    cargo.arg(directory.parent().ok_or("no target directory")?).current_dir(env!("CARGO_MANIFEST_DIR"));
    if directory.ends_with("release") {
        cargo.arg("--release");
    }
    // What cargo says of this package to its test would be news to build scripts that ask for it (ring's does), and they
    // and all above them would be built anew: here, and again in the next run of the tests.
    let of_this_package = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(of_this_package) {
            cargo.env_remove(name);
        }
    }
    let built = cargo.output().map_err(|error| format!("cargo build: {error}"))?;
    if !built.status.success() {
        return Err(format!("cargo build: {}", String::from_utf8_lossy(&built.stderr)));
    }
    Ok(directory.join("ottlcol"))
}

/// An empty directory below the target directory, so that `cargo clean` takes it along. It stays until the next run, for
/// whoever wants to know why a case failed.
pub fn fresh_directory(name: &str) -> Outcome<PathBuf> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    static SWEPT: Once = Once::new();
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/e2e");
    SWEPT.call_once(|| sweep(&all));
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let directory = all.join(format!("{}-{number}-{name}", std::process::id()));
    fs::create_dir_all(&directory)?;
    Ok(directory)
}

/// Removes the directories of processes that are gone, where `/proc` can say so. One that cannot be removed is no
/// reason to fail a case.
fn sweep(all: &Path) {
    if !Path::new("/proc/self").exists() {
        return;
    }
    for entry in fs::read_dir(all).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let process = name.to_str().and_then(|name| name.split('-').next()?.parse::<u32>().ok());
        if process.is_some_and(|process| !Path::new(&format!("/proc/{process}")).exists()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

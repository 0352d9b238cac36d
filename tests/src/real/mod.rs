//! Real parts and the cases that use them.

pub(crate) mod differential;
pub(crate) mod keda;
pub(crate) mod kill;
pub(crate) mod load_balancing;
pub(crate) mod main_job;
pub(crate) mod prometheus;
pub(crate) mod sampling;
pub(crate) mod seeds;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use e2e::{Failure, Outcome};

/// Where the installed parts are.
pub(crate) struct Parts {
    /// Python with the OpenTelemetry SDK.
    pub(crate) python: PathBuf,
    /// The Prometheus server.
    pub(crate) prometheus: PathBuf,
    /// KEDA's contract with external scalers.
    pub(crate) keda_proto: PathBuf,
    /// The Go collector with the components that are compared, if [`Parts::install_peer`] was asked for it.
    pub(crate) peer: PathBuf,
}

impl Parts {
    /// Installs what is missing: the SDK into a virtual environment below `target`, Prometheus as a Debian package.
    pub(crate) fn install() -> Outcome<Self> {
        let python = virtual_environment().join("bin/python");
        let requirements = tests().join("real/requirements.txt");
        let stamp = virtual_environment().join("requirements.txt");
        if std::fs::read(&stamp).ok() != Some(std::fs::read(&requirements)?) {
            crate::say("installing the OpenTelemetry Python SDK");
            command("python3", &["-m", "venv", &virtual_environment().to_string_lossy()])?;
            let file = requirements.to_string_lossy();
            command(&python.to_string_lossy(), &["-m", "pip", "install", "--quiet", "--requirement", &file])?;
            std::fs::copy(&requirements, &stamp)?;
        }
        if on_path("prometheus").is_none() {
            crate::say("installing Prometheus");
            command("apt-get", &["update", "--quiet", "--quiet"])?;
            command("apt-get", &["install", "--yes", "--quiet", "--no-install-recommends", "prometheus"])?;
        }
        if on_path("dnsmasq").is_none() {
            crate::say("installing dnsmasq");
            command("apt-get", &["install", "--yes", "--quiet", "--no-install-recommends", "dnsmasq-base"])?;
        }
        if !keda_proto().exists() {
            crate::say("fetching KEDA's externalscaler.proto");
            fetch_keda_proto()?;
        }
        differential::install()?;
        Self::installed()
    }

    /// Builds the Go collector if it is not there.
    pub(crate) fn install_peer() -> Outcome {
        if !peer().exists() {
            crate::say("building the Go collector to compare with (some minutes the first time)");
            build_peer()?;
        }
        Ok(())
    }

    /// The parts, if all are there.
    pub(crate) fn installed() -> Outcome<Self> {
        let python = virtual_environment().join("bin/python");
        let prometheus = on_path("prometheus").ok_or(Failure::new("prometheus is not installed"))?;
        e2e::check(python.exists(), || format!("{} is missing", python.display()))?;
        let keda_proto = keda_proto();
        e2e::check(keda_proto.exists(), || format!("{} is missing", keda_proto.display()))?;
        let peer = peer();
        Ok(Self { python, prometheus, keda_proto, peer })
    }
}

/// This package's folder.
pub(crate) fn tests() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn virtual_environment() -> PathBuf {
    tests().join("../target/e2e/venv")
}

fn keda_proto() -> PathBuf {
    tests().join("../target/e2e/keda/externalscaler.proto")
}

/// Takes the proto out of KEDA's Go module, by Go's own client.
fn fetch_keda_proto() -> Outcome {
    let output = Command::new("go")
        .args(["mod", "download", "-json", "github.com/kedacore/keda/v2@v2.21.0"])
        .env("GOFLAGS", "-mod=mod")
        .current_dir(std::env::temp_dir())
        .output()
        .map_err(|error| Failure(format!("go: {error}")))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let module: serde_json::Value =
        serde_json::from_str(&text).map_err(|_| Failure(format!("go mod download: {text}")))?;
    let directory = module["Dir"].as_str().ok_or_else(|| Failure(format!("go mod download: {text}")))?;
    let source = Path::new(directory).join("pkg/scalers/externalscaler/externalscaler.proto");
    let target = keda_proto();
    std::fs::create_dir_all(target.parent().unwrap_or(Path::new(".")))?;
    std::fs::write(&target, std::fs::read(&source)?)?;
    Ok(())
}

/// Where `tests/compare` has it, too.
fn peer() -> PathBuf {
    tests().join("../target/compare/otelcol-peer")
}

fn build_peer() -> Outcome {
    let (target, source) = (peer(), tests().join("go/collector"));
    command("go", &["-C", &source.to_string_lossy(), "build", "-o", &target.to_string_lossy(), "."])
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(program)).find(|file| file.is_file())
}

/// Runs a command to its end; its output shows only where it fails.
fn command(program: &str, arguments: &[&str]) -> Outcome {
    let output = Command::new(program)
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Failure(format!("{program}: {error}")))?;
    e2e::check(output.status.success(), || {
        format!("{program} {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr))
    })
}

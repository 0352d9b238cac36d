//! Free loopback ports that stay free: a port of the kernel's own range can be taken by any outgoing connection between
//! the asking and the listening, so these lie below that range, and each process has some to itself.

use std::fs::{self, File};
use std::net::TcpListener;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};

use crate::{Failure, Outcome};

/// The first port that is given.
const FIRST: u16 = 10_000;

/// How many ports a process has to itself.
const OWN: u16 = 250;

/// Where the kernel's range begins when the system does not say.
const EPHEMERAL: u16 = 32_768;

/// A process's ports, its own as long as the file is locked.
struct Ports {
    first: u16,
    next: AtomicU16,
    _lock: File,
}

/// A port of every address of this machine that nothing listens at, and that no other caller is given while this
/// process lives (until it has asked for more than 250).
///
/// # Errors
///
/// Every block of ports is another process's, or every port of this process's block is in use.
pub fn free() -> Outcome<u16> {
    static PORTS: OnceLock<Option<Ports>> = OnceLock::new();
    let ports = PORTS.get_or_init(reserve).as_ref().ok_or_else(|| Failure::new("no block of ports is free"))?;
    for _ in 0..OWN {
        let port = ports.first + ports.next.fetch_add(1, Ordering::Relaxed) % OWN;
        if TcpListener::bind(("0.0.0.0", port)).is_ok() {
            return Ok(port);
        }
    }
    Err(Failure::new("every port of this process is in use"))
}

/// Locks the first block that no other process has.
fn reserve() -> Option<Ports> {
    let directory = std::env::temp_dir().join("ottlcol-test-ports");
    fs::create_dir_all(&directory).ok()?;
    (FIRST..=ephemeral().checked_sub(OWN)?).step_by(usize::from(OWN)).find_map(|first| {
        let lock = File::options().create(true).append(true).open(directory.join(first.to_string())).ok()?;
        lock.try_lock().ok()?;
        Some(Ports { first, next: AtomicU16::new(0), _lock: lock })
    })
}

/// The first port that the kernel gives to connections.
fn ephemeral() -> u16 {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    range.split_whitespace().next().and_then(|first| first.parse().ok()).unwrap_or(EPHEMERAL)
}

//! The process's memory: how much it uses, how much it may use, and who can give some back.
//!
//! Used is resident memory (`VmRSS`). Upstream measures live and unswept Go heap; there is no such number here, and
//! resident memory is what the kernel kills for. "Garbage collection" becomes shedding: parts that keep memory for
//! later use (recycled segments, pools) register a callback and let go of it when the memory limiter asks.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Gives memory back that is only kept for speed. Must not block.
pub trait Shed: Send + Sync {
    /// Lets go of what can be let go of.
    fn shed(&self);
}

/// Everyone who registered. Memory belongs to the process, so there is one list a process.
static SHEDDERS: Mutex<Vec<Weak<dyn Shed>>> = Mutex::new(Vec::new());

/// Registers for shedding until the part is dropped.
pub fn register(part: &Arc<dyn Shed>) {
    let mut all = SHEDDERS.lock().unwrap_or_else(PoisonError::into_inner);
    all.retain(|part| part.strong_count() > 0);
    all.push(Arc::downgrade(part));
}

/// Asks everyone to let go of memory.
pub fn shed() {
    let parts: Vec<_> = {
        let all = SHEDDERS.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().filter_map(Weak::upgrade).collect()
    };
    // Called without the lock: a part may drop another one.
    for part in parts {
        part.shed();
    }
}

/// Resident memory in bytes; nothing where the kernel does not tell.
#[must_use]
pub fn resident() -> Option<u64> {
    status_kib("VmRSS:").map(|kib| kib * 1024)
}

/// Resident anonymous memory in bytes: the heap and stacks, without mapped files.
#[must_use]
pub fn anonymous() -> Option<u64> {
    status_kib("RssAnon:").map(|kib| kib * 1024)
}

/// The data segment in bytes, touched or not.
#[must_use]
pub fn data() -> Option<u64> {
    status_kib("VmData:").map(|kib| kib * 1024)
}

fn status_kib(key: &str) -> Option<u64> {
    kib_of(&std::fs::read_to_string("/proc/self/status").ok()?, key)
}

fn kib_of(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// What the process may use: its control group's limit, or the machine's memory if there is none or it is larger.
pub fn total() -> Result<u64, String> {
    let machine = std::fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| kib_of(&text, "MemTotal:"))
        .map(|kib| kib * 1024)
        .ok_or("cannot read the machine's memory from /proc/meminfo")?;
    Ok(group_limit(Path::new("/")).map_or(machine, |limit| limit.min(machine)))
}

/// The limit of the control group, version 2 or 1; the least one on the way up counts.
fn group_limit(root: &Path) -> Option<u64> {
    let groups = std::fs::read_to_string(root.join("proc/self/cgroup")).ok()?;
    let mut least: Option<u64> = None;
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':');
        let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        let (base, file) = match controllers {
            "" => (root.join("sys/fs/cgroup"), "memory.max"),
            list if list.split(',').any(|name| name == "memory") => {
                (root.join("sys/fs/cgroup/memory"), "memory.limit_in_bytes")
            }
            _ => continue,
        };
        // Inside a container the path may be the host's and not exist here; the mount's root is then the group.
        let mut at: PathBuf = base.join(path.trim_start_matches('/'));
        loop {
            if let Some(limit) = std::fs::read_to_string(at.join(file)).ok().and_then(|text| text.trim().parse().ok()) {
                least = Some(least.map_or(limit, |least| least.min(limit)));
            }
            if at == base || !at.pop() {
                break;
            }
        }
    }
    least
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::{Shed, group_limit, kib_of, register, resident, shed, total};

    #[test]
    fn reads_this_process() {
        assert!(resident().unwrap() > 100_000);
        assert!(total().unwrap() > resident().unwrap());
        assert_eq!(kib_of("VmPeak:\t 7 kB\nVmRSS:\t  1234 kB\n", "VmRSS:"), Some(1234));
    }

    #[test]
    fn the_least_limit_on_the_way_up_counts() {
        let root = std::env::temp_dir().join(format!("ottlcol-cgroup-{}", std::process::id()));
        let write = |path: &str, text: &str| {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("proc/self/cgroup", "0::/pod/container\n");
        write("sys/fs/cgroup/pod/memory.max", "1000\n");
        write("sys/fs/cgroup/pod/container/memory.max", "max\n");
        assert_eq!(group_limit(&root), Some(1000));
        write("proc/self/cgroup", "5:cpu,memory:/x\n1:name=systemd:/y\n");
        write("sys/fs/cgroup/memory/memory.limit_in_bytes", "2000\n");
        assert_eq!(group_limit(&root), Some(2000));
        std::fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn sheds_only_who_is_still_there() {
        struct Part(AtomicUsize);
        impl Shed for Part {
            fn shed(&self) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let part = Arc::new(Part(AtomicUsize::new(0)));
        let shared: Arc<dyn Shed> = Arc::clone(&part) as _;
        register(&shared);
        drop(shared);
        shed();
        assert!(part.0.load(Ordering::Relaxed) >= 1);
        drop(part);
        shed();
    }
}

//! A gateway before backends that are listed, and before a name in a real DNS server: owners as contrib's ring has them,
//! records that come and go, and a backend that dies with its queue full.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use e2e::{Backend, Collector, Failure, Outcome, check, client, collector, scrape, wait};

use super::Parts;

const NAME: &str = "samplers.observability.test";
const PAGE: &str = "http://127.0.0.1:8888/metrics";

pub(crate) fn run(_: &Parts) -> Outcome {
    listed_backends_get_what_contrib_sends_them()?;
    backends_of_a_name_come_and_go()
}

fn config(resolver: &str) -> String {
    format!(
        "receivers: {{otlp: {{protocols: {{grpc: {{endpoint: 127.0.0.1:4317}}}}}}}}\n\
         exporters: {{loadbalancing: {{resolver: {resolver}, protocol: {{otlp: {{tls: {{insecure: true}}}}}}}}}}\n\
         service:\n  pipelines: {{traces: {{receivers: [otlp], exporters: [loadbalancing]}}}}\n  telemetry: {{metrics: {{readers: \
         [{{pull: {{exporter: {{prometheus: {{host: 127.0.0.1, port: 8888}}}}}}}}]}}}}\n"
    )
}

/// One request with a span of each of these traces.
fn send(ids: &[[u8; 16]], number: u8) -> Outcome {
    let spans = ids.iter().map(|id| client::span(*id, number, "call", 5, false)).collect();
    client::send_grpc(4317, client::request("shop", spans)).map_err(|status| Failure(format!("refused: {status}")))
}

/// How many spans of each trace a backend has.
fn spans(backend: &Backend) -> BTreeMap<String, usize> {
    backend.arrived().traces.into_iter().map(|(id, spans)| (id, spans.len())).collect()
}

fn total(backends: &[&Backend]) -> usize {
    backends.iter().map(|backend| backend.arrived().span_count()).sum()
}

fn start(address: &str) -> Outcome<Backend> {
    let address: SocketAddr = address.parse().map_err(|_| Failure(format!("{address} is no address")))?;
    Backend::start_on(address)
}

fn listed_backends_get_what_contrib_sends_them() -> Outcome {
    const PORTS: [&str; 4] = ["55690", "55700", "55710", "55720"];
    let backends = PORTS.iter().map(|port| start(&format!("127.0.0.1:{port}"))).collect::<Outcome<Vec<_>>>()?;
    let hostnames = PORTS.map(|port| format!("'127.0.0.1:{port}'")).join(", ");
    let running = Collector::start(&config(&format!("{{static: {{hostnames: [{hostnames}]}}}}")))?;
    // The ring's own vectors: column 0 is the trace id, column 7 the port in this set of backends.
    let vectors = std::fs::read_to_string(super::tests().join("../collector/src/cluster/ring/vectors.txt"))?;
    let mut expected: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut ids = Vec::new();
    for line in vectors.lines().filter(|line| !line.starts_with('#')) {
        let columns: Vec<&str> = line.split(' ').collect();
        let [id, port] = [columns[0], columns[7]];
        // A trace id of zeros is not valid on the wire for everyone.
        if id.chars().any(|digit| digit != '0') {
            expected.entry(port).or_default().push(id);
            ids.push(std::array::from_fn(|at| u8::from_str_radix(&id[2 * at..2 * at + 2], 16).unwrap_or_default()));
        }
    }
    for number in 1..=3 {
        send(&ids, number)?;
    }
    let all: Vec<&Backend> = backends.iter().collect();
    wait::until("all spans arrive", 30, || (total(&all) >= ids.len() * 3).then_some(()))?;
    for (backend, port) in backends.iter().zip(PORTS) {
        let mut owned: Vec<&str> = expected.remove(port).unwrap_or_default();
        owned.sort_unstable();
        let arrived = spans(backend);
        check(arrived.keys().eq(owned.iter()), || format!("{port} has {:?}, expected {owned:?}", arrived.keys()))?;
        check(arrived.values().all(|count| *count == 3), || format!("{port}: not 3 spans of each trace"))?;
    }
    ends_well(running)
}

fn ends_well(running: Collector) -> Outcome {
    let (status, log) = running.terminate()?;
    check(status.code() == Some(0), || format!("ended with {status}: {log}"))
}

fn backends_of_a_name_come_and_go() -> Outcome {
    let dns = Dns::start()?;
    let address = |n: usize| format!("127.0.3.{n}");
    let backends = (1..=3).map(|n| start(&format!("{}:4317", address(n)))).collect::<Outcome<Vec<_>>>()?;
    dns.publish(&address(1))?;
    dns.publish(&address(2))?;
    let running = Collector::start(&config(&format!("{{dns: {{hostname: {NAME}, port: 4317, interval: 1s}}}}")))?;
    let ids =
        |batch: u8| -> Vec<[u8; 16]> { (1..=100).map(|n| std::array::from_fn(|at| n ^ batch ^ at as u8)).collect() };
    let members = |expected: f64| {
        wait::until("the gateway follows the DNS", 30, || {
            let page = scrape::scrape(PAGE).ok()?;
            (scrape::sum(&page, "otelcol_loadbalancer_num_backends", &[]) == expected).then_some(())
        })
    };
    members(2.0)?;
    send(&ids(0), 1)?;
    wait::until("the first batch arrives", 30, || (total(&[&backends[0], &backends[1]]) >= 100).then_some(()))?;

    dns.publish(&address(3))?;
    members(3.0)?;
    send(&ids(0), 2)?;
    let all: Vec<&Backend> = backends.iter().collect();
    wait::until("the second batch arrives", 30, || (total(&all) >= 200).then_some(()))?;
    check(backends[2].arrived().span_count() > 0, || "the new backend got nothing".to_owned())?;

    // The third backend dies. What is meant for it waits, and goes to the others once its record is gone.
    let [one, two, dead]: [Backend; 3] = backends.try_into().map_err(|_| Failure::new("three backends"))?;
    let before = total(&[&one, &two]);
    let died_with = dead.arrived().span_count();
    // Spans of a backend that dies before its answer is heard are sent again.
    wait::until("the gateway has all answers", 30, || {
        let page = scrape::scrape(PAGE).ok()?;
        (scrape::sum(&page, "ottlcol_loadbalancer_backend_sent_items", &[]) >= 200.0).then_some(())
    })?;
    drop(dead);
    for number in 3..=5 {
        send(&ids(0), number)?;
    }
    dns.withdraw(&address(3))?;
    members(2.0)?;
    wait::until("the queue of the dead backend reaches the others", 30, || {
        (total(&[&one, &two]) >= before + 300).then_some(())
    })?;
    let arrived = wait::until_still("the backends", 30, 500, || total(&[&one, &two]))?;
    check(arrived == before + 300, || format!("{arrived} spans, expected {} (and {died_with} before)", before + 300))?;
    ends_well(running)
}

/// dnsmasq on 127.0.0.1:53, asked by every program of this namespace.
struct Dns {
    child: Child,
    hosts: PathBuf,
}

impl Dns {
    fn start() -> Outcome<Self> {
        let directory = collector::fresh_directory("dns")?;
        let (hosts, resolv) = (directory.join("hosts"), directory.join("resolv.conf"));
        std::fs::create_dir(&hosts)?;
        std::fs::write(&resolv, "nameserver 127.0.0.1\n")?;
        // The run has a mount namespace of its own.
        let mounted = Command::new("mount").arg("--bind").arg(&resolv).arg("/etc/resolv.conf").status()?;
        check(mounted.success(), || "mount --bind of resolv.conf failed".to_owned())?;
        let child = Command::new("dnsmasq")
            .args(["--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--local-ttl=0"])
            .args(["--listen-address=127.0.0.1", "--bind-interfaces", "--local=/test/", "--user=root", "--pid-file="])
            .arg(format!("--hostsdir={}", hosts.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self { child, hosts })
    }

    fn publish(&self, address: &str) -> Outcome {
        Ok(std::fs::write(self.hosts.join(address), format!("{address} {NAME}\n"))?)
    }

    fn withdraw(&self, address: &str) -> Outcome {
        Ok(std::fs::remove_file(self.hosts.join(address))?)
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        // All fail only where it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = Command::new("umount").arg("/etc/resolv.conf").status();
    }
}

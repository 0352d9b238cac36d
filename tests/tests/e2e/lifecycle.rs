//! Start, reload and stop of the process: exit codes, what is said, and what keeps running.

use std::net::TcpListener;

use e2e::{Collector, client, collector, port, scrape, wait};

fn config(grpc: u16, own: u16, more: &str) -> String {
    format!(
        "
receivers: {{otlp: {{protocols: {{grpc: {{endpoint: '127.0.0.1:{grpc}'}}}}}}}}
exporters: {{debug: {{{more}}}}}
service:
  pipelines: {{traces: {{receivers: [otlp], exporters: [debug]}}}}
  telemetry: {{metrics: {{readers: [{{pull: {{exporter: {{prometheus: {{host: 127.0.0.1, port: {own}}}}}}}}}]}}}}
"
    )
}

fn ports() -> [u16; 2] {
    [(); 2].map(|()| port::free().expect("a free port"))
}

/// Waits until the collector on this port counts a reload of this outcome.
fn reloaded(own: u16, outcome: &str) {
    let count = || {
        let page = scrape::scrape(&format!("http://127.0.0.1:{own}/metrics")).ok()?;
        (scrape::sum(&page, "ottlcol_config_reloads", &[("outcome", outcome)]) > 0.0).then_some(())
    };
    wait::until("the reload is counted", 30, count).expect("a reload");
}

fn accepts(grpc: u16) {
    let spans = vec![client::span([1; 16], 1, "a", 1, false)];
    client::send_grpc(grpc, client::request("shop", spans)).expect("the collector takes it");
}

#[test]
fn a_signal_ends_it_with_success() {
    let [grpc, own] = ports();
    let running = Collector::start(&config(grpc, own, "")).expect("the collector starts");
    accepts(grpc);
    let (status, log) = running.terminate().expect("it ends");
    assert!(status.success(), "{log}");
    for line in ["Received signal from OS", "\"signal\":\"terminated\"", "Starting shutdown...", "Shutdown complete."] {
        assert!(log.contains(line), "no {line:?} in\n{log}");
    }
}

#[test]
fn a_bad_new_configuration_leaves_the_old_one_running() {
    let [grpc, own] = ports();
    let running = Collector::start(&config(grpc, own, "")).expect("the collector starts");
    running.reload(&config(grpc, own, "verbosityy: basic")).expect("a signal");
    reloaded(own, "failure");
    accepts(grpc);
    assert!(running.log().contains("has invalid keys: verbosityy"), "{}", running.log());
    assert!(running.terminate().expect("it ends").0.success());
}

#[test]
fn a_new_configuration_that_does_not_start_is_taken_back() {
    let [grpc, own] = ports();
    let running = Collector::start(&config(grpc, own, "")).expect("the collector starts");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let port = taken.local_addr().expect("an address").port();
    running.reload(&config(port, own, "")).expect("a signal");
    reloaded(own, "failure");
    accepts(grpc);
    assert!(running.terminate().expect("it ends").0.success());
}

#[test]
fn a_good_new_configuration_replaces_the_old_one() {
    let [grpc, own] = ports();
    let [new_grpc, new_own] = ports();
    let running = Collector::start(&config(grpc, own, "")).expect("the collector starts");
    running.reload(&config(new_grpc, new_own, "verbosity: detailed")).expect("a signal");
    reloaded(new_own, "success");
    accepts(new_grpc);
    let gone = client::send_grpc(grpc, client::request("shop", Vec::new()));
    assert!(gone.is_err(), "the old port still answers");
    assert!(running.terminate().expect("it ends").0.success());
}

#[test]
fn a_port_that_is_taken_ends_the_start() {
    let [_, own] = ports();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let port = taken.local_addr().expect("an address").port();
    let file = collector::config_file(&config(port, own, "")).expect("a file");
    let (code, text) = collector::run(&["--config", &file.to_string_lossy()]).expect("it runs");
    assert_eq!(code, 1);
    assert!(text.contains("Error: cannot start pipelines: failed to start \"otlp\" receiver: "), "{text}");
    assert!(text.contains("address already in use"), "{text}");
    assert!(text.contains("collector server run finished with error: cannot start pipelines"), "{text}");
}

#[test]
fn changed_policies_take_over_without_losing_waiting_traces() {
    let [grpc, own] = ports();
    let backend = e2e::Backend::start().expect("a backend");
    let config = |policy: &str| {
        format!(
            "receivers: {{otlp: {{protocols: {{grpc: {{endpoint: 127.0.0.1:{grpc}}}}}}}}}
processors: {{tail_sampling: {{decision_wait: 4s, policies: [{policy}]}}}}
exporters: {{otlp: {{endpoint: {}, tls: {{insecure: true}}}}}}
service:
  telemetry: {{metrics: {{readers: [{{pull: {{exporter: {{prometheus: {{host: 127.0.0.1, port: {own}}}}}}}}}]}}}}
  pipelines: {{traces: {{receivers: [otlp], processors: [tail_sampling], exporters: [otlp]}}}}
",
            backend.address
        )
    };
    let errors = "{name: errors, type: status_code, status_code: {status_codes: [ERROR]}}";
    let running = Collector::start(&config(errors)).expect("the collector starts");
    accepts(grpc);
    running.reload(&config("{name: broken, type: nonsense}")).expect("a signal");
    reloaded(own, "failure");
    running.reload(&config("{name: all, type: always_sample}")).expect("a signal");
    reloaded(own, "success");
    // Under the old policy the trace would have gone, and a restart would have decided it by that.
    wait::until("the waiting trace arrives", 20, || (backend.arrived().span_count() > 0).then_some(()))
        .expect("it is kept");
    assert!(running.log().contains("taken over without a restart"), "{}", running.log());
    assert!(running.terminate().expect("it ends").0.success());
}

//! A Prometheus server as a process.

use std::process::{Child, Command, Stdio};

use e2e::{Outcome, collector, port, wait};

use super::Parts;

/// Killed when dropped.
pub(crate) struct Prometheus {
    child: Child,
    url: String,
}

impl Prometheus {
    /// Scrapes these jobs every second: names and targets.
    pub(crate) fn start(parts: &Parts, jobs: &[(&str, Vec<String>)]) -> Outcome<Self> {
        let directory = collector::fresh_directory("prometheus")?;
        let file = directory.join("prometheus.yml");
        let mut config = "scrape_configs:\n".to_owned();
        for (job, targets) in jobs {
            let targets: Vec<_> = targets.iter().map(|target| format!("\"{target}\"")).collect();
            config.push_str(&format!(
                "- job_name: {job}\n  scrape_interval: 1s\n  honor_labels: true\n  static_configs:\n  - targets: [{}]\n",
                targets.join(", ")
            ));
        }
        std::fs::write(&file, config)?;
        let port = port::free()?;
        let log = std::fs::File::create(directory.join("log"))?;
        let child = Command::new(&parts.prometheus)
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", directory.join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--log.level=warn")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::from(log))
            .spawn()?;
        let prometheus = Self { child, url: format!("http://127.0.0.1:{port}") };
        wait::until("Prometheus is ready", 60, || {
            ureq::get(&format!("{}/-/ready", prometheus.url)).call().is_ok().then_some(())
        })?;
        Ok(prometheus)
    }

    /// The value of an instant query's first series.
    pub(crate) fn query(&self, query: &str) -> Option<f64> {
        let mut answer = ureq::get(&format!("{}/api/v1/query", self.url)).query("query", query).call().ok()?;
        let text = answer.body_mut().read_to_string().ok()?;
        let answer: serde_json::Value = serde_json::from_str(&text).ok()?;
        answer["data"]["result"][0]["value"][1].as_str()?.parse().ok()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // Both fail only where the process is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

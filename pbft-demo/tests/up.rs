//! The embedded cluster with HTTP in front of it, as `cargo run --release` starts it.

mod common;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};

use common::{demo, terminate, text, until};
use serde_json::{Value, json};
use tempfile::TempDir;
use ureq::Agent;

struct Up {
    process: Child,
    url: String,
    banner: String,
    agent: Agent,
}

impl Up {
    fn start(directory: &Path) -> Self {
        let mut process = demo()
            .args(["--http", "127.0.0.1:0", "--dir"])
            .arg(directory)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the built program starts");
        let mut banner = String::new();
        for line in BufReader::new(process.stdout.take().expect("piped")).lines() {
            banner += &(line.expect("text") + "\n");
            if banner.contains("Ctrl-C") {
                break;
            }
        }
        let url = banner.split_whitespace().find_map(|word| word.strip_suffix("/counters/apples"));
        let url = url.unwrap_or_else(|| panic!("no address in {banner}")).to_owned();
        let agent = Agent::config_builder().http_status_as_error(false).build().into();
        let up = Self { process, url, banner, agent };
        until("healthy", || (up.get("/healthz").0 == 200).then_some(()));
        up
    }

    fn get(&self, path: &str) -> (u16, Value) {
        let mut answer = self.agent.get(format!("{}{path}", self.url)).call().expect("an answer");
        (answer.status().as_u16(), answer.body_mut().read_json().expect("JSON"))
    }

    fn add(&self, name: &str, body: &str, key: Option<&str>) -> (u16, Value) {
        let mut request = self.agent.post(format!("{}/counters/{name}/add", self.url));
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        let mut answer = request.send(body).expect("an answer");
        (answer.status().as_u16(), answer.body_mut().read_json().expect("JSON"))
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _gone_already = self.process.kill();
        let _gone_already = self.process.wait();
    }
}

#[test]
fn counters_over_http() {
    let directory = TempDir::new().unwrap();
    let mut up = Up::start(directory.path());
    assert!(up.banner.contains("a second start goes on"), "{}", up.banner);

    let (code, first) = up.add("apples", r#"{"by": 3}"#, None);
    assert_eq!((code, &first["name"], &first["value"]), (200, &json!("apples"), &json!(3)), "{first}");
    assert!(
        first["seq"].as_u64() > Some(0) && first["time"].as_u64() > Some(1_600_000_000_000_000),
        "{first}"
    );
    assert_eq!(up.get("/counters/apples").1["value"], 3);
    assert_eq!(up.get("/counters/nothing%20added").1["value"], 0);

    // One key is one addition, however often it is sent.
    let keyed = up.add("apples", r#"{"by": 4}"#, Some("k1"));
    assert_eq!((keyed.0, &keyed.1["value"]), (200, &json!(7)));
    assert_eq!(up.add("apples", r#"{"by": 4}"#, Some("k1")), keyed);
    assert_eq!(up.add("apples", r#"{"by": 5}"#, Some("k1")).0, 422);
    assert_eq!(up.get("/counters/apples").1["value"], 7);

    // An outcome can be asked for by its id.
    let id = keyed.1["id"].as_str().unwrap();
    assert_eq!(up.get(&format!("/outcomes/{id}")), keyed);
    assert_eq!(up.get("/outcomes/1-2-3").0, 404);
    assert_eq!(up.get("/outcomes/nonsense").0, 400);

    // What is refused says why and changes nothing.
    for (body, expected) in [(r#"{"by": 9223372036854775807}"#, 409), (r#"{"by": 1.5}"#, 400), ("{}", 400)] {
        let (code, answer) = up.add("apples", body, None);
        assert!(
            code == expected && answer["error"].is_string() && answer["cure"].is_string(),
            "{code} {answer}"
        );
    }
    assert_eq!(up.add(&"x".repeat(129), r#"{"by": 1}"#, None).0, 400);
    assert_eq!(up.get("/no/such/path").0, 404);

    up.add("pears", r#"{"by": -1}"#, None);
    let counters = up.get("/counters").1["counters"].clone();
    assert_eq!(counters, json!([{"name": "apples", "value": 7}, {"name": "pears", "value": -1}]));
    let page = up.get("/counters?limit=1&after=apples").1;
    assert_eq!((&page["counters"][0]["name"], &page["more"]), (&json!("pears"), &json!(false)));

    let status = up.get("/status").1;
    assert_eq!(status["replicas"].as_array().unwrap().len(), 4);
    assert_eq!(status["replicas"][2]["reachable"], true);
    let metrics =
        up.agent.get(format!("{}/metrics", up.url)).call().unwrap().body_mut().read_to_string().unwrap();
    assert!(metrics.contains("pbft_operations_total{replica=\"0\"}"), "{metrics}");

    // The command line reaches it too, and a second start in the same directory is refused.
    let mut counter = demo();
    counter.args(["counter", "--client", "1", "--config"]).arg(directory.path().join("running.toml"));
    let output = counter.args(["get", "apples"]).output().unwrap();
    assert_eq!(text(&output.stdout), "7\n", "{}", text(&output.stderr));
    let second =
        demo().args(["up", "--http", "127.0.0.1:0", "--dir"]).arg(directory.path()).output().unwrap();
    assert_eq!(second.status.code(), Some(1));
    assert!(text(&second.stderr).contains("another pbft-demo runs"), "{}", text(&second.stderr));
    let elsewhere = TempDir::new().unwrap();
    let address = up.url.strip_prefix("http://").unwrap();
    let taken = demo().args(["up", "--http", address, "--dir"]).arg(elsewhere.path()).output().unwrap();
    assert_eq!(taken.status.code(), Some(1));
    let said = text(&taken.stderr);
    assert!(said.contains(address) && said.contains("cure:"), "{said}");

    // A clean stop, and a second start with the same keys.
    assert!(terminate(&mut up.process).success());
    assert!(!directory.path().join("running.toml").exists());
    drop(up);
    let mut again = Up::start(directory.path());
    let (code, answer) = again.add("apples", r#"{"by": 1}"#, None);
    assert_eq!((code, &answer["value"]), (200, &json!(8)), "{answer}");
    assert!(terminate(&mut again.process).success());
}

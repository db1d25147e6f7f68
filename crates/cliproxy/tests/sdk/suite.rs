//! Runs one suite of a language's test runner against a gateway of its own.

use std::path::Path;
use std::process::Command;

use cliproxy_testkit::provider::Fleet;
use cliproxy_testkit::{Gateway, sdk};

const KEY: &str = "key-of-the-sdk-tests";

/// Gateway and providers, as long as the suite runs.
pub(crate) struct Suite {
    fleet: Fleet,
    gateway: Gateway,
    home: tempfile::TempDir,
}

impl Suite {
    async fn start() -> Self {
        let fleet = Fleet::start().await;
        let gateway = Gateway::start(Path::new(env!("CARGO_BIN_EXE_cli-proxy-api")), &fleet.config(KEY), &[]);
        Self { fleet, gateway, home: tempfile::tempdir().expect("a directory") }
    }

    /// Runs a file of the Python suite.
    pub(crate) async fn python(file: &str) {
        let Some(python) = sdk::python() else { return };
        let suite = Self::start().await;
        let mut command = Command::new(python);
        command.args(["-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider", file]);
        command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sdk/python"));
        suite.run(command, &[]);
    }

    /// Runs a file of the JavaScript suite.
    pub(crate) async fn javascript(file: &str) {
        let Some(node) = sdk::node() else { return };
        let suite = Self::start().await;
        let mut command = Command::new(node.program);
        command.args(["--test", "--test-reporter=spec", file]);
        command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sdk/javascript"));
        suite.run(command, &[("SDK_ROOT", &node.root)]);
    }

    /// Runs it in an environment that holds nothing of this machine's accounts and proxies.
    fn run(&self, mut command: Command, variables: &[(&str, &Path)]) {
        command.env_clear();
        for name in ["PATH", "SYSTEMROOT"] {
            command.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        command.env("HOME", self.home.path()).env("PYTHONDONTWRITEBYTECODE", "1");
        command.env("GATEWAY", self.gateway.url()).env("GATEWAY_KEY", KEY).env("WINDOW", self.fleet.window());
        command.envs(variables.iter().copied());
        let output = command.output().expect("the runner starts");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(output.status.success(), "{said}");
        println!("{said}");
    }
}

//! Runs a file of a language's test runner against a gateway of its own.

use std::path::Path;
use std::process::Command;

use cliproxy_testkit::provider::Fleet;
use cliproxy_testkit::{Gateway, sdk};

/// The key that the gateway wants of clients.
pub(crate) const KEY: &str = "key-of-the-sdk-tests";

/// A test runner, ready to start. Its environment holds nothing of this machine's accounts and proxies.
pub(crate) struct Runner {
    command: Command,
    home: tempfile::TempDir,
}

impl Runner {
    fn new(program: &Path, folder: &str) -> Self {
        let home = tempfile::tempdir().expect("a directory");
        let mut command = Command::new(program);
        command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdk").join(folder));
        command.env_clear().env("HOME", home.path()).env("PYTHONDONTWRITEBYTECODE", "1");
        let kept = ["PATH", "SYSTEMROOT"].into_iter();
        command.envs(kept.filter_map(|name| Some((name, std::env::var_os(name)?))));
        Self { command, home }
    }

    /// pytest with a file of `python/`.
    pub(crate) fn python(python: &Path, file: &str) -> Self {
        Self::pytest(python, "python", file)
    }

    /// pytest with a file of `types/`, which needs no gateway.
    pub(crate) fn types(python: &Path, file: &str) -> Self {
        Self::pytest(python, "types", file)
    }

    fn pytest(python: &Path, folder: &str, file: &str) -> Self {
        let mut runner = Self::new(python, folder);
        runner.command.args(["-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider", file]);
        runner
    }

    /// Node's runner with a file of `javascript/`.
    pub(crate) fn javascript(node: &sdk::Node, file: &str) -> Self {
        let mut runner = Self::new(&node.program, "javascript");
        runner.command.args(["--test", "--test-reporter=spec", file]).env("SDK_ROOT", &node.root);
        runner
    }

    /// Tells the suite something.
    pub(crate) fn variable(&mut self, name: &str, value: &str) -> &mut Self {
        self.command.env(name, value);
        self
    }

    /// Runs it against a gateway to its end, which must be good.
    pub(crate) fn run(self, gateway: &Gateway) {
        self.run_below(gateway, "");
    }

    /// The same for clients whose address is `path` of the gateway.
    fn run_below(mut self, gateway: &Gateway, path: &str) {
        self.variable("GATEWAY", &format!("{}{path}", gateway.url())).variable("GATEWAY_KEY", KEY);
        self.run_alone();
    }

    /// Runs it without a gateway to its end, which must be good.
    pub(crate) fn run_alone(mut self) {
        let output = self.command.output().expect("the runner starts");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(output.status.success(), "{said}");
        println!("{said}");
        drop(self.home);
    }
}

/// Runs it with a simulated provider of each format.
async fn with_fleet(mut runner: Runner, path: &str) {
    let fleet = Fleet::start().await;
    let gateway = Gateway::start(Path::new(env!("CARGO_BIN_EXE_cli-proxy-api")), &fleet.config(KEY), &[]);
    runner.variable("WINDOW", fleet.window());
    runner.run_below(&gateway, path);
}

/// Runs a file of the Python suite with `path` of the gateway as the address.
pub(crate) async fn python(file: &str, path: &str) {
    if let Some(python) = sdk::python() {
        with_fleet(Runner::python(&python, file), path).await;
    }
}

/// Runs a file of the JavaScript suite with `path` of the gateway as the address.
pub(crate) async fn javascript(file: &str, path: &str) {
    if let Some(node) = sdk::node() {
        with_fleet(Runner::javascript(&node, file), path).await;
    }
}

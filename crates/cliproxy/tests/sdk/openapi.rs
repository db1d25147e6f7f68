//! The OpenAPI document of the management interface, before the validator that the makers of Python's tools use.

use std::path::Path;

use cliproxy_testkit::{Gateway, sdk};

use crate::suite::{KEY, Runner};

#[tokio::test(flavor = "multi_thread")]
async fn python_openapi() {
    let Some(python) = sdk::python() else { return };
    let binary = Path::new(env!("CARGO_BIN_EXE_cli-proxy-api"));
    let gateway = Gateway::start(binary, "debug: false\n", &["--password", KEY]);
    Runner::python(&python, "test_openapi.py").run(&gateway);
}

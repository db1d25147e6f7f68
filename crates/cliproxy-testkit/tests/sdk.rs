//! The environments of the official SDKs hold what the lock files name.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::process::Command;

use cliproxy_testkit::sdk;

fn stdout(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn python_imports_the_locked_sdks() {
    let Some(python) = sdk::python() else { return };
    let script = "import anthropic, google.genai, openai\n\
                  for sdk in (anthropic, google.genai, openai): print(sdk.__name__ + '==' + sdk.__version__)";
    let locked = include_str!("../sdk/requirements.txt");
    for sdk in stdout(Command::new(python).args(["-c", script])).lines() {
        let sdk = sdk.replace("google.genai", "google-genai");
        assert!(locked.contains(&format!("\n{sdk} ")), "{sdk} is not what the lock file names");
    }
}

#[test]
fn node_imports_the_sdks() {
    let Some(node) = sdk::node() else { return };
    let script =
        "for (const name of ['openai', '@anthropic-ai/sdk', '@google/genai', 'zod']) await import(name)";
    stdout(Command::new(node.program).args(["--input-type=module", "-e", script]).current_dir(node.root));
}

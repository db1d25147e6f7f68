//! Output that nobody reads: it ends no command, no login and no server, and holds none of them up.

use std::fs::File;
use std::io::{PipeReader, PipeWriter, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::login::{arranged, binary, only_file};
use crate::support::{self, within};

/// The binary in a directory, with an output of its own.
fn begin(home: &Path, arguments: &[&str], output: impl Into<Stdio>, errors: impl Into<Stdio>) -> Child {
    Command::new(binary())
        .args(arguments)
        .env("HOME", home)
        .env_remove("SSH_CONNECTION")
        .current_dir(home)
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .spawn()
        .unwrap()
}

/// A pipe whose reader has gone.
fn closed() -> PipeWriter {
    std::io::pipe().unwrap().1
}

/// A pipe whose reader is there and reads nothing.
fn unread() -> (PipeReader, PipeWriter) {
    std::io::pipe().unwrap()
}

/// A pipe that is full already, and whose reader reads nothing.
fn full() -> (PipeReader, PipeWriter) {
    let (reader, writer) = unread();
    let mut filling = writer.try_clone().unwrap();
    let (telling, told) = std::sync::mpsc::channel();
    // It waits for room until the reader goes, and so leaves none.
    std::thread::spawn(move || {
        while filling.write_all(&[b'.'; 512]).is_ok() {
            telling.send(()).ok();
        }
    });
    told.recv().unwrap();
    while told.recv_timeout(Duration::from_millis(100)).is_ok() {}
    (reader, writer)
}

/// How a process ends, if it does.
async fn end(mut child: Child) -> ExitStatus {
    within(tokio::task::spawn_blocking(move || child.wait().unwrap())).await.unwrap()
}

/// `check | head -1`: whoever has read enough goes.
#[tokio::test]
async fn commands_whose_output_nobody_reads_end_as_they_would() {
    let directory = tempfile::tempdir().unwrap();
    let home = directory.path();
    let config = home.join("config.yaml");
    support::write(&config, &format!("auth-dir: {}\n", home.display()));
    for arguments in [
        &["check"][..],
        &["accounts"],
        &["import"],
        &["keys", "list"],
        &["usage"],
        &["logs"],
        &["doctor"],
        &["serve", "--host", "192.0.2.1"],
    ] {
        let all: Vec<&str> = arguments.iter().copied().chain(["--config", "config.yaml"]).collect();
        let read = end(begin(home, &all, Stdio::null(), Stdio::null())).await;
        let errors = home.join("errors");
        let told = end(begin(home, &all, closed(), File::create(&errors).unwrap())).await;
        assert_eq!(told.code(), read.code(), "{arguments:?}");
        let told = std::fs::read_to_string(&errors).unwrap();
        assert!(!told.contains("panicked"), "{arguments:?}: {told}");
        assert_eq!(end(begin(home, &all, closed(), closed())).await.code(), read.code(), "{arguments:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_output_nobody_reads_serves_and_ends() {
    let some = |(reader, writer)| (Some(reader), writer);
    for output in [(None, closed()), some(unread()), some(full())] {
        let directory = tempfile::tempdir().unwrap();
        let home = directory.path();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = format!("host: 127.0.0.1\nport: {port}\nauth-dir: auth\ndebug: true\n");
        support::write(&home.join("config.yaml"), &config);
        let (reader, output) = output;
        let errors = output.try_clone().unwrap();
        let child = begin(home, &["--config", "config.yaml"], output, errors);
        let process = child.id().to_string();
        let (client, url) = (support::client(), format!("http://127.0.0.1:{port}/v1/chat/completions"));
        let ask = async || {
            let body = format!(r#"{{"model": "{}"}}"#, "m".repeat(200));
            client.post(&url).header("content-type", "application/json").body(body).send().await
        };
        within(async {
            while ask().await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        // Far more than a pipe holds.
        for _ in 0..1000 {
            assert_eq!(within(ask()).await.unwrap().status(), 404);
        }
        assert!(Command::new("kill").args(["-TERM", &process]).status().unwrap().success());
        assert!(end(child).await.success(), "closed: {}", reader.is_none());
        drop(reader);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_whose_output_nobody_reads_ends_in_its_file() {
    let (provider, home) = arranged().await;
    let login =
        begin(home.path(), &["-kimi-login", "-no-browser", "--config", "config.yaml"], closed(), closed());
    within(async {
        // Its code was given out, and it asks whether somebody confirmed it.
        while provider.received().len() < 2 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    provider.confirm("WXYZ-0001");
    assert!(end(login).await.success());
    assert!(only_file(&home).0.starts_with("kimi-"));
}

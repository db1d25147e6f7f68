//! A real Chromium, driven by WebDriver: what a test shows to a person's browser.
//!
//! Needs the programs `chromium` and `chromedriver` (Debian: the packages `chromium` and `chromium-driver`); where they
//! are missing, [`Browser::open`] says so and the test skips, unless `CI` is set. Every browser has a home of its own and
//! ends with its value. Waiting is for what a page shows: a script in the page looks at each change, nothing polls.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use thirtyfour::common::log::LoggingPrefsLogLevel;
use thirtyfour::error::WebDriverErrorInner;
use thirtyfour::prelude::{ElementQueryable as _, WebDriverError};
use thirtyfour::{
    By, ChromeCapabilities, ChromiumLikeCapabilities as _, DesiredCapabilities, WebDriver, WebElement,
};

/// Longest wait for anything; a test that needs it has failed.
const PATIENCE: Duration = Duration::from_secs(45);

/// What makes Chromium quiet and runs it for root in a container.
const FLAGS: &[&str] = &[
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,900",
];

/// Calls back once a condition holds for the page; looks again after each change of it.
const WAIT: &str = r"
const [condition, done] = [new Function('css', 'text', arguments[0]), arguments[3]];
const [css, text] = [arguments[1], arguments[2]];
const watch = new MutationObserver(look);
let over = false;
function look() {
    if (over || !condition(css, text)) return;
    over = true;
    watch.disconnect();
    done(true);
}
watch.observe(document, { subtree: true, childList: true, characterData: true, attributes: true });
look();
";

/// A running browser with one empty tab.
pub struct Browser {
    driver: Option<WebDriver>,
    process: Driver,
}

/// The program that drives Chromium; ended together with it when dropped.
struct Driver {
    child: Child,
    /// Read to the end never, and held so that the program can go on writing.
    _said: BufReader<ChildStdout>,
    _home: tempfile::TempDir,
}

impl Driver {
    /// The program takes a free port of IPv6 and ends when IPv4 has that one in use, so it is started once more then.
    fn start() -> Result<(Self, String), String> {
        let mut again = 0..8;
        loop {
            match Self::try_start() {
                Err(said) if said.contains("port not available") && again.next().is_some() => {}
                outcome => return outcome,
            }
        }
    }

    fn try_start() -> Result<(Self, String), String> {
        let home = tempfile::tempdir().expect("a directory");
        let mut command = Command::new("chromedriver");
        command.arg("--port=0").env("HOME", home.path()).env("TMPDIR", home.path());
        for name in ["http_proxy", "https_proxy", "all_proxy"] {
            command.env_remove(name).env_remove(name.to_uppercase());
        }
        // Chromium goes into the same group, and ends with it.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(|error| format!("chromedriver does not start: {error}"))?;
        let mut said = BufReader::new(child.stdout.take().expect("a pipe"));
        let (mut line, mut all) = (String::new(), String::new());
        loop {
            line.clear();
            if said.read_line(&mut line).unwrap_or(0) == 0 {
                return Err(format!("chromedriver says: {all}"));
            }
            all.push_str(&line);
            let Some((_, port)) = line.split_once("started successfully on port ") else { continue };
            let url = format!("http://127.0.0.1:{}", port.trim().trim_end_matches('.'));
            return Ok((Self { child, _said: said, _home: home }, url));
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let group = format!("-{}", self.child.id());
        drop(Command::new("kill").args(["-s", "KILL", "--", &group]).stderr(Stdio::null()).status());
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Ended as a process, which takes its session with it and waits for nobody.
        if let Some(driver) = self.driver.take() {
            drop(driver.leak());
        }
    }
}

impl Browser {
    /// Starts one; `None` means that the reason to skip has been said.
    pub async fn open() -> Option<Self> {
        match Self::start().await {
            Ok(browser) => Some(browser),
            Err(reason) => {
                super::skip(&format!("no browser runs: {reason}"));
                None
            }
        }
    }

    async fn start() -> Result<Self, String> {
        let program = ["chromium", "chromium-browser", "google-chrome"].into_iter().find_map(find);
        let program = program.ok_or("the program chromium is missing")?;
        let (process, url) = Driver::start()?;
        let wishes = wishes(&program).map_err(|error| error.to_string())?;
        let driver = WebDriver::new(url, wishes).await.map_err(|error| error.to_string())?;
        driver.set_script_timeout(PATIENCE).await.map_err(|error| error.to_string())?;
        Ok(Self { driver: Some(driver), process })
    }

    /// Everything else that can be asked of a browser: tabs, windows, cookies, keys.
    pub fn driver(&self) -> &WebDriver {
        self.driver.as_ref().expect("a browser that runs")
    }

    /// The id of the program whose group the browser is.
    pub fn id(&self) -> u32 {
        self.process.child.id()
    }

    /// Shows an address in the tab of the moment, and waits until it is loaded.
    pub async fn go(&self, url: &str) {
        self.driver().goto(url).await.expect("a page");
    }

    /// Waits until a visible element that `css` selects holds `text`.
    pub async fn shows(&self, css: &str, text: &str) {
        let condition = "return [...document.querySelectorAll(css)].some(element => \
            element.checkVisibility() && (element.value ?? element.innerText).includes(text))";
        self.until(condition, css, text).await;
    }

    /// Waits until no visible element that `css` selects holds `text`.
    pub async fn hides(&self, css: &str, text: &str) {
        let condition = "return ![...document.querySelectorAll(css)].some(element => \
            element.checkVisibility() && (element.value ?? element.innerText).includes(text))";
        self.until(condition, css, text).await;
    }

    /// Waits until `condition`, the body of a function of `css` and `text`, returns something true; asked again after
    /// each change of the document.
    pub async fn until(&self, condition: &str, css: &str, text: &str) {
        let arguments = vec![condition.into(), css.into(), text.into()];
        loop {
            match self.driver().execute_async(WAIT, arguments.clone()).await {
                Ok(_) => return,
                // The document went away while it was watched; the next one may be the right one.
                Err(error) if matches!(error.as_inner(), WebDriverErrorInner::JavascriptError(_)) => {}
                Err(error) => {
                    let shown = self.driver().execute("return document.body?.innerText", Vec::new()).await;
                    let shown = shown.map(|shown| shown.json().to_string()).unwrap_or_default();
                    unreachable!("waited for {css:?} with {text:?}: {error}\nthe page shows {shown}")
                }
            }
        }
    }

    /// The first element that `css` selects, once there is a visible one.
    pub async fn find(&self, css: &str) -> WebElement {
        self.shows(css, "").await;
        self.driver().query(By::Css(css)).and_displayed().first().await.expect("an element")
    }

    /// What an element says.
    pub async fn text(&self, css: &str) -> String {
        self.find(css).await.text().await.expect("a text")
    }

    /// Clicks as a pointer does.
    pub async fn click(&self, css: &str) {
        self.find(css).await.click().await.expect("a click");
    }

    /// Types into a field, in the place of what is in it.
    pub async fn fill(&self, css: &str, text: &str) {
        let field = self.find(css).await;
        field.clear().await.expect("an empty field");
        field.send_keys(text).await.expect("keys");
    }

    /// What a script in the page returns.
    pub async fn run(&self, script: &str) -> serde_json::Value {
        self.driver().execute(script, Vec::new()).await.expect("a script that ends").json().clone()
    }

    /// Errors of the console and uncaught ones since the last call.
    pub async fn complaints(&self) -> Vec<String> {
        let log = self.driver().browser_log().await.expect("the console");
        log.into_iter().filter(|entry| entry.level == "SEVERE").map(|entry| entry.message).collect()
    }

    /// The addresses that the tab of the moment asked for since the last call, sockets included.
    pub async fn addresses(&self) -> Vec<String> {
        let log = self.driver().get_log("performance").await.expect("the log of the network");
        let each = log.iter().filter_map(|entry| {
            let entry: serde_json::Value = serde_json::from_str(&entry.message).ok()?;
            let message = entry.get("message")?;
            let url = match message.get("method")?.as_str()? {
                "Network.requestWillBeSent" => message.pointer("/params/request/url"),
                "Network.webSocketCreated" => message.pointer("/params/url"),
                _ => None,
            };
            url?.as_str().map(str::to_owned)
        });
        each.collect()
    }

    /// Keeps what the tab shows as `target/screenshots/<name>.png`, for people to look at.
    pub async fn screenshot(&self, name: &str) -> PathBuf {
        let folder = super::sdk::target().expect("a target folder").join("screenshots");
        std::fs::create_dir_all(&folder).expect("a folder");
        let path = folder.join(format!("{name}.png"));
        self.driver().screenshot(&path).await.expect("a picture");
        path
    }
}

fn wishes(program: &Path) -> Result<ChromeCapabilities, WebDriverError> {
    let mut wishes = DesiredCapabilities::chrome();
    wishes.set_binary(&program.display().to_string())?;
    FLAGS.iter().try_for_each(|flag| wishes.add_arg(flag))?;
    wishes.set_logging_prefs("browser", LoggingPrefsLogLevel::All)?;
    wishes.set_logging_prefs("performance", LoggingPrefsLogLevel::All)?;
    Ok(wishes)
}

/// A program on the search path.
fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder: PathBuf| folder.join(name))
        .find(|file: &PathBuf| Path::is_file(file))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Script, Upstream};

    const PAGE: &str = r#"<!doctype html><title>x</title><p id="state">empty</p><input id="name">
<button onclick="fetch('/later').then(answer => answer.text()).then(text => {
    document.getElementById('state').textContent = text + ' ' + document.getElementById('name').value;
    console.error('done');
})">go</button>"#;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_browser_fills_clicks_waits_and_tells_what_it_asked_for() {
        let Some(browser) = Browser::open().await else { return };
        let upstream = Upstream::start(|request| match &*request.path {
            "/" => Script::json(200, PAGE).header("content-type", "text/html"),
            _ => Script::json(200, "hello"),
        })
        .await;
        browser.go(&upstream.url()).await;
        assert_eq!(browser.text("#state").await, "empty");
        browser.fill("#name", "Ada").await;
        browser.click("button").await;
        browser.shows("#state", "hello Ada").await;
        browser.hides("#state", "empty").await;
        let asked = browser.addresses().await;
        assert!(asked.contains(&format!("{}/later", upstream.url())), "{asked:?}");
        let complaints = browser.complaints().await;
        assert!(complaints.iter().any(|complaint| complaint.contains("done")), "{complaints:?}");
        assert_eq!(browser.run("return 1 + 1").await, 2);
        assert!(browser.screenshot("testkit").await.is_file());
    }
}

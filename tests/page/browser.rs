//! A page in a browser, as a test uses it: by the keyboard and by what is on it.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use testbed::Port;

use crate::pipe::Pipe;

const PATIENCE: Duration = Duration::from_secs(30);

/// Where a test can't look.
const HELPERS: &str = "
    globalThis.texts = (css) => [...document.querySelectorAll(css)].filter((e) => e.checkVisibility()).map((e) => e.innerText.trim());
    globalThis.focused = () => document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent.replace(/\\s+/g, ' ').trim();
";

/// One tab, of a browser of its own.
pub(crate) struct Tab {
    pipe: Pipe,
    session: String,
    pub(crate) origin: String,
}

/// What a page may look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Theme {
    Light,
    Dark,
}

impl Theme {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

impl Tab {
    /// Opens this path of a worker's control port.
    pub(crate) async fn open(control: &Port, path: &str) -> Tab {
        let pipe = Pipe::open();
        let target = pipe.ask(None, "Target.createTarget", json!({"url": "about:blank"})).await;
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let attached = pipe.ask(None, "Target.attachToTarget", attach).await;
        let session = attached["sessionId"].as_str().unwrap().to_owned();
        let origin = format!("http://{}", control.address());
        let tab = Tab { pipe, session, origin };
        for domain in ["Page", "Runtime", "Log", "Network", "Accessibility", "DOM"] {
            tab.ask(&format!("{domain}.enable"), json!({})).await;
        }
        tab.ask("Page.addScriptToEvaluateOnNewDocument", json!({"source": HELPERS})).await;
        tab.size(1280, 800).await;
        tab.theme(Theme::Light).await;
        tab.ask("Page.navigate", json!({"url": format!("{}{path}", tab.origin)})).await;
        tab.until("document.readyState === 'complete'").await;
        tab
    }

    pub(crate) async fn ask(&self, method: &str, params: Value) -> Value {
        self.pipe.ask(Some(&self.session), method, params).await
    }

    /// The value of an expression.
    pub(crate) async fn value(&self, expression: &str) -> Value {
        let params = json!({"expression": expression, "awaitPromise": true, "returnByValue": true, "userGesture": true});
        let mut answer = self.ask("Runtime.evaluate", params).await;
        assert!(answer.get("exceptionDetails").is_none(), "{expression}: {answer}");
        answer["result"]["value"].take()
    }

    /// Waits until an expression is true.
    pub(crate) async fn until(&self, expression: &str) {
        let waiting = async {
            while self.value(&format!("Boolean({expression})")).await != Value::Bool(true) {
                tokio::time::sleep(Duration::from_millis(30)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, waiting).await.is_err() {
            let shown = self.value("document.body.innerText").await;
            panic!(
                "in vain: {expression}\n{}\n{:?}",
                shown.as_str().unwrap_or_default(),
                self.complaints()
            );
        }
    }

    /// Waits until the text of what is visible of this selector is this, among others.
    pub(crate) async fn shows(&self, css: &str, text: &str) {
        let (css, text) = (json!(css), json!(text));
        self.until(&format!("texts({css}).some((shown) => shown.includes({text}))")).await;
    }

    /// The texts of what is visible of this selector.
    pub(crate) async fn texts(&self, css: &str) -> Vec<String> {
        let found = self.value(&format!("texts({})", json!(css))).await;
        serde_json::from_value(found).unwrap()
    }

    pub(crate) async fn click(&self, css: &str) {
        self.value(&format!("document.querySelector({}).click()", json!(css))).await;
    }

    /// One key, down and up.
    pub(crate) async fn key(&self, key: &str) {
        let (code, text) = match key {
            "Tab" => (9, None),
            "Enter" => (13, Some("\r")),
            "Escape" => (27, None),
            " " => (32, Some(" ")),
            other => panic!("{other} is no key that a test needs"),
        };
        let mut down =
            json!({"type": "keyDown", "key": key, "code": key, "windowsVirtualKeyCode": code});
        if let Some(text) = text {
            down["text"] = text.into();
        }
        self.ask("Input.dispatchKeyEvent", down.clone()).await;
        down["type"] = "keyUp".into();
        self.ask("Input.dispatchKeyEvent", down).await;
    }

    /// Tab by Tab, to what is called this.
    pub(crate) async fn tab_to(&self, name: &str) {
        let mut passed = BTreeSet::new();
        // Round and round, for it may not be there yet.
        let since = Instant::now();
        loop {
            self.key("Tab").await;
            let focused = self.value("focused()").await;
            if focused == name {
                return;
            }
            passed.insert(focused.to_string());
            assert!(
                since.elapsed() < PATIENCE,
                "the keyboard doesn't come to {name}, but to {passed:?}"
            );
        }
    }

    pub(crate) async fn write(&self, text: &str) {
        self.ask("Input.insertText", json!({"text": text})).await;
    }

    pub(crate) async fn size(&self, width: u32, height: u32) {
        let params =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.ask("Emulation.setDeviceMetricsOverride", params).await;
    }

    pub(crate) async fn theme(&self, theme: Theme) {
        let features = json!([
            {"name": "prefers-color-scheme", "value": theme.as_str()},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]);
        self.ask("Emulation.setEmulatedMedia", json!({"features": features})).await;
    }

    /// What is in the window, as PNG.
    pub(crate) async fn picture(&self) -> Vec<u8> {
        let answer = self.ask("Page.captureScreenshot", json!({"format": "png"})).await;
        BASE64_STANDARD.decode(answer["data"].as_str().unwrap()).unwrap()
    }

    /// What the browser has complained of: errors, warnings, violations of the policy.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let events = self.pipe.events.lock().unwrap();
        let complaint = |event: &Value| {
            let (params, method) = (&event["params"], event["method"].as_str()?);
            match method {
                "Runtime.exceptionThrown" => Some(params.to_string()),
                "Runtime.consoleAPICalled" => Some(params["args"].to_string()),
                "Log.entryAdded" => Some(params["entry"].to_string()),
                _ => None,
            }
        };
        events.iter().filter_map(complaint).collect()
    }

    /// Where it has sent requests.
    pub(crate) fn requests(&self) -> Vec<String> {
        let events = self.pipe.events.lock().unwrap();
        let sent = events.iter().filter(|event| event["method"] == "Network.requestWillBeSent");
        let url = |event: &Value| event["params"]["request"]["url"].as_str().map(str::to_owned);
        sent.filter_map(url).collect()
    }

    /// What can be used, by role and name, as a screen reader has it.
    pub(crate) async fn controls(&self) -> Vec<(String, String)> {
        let tree = self.ask("Accessibility.getFullAXTree", json!({})).await;
        let used = [
            "button",
            "link",
            "textbox",
            "searchbox",
            "combobox",
            "checkbox",
            "region",
            "navigation",
            "table",
            "dialog",
            "complementary",
        ];
        let nodes = tree["nodes"].as_array().unwrap().iter();
        let text =
            |node: &Value, what: &str| node[what]["value"].as_str().unwrap_or_default().to_owned();
        nodes
            .filter(|node| node["ignored"] != true)
            .map(|node| (text(node, "role"), text(node, "name")))
            .filter(|(role, _)| used.contains(&role.as_str()))
            .collect()
    }
}

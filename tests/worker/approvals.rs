//! The page behind a signed link: opening it changes nothing, its button does once.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use jiff::Timestamp;
use playbooks::act::{Api, Failure, Links, Notification, Shelf, Sink};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use super::rig::{Rig, play_on_pod, playbook};

const KEY: &str = "0123456789abcdef0123456789abcdef";

/// A response that waits, the page of its cluster, and what was told of it.
struct Scene {
    rig: Rig,
    /// Below the page's own address.
    link: String,
    address: SocketAddr,
    client: Client,
}

/// Keeps the words that it was sent.
#[derive(Clone, Default)]
struct Chat(Arc<Mutex<String>>);

#[async_trait]
impl Sink for Chat {
    async fn send(&self, message: &Notification<'_>) -> Result<(), Failure> {
        self.0.lock().unwrap().push_str(&json!(message).to_string());
        Ok(())
    }
}

impl Scene {
    async fn new() -> Scene {
        let spec = json!({"approval": "required", "actions": [play_on_pod("a")]});
        let chat = Chat::default();
        let links = Links::new("https://stoop.example", &KEY.into()).unwrap();
        let playbooks = [playbook("careful", spec)];
        let rig = Rig::asking(&playbooks, links.clone(), Arc::new(chat.clone())).await;
        rig.create_pod();
        let subscription = rig.subscribe([rig.event_about_pod(Timestamp::now()).await]);
        subscription.is_settled().await;
        let told = chat.0.lock().unwrap().clone();
        let (_, link) = told.split_once("https://stoop.example").expect("a link");
        let link = link.split('"').next().unwrap().to_owned();
        let api =
            Api::from_config(rig.server.config(), std::time::Duration::from_secs(10)).unwrap();
        let shelf = Shelf::new(api, "stoop");
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let stop = Default::default();
        let (address, _) = stoop::approvals::serve(listen, links, shelf, stop).await.unwrap();
        let client = Client::builder().no_proxy().build().unwrap();
        Scene { rig, link, address, client }
    }

    fn url(&self, link: &str) -> String {
        format!("http://{}{link}", self.address)
    }

    async fn open(&self, link: &str) -> (StatusCode, String) {
        let page = self.client.get(self.url(link)).send().await.unwrap();
        (page.status(), page.text().await.unwrap())
    }

    async fn press(&self, link: &str, decision: &str) -> StatusCode {
        let form = format!("decision={decision}");
        let kind = "application/x-www-form-urlencoded";
        let request = self.client.post(self.url(link)).header("content-type", kind).body(form);
        request.send().await.unwrap().status()
    }

    fn decision(&self) -> Value {
        self.rig.server.responses()[0]["spec"]["decision"].clone()
    }
}

#[tokio::test]
async fn opening_a_link_shows_what_is_asked_and_changes_nothing() {
    let scene = Scene::new().await;
    let writes =
        |scene: &Scene| scene.rig.server.requests().iter().filter(|it| it.method != "GET").count();
    let before = writes(&scene);
    let (status, page) = scene.open(&scene.link).await;
    assert_eq!(status, StatusCode::OK);
    assert!(page.contains("careful") && page.contains("shop/web") && page.contains("<button"));
    assert_eq!((scene.decision(), writes(&scene)), (Value::Null, before));
}

#[tokio::test]
async fn the_button_decides_once() {
    let scene = Scene::new().await;
    assert_eq!(scene.press(&scene.link, "approve").await, StatusCode::OK);
    assert_eq!(scene.decision(), "Approved");
    assert_eq!(scene.press(&scene.link, "deny").await, StatusCode::CONFLICT);
    assert_eq!(scene.press(&scene.link, "approve").await, StatusCode::CONFLICT);
    assert_eq!(scene.decision(), "Approved");
    let (_, page) = scene.open(&scene.link).await;
    assert!(!page.contains("<button"), "{page}");
}

#[tokio::test]
async fn a_link_that_is_not_ours_as_it_stands_opens_nothing() {
    let scene = Scene::new().await;
    let parts: Vec<_> = scene.link.split('/').collect();
    for (place, other) in [(2, "another"), (3, "another"), (4, "99999999999"), (5, "00")] {
        let mut forged = parts.clone();
        forged[place] = other;
        let forged = forged.join("/");
        assert_eq!(scene.open(&forged).await.0, StatusCode::NOT_FOUND, "{forged}");
        assert_eq!(scene.press(&forged, "approve").await, StatusCode::NOT_FOUND, "{forged}");
    }
    assert_eq!(scene.decision(), Value::Null);
}

#[tokio::test]
async fn the_link_is_for_those_who_are_told_and_for_nobody_else() {
    let scene = Scene::new().await;
    let stored = json!(scene.rig.server.responses()).to_string();
    let audit = json!(scene.rig.audit.lines()).to_string();
    assert!(!stored.contains("/approvals/") && !audit.contains("/approvals/"));
    assert!(audit.contains("stoop responses approve"));
}

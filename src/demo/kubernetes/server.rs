//! The API on a loopback port, and the handle to seed it, disturb it and see what was asked of it.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, http::Uri};
use kube::core::Status;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

use super::{
    access::{Access, admin_only},
    controllers::settle,
    create::create,
    http::{Shared, handle},
    kinds::{Kind, RESPONSE},
    status::bad_request,
    store::Store,
    traffic::{Fault, Request},
    world::World,
};

/// The API while it runs; dropping it stops it.
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Server {
    /// Starts an API without any objects on a free loopback port.
    pub async fn start() -> std::io::Result<Server> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::new(World {
            store: Store::default(),
            rule: admin_only(),
            keeps_responses: false,
        }));
        let app = Router::new().fallback(handle).with_state(shared.clone());
        let task = tokio::spawn(async move {
            // Accepting on a bound loopback socket has no error that ends it.
            drop(axum::serve(listener, app).await);
        });
        Ok(Server { address, shared, task })
    }

    /// Where it listens: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What a [`kube::Client`] needs to connect, without kube's own retries.
    pub fn config(&self) -> kube::Config {
        let address = Uri::builder().scheme("http").authority(self.address.to_string());
        let mut config = kube::Config::new(address.path_and_query("/").build().unwrap_or_default());
        config.default_retry = false;
        config
    }

    /// A kubeconfig file's text, for another process.
    pub fn kubeconfig(&self) -> String {
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "demo", "cluster": {"server": self.url()}}],
            "users": [{"name": "demo", "user": {}}],
            "contexts": [{"name": "demo", "context": {"cluster": "demo", "user": "demo"}}],
            "current-context": "demo",
        });
        format!("{config:#}\n")
    }

    /// Creates an object as a client would, by its `apiVersion`, `kind` and `metadata.namespace`; not recorded as a request.
    pub fn create(&self, object: Value) -> Result<Value, Box<Status>> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (version, name) = (text(&object["apiVersion"]), text(&object["kind"]));
        let kind = Kind::named(&version, &name)
            .ok_or_else(|| bad_request(&format!("no kind {name:?} in version {version:?}")))?;
        let namespace = text(&object["metadata"]["namespace"]);
        let store = &mut self.shared.world().store;
        let created = create(store, kind, &namespace, object, false)?;
        settle(store);
        Ok(created)
    }

    /// Serves the objects that `stoop crds` defines from now on, kept in this namespace.
    pub fn keep_responses(&self, namespace: &str) -> Result<(), Box<Status>> {
        let metadata = json!({"name": namespace});
        self.create(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}))?;
        self.shared.world().keeps_responses = true;
        Ok(())
    }

    /// The Responses as they are now; not recorded as a request.
    pub fn responses(&self) -> Vec<Value> {
        self.shared.world().store.all(&RESPONSE).map(|(_, object)| object.clone()).collect()
    }

    /// The pods of a namespace as they are now; not recorded as a request.
    pub fn pods(&self, namespace: &str) -> Vec<Value> {
        self.shared.world().store.pods(namespace, |_| true)
    }

    /// Decides from now on who may do what; at first, who impersonates nobody may do everything, others nothing.
    pub fn authorize(&self, rule: impl Fn(&Access) -> bool + Send + 'static) {
        self.shared.world().rule = Box::new(rule);
    }

    /// Decides from now on which requests go wrong, and how.
    pub fn disturb(&self, rule: impl Fn(&Request) -> Option<Fault> + Send + 'static) {
        self.shared.traffic.disturb(Box::new(rule));
    }

    /// Lets every request that comes from now on go right.
    pub fn heal(&self) {
        self.disturb(|_| None);
    }

    /// Every request so far, in order of arrival.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.traffic.requests()
    }

    /// How many requests were waited for at once, at the most.
    pub fn most_at_once(&self) -> usize {
        self.shared.traffic.most_at_once()
    }

    /// Lets every answer take this long from now on.
    pub fn answer_after(&self, delay: Duration) {
        self.shared.traffic.answer_after(delay);
    }

    /// Waits until a request like this has come in, and gives back the first. Cancel safe.
    pub async fn saw(&self, wanted: impl Fn(&Request) -> bool) -> Request {
        self.shared.traffic.saw(wanted).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{Method, StatusCode};
    use k8s_openapi::api::core::v1::{Namespace, Node};
    use kube::api::{Api, DeleteParams};

    use super::*;

    async fn with_node() -> (Server, Api<Node>) {
        let server = Server::start().await.expect("a loopback port");
        let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "a"}});
        server.create(node).expect("a node");
        let client = kube::Client::try_from(server.config()).expect("a client");
        (server, Api::all(client))
    }

    fn is_delete(request: &Request) -> bool {
        request.method == Method::DELETE
    }

    #[tokio::test]
    async fn what_was_on_the_wire_is_recorded() {
        let (server, nodes) = with_node().await;
        nodes.delete("a", &DeleteParams::default().grace_period(5)).await.expect("deleted");
        let seen = server.saw(is_delete).await;
        assert_eq!(seen.path, "/api/v1/nodes/a");
        assert_eq!(seen.body["gracePeriodSeconds"], 5);
        assert_eq!(seen.answered, Some(StatusCode::OK));
    }

    #[tokio::test]
    async fn a_disturbed_request_is_answered_with_the_fault_and_not_carried_out() {
        let (server, nodes) = with_node().await;
        let down = StatusCode::SERVICE_UNAVAILABLE;
        server.disturb(move |request| is_delete(request).then_some(Fault::Answer(down)));
        let refused = nodes.delete("a", &DeleteParams::default()).await.expect_err("refused");
        assert!(matches!(refused, kube::Error::Api(status) if status.code == 503));
        assert!(nodes.get_opt("a").await.expect("undisturbed").is_some());
        server.heal();
        nodes.delete("a", &DeleteParams::default()).await.expect("deleted");
    }

    #[tokio::test]
    async fn a_hanging_request_is_seen_and_has_no_effect() {
        let (server, nodes) = with_node().await;
        server.disturb(|request| is_delete(request).then_some(Fault::Hang));
        let hanging = tokio::spawn({
            let nodes = nodes.clone();
            async move { nodes.delete("a", &DeleteParams::default()).await }
        });
        assert_eq!(server.saw(is_delete).await.answered, None);
        assert!(nodes.get_opt("a").await.expect("undisturbed").is_some());
        hanging.abort();
    }

    #[tokio::test]
    async fn a_lost_answer_has_had_its_effect() {
        let (server, nodes) = with_node().await;
        server.disturb(|request| is_delete(request).then_some(Fault::LoseAnswer));
        let unanswered = tokio::spawn({
            let nodes = nodes.clone();
            async move { nodes.delete("a", &DeleteParams::default()).await }
        });
        server.saw(is_delete).await;
        while nodes.get_opt("a").await.expect("undisturbed").is_some() {}
        unanswered.abort();
    }

    #[tokio::test]
    async fn the_rule_holds_for_requests() {
        let (server, nodes) = with_node().await;
        server.authorize(|access| access.verb != "delete");
        let refused = nodes.delete("a", &DeleteParams::default()).await.expect_err("refused");
        assert!(matches!(refused, kube::Error::Api(status) if status.is_forbidden()));
        assert!(nodes.get_opt("a").await.expect("allowed").is_some());
    }

    #[tokio::test]
    async fn another_process_connects_by_the_kubeconfig() {
        let (server, _) = with_node().await;
        let kubeconfig: kube::config::Kubeconfig =
            serde_json::from_str(&server.kubeconfig()).expect("a kubeconfig");
        let client = kube::Client::try_from(kubeconfig).expect("a client");
        let namespaces: Api<Namespace> = Api::all(client);
        assert!(namespaces.list(&Default::default()).await.expect("a list").items.is_empty());
    }
}

//! What each server is told.

use std::{ffi::OsString, path::Path};

use super::credentials::Credentials;
use crate::port::Port;

/// The ports that the control plane listens on.
#[derive(Debug)]
pub(crate) struct Ports {
    pub(crate) api: Port,
    pub(crate) etcd: Port,
    pub(crate) etcd_peers: Port,
}

impl Ports {
    pub(crate) fn reserve() -> Result<Self, crate::Error> {
        Ok(Self { api: Port::reserve()?, etcd: Port::reserve()?, etcd_peers: Port::reserve()? })
    }
}

pub(crate) fn etcd(ports: &Ports, data: &Path) -> Vec<OsString> {
    let clients = format!("http://{}", ports.etcd.address());
    let peers = format!("http://{}", ports.etcd_peers.address());
    vec![
        flag("data-dir", data),
        flag("listen-client-urls", &clients),
        flag("advertise-client-urls", &clients),
        flag("listen-peer-urls", &peers),
        flag("initial-advertise-peer-urls", &peers),
        flag("initial-cluster", format!("default={peers}")),
        flag("log-level", "warn"),
        // A test's cluster need not outlive the machine.
        "--unsafe-no-fsync".into(),
    ]
}

pub(crate) fn api_server(ports: &Ports, credentials: &Credentials) -> Vec<OsString> {
    vec![
        flag("etcd-servers", format!("http://{}", ports.etcd.address())),
        flag("bind-address", "127.0.0.1"),
        flag("advertise-address", "127.0.0.1"),
        flag("secure-port", ports.api.number().to_string()),
        // The service `kubernetes` can't point at loopback, and nothing here asks for it.
        flag("endpoint-reconciler-type", "none"),
        flag("tls-cert-file", credentials.certificate()),
        flag("tls-private-key-file", credentials.key()),
        flag("service-account-issuer", "https://kubernetes.default.svc"),
        flag("service-account-key-file", credentials.service_account_public_key()),
        flag("service-account-signing-key-file", credentials.service_account_key()),
        flag("service-cluster-ip-range", "10.0.0.0/24"),
        flag("authorization-mode", "Node,RBAC"),
        flag("enable-admission-plugins", "NodeRestriction"),
        flag("token-auth-file", credentials.tokens()),
        "--allow-privileged".into(),
    ]
}

pub(crate) fn controller_manager(kubeconfig: &Path, credentials: &Credentials) -> Vec<OsString> {
    let mut flags = client(kubeconfig);
    flags.extend([
        flag("service-account-private-key-file", credentials.service_account_key()),
        flag("root-ca-file", credentials.authority()),
        // Each controller with no more than its own rights, as in a real cluster.
        "--use-service-account-credentials".into(),
    ]);
    flags
}

pub(crate) fn scheduler(kubeconfig: &Path) -> Vec<OsString> {
    client(kubeconfig)
}

/// One of each: nobody to elect a leader among, and nobody to serve metrics to.
fn client(kubeconfig: &Path) -> Vec<OsString> {
    vec![
        flag("kubeconfig", kubeconfig),
        flag("leader-elect", "false"),
        flag("secure-port", "0"),
        flag("kube-api-qps", "500"),
        flag("kube-api-burst", "1000"),
    ]
}

pub(crate) fn hollow_node(name: &str, kubeconfig: &Path, dir: &Path) -> Vec<OsString> {
    vec![flag("name", name), flag("kubeconfig", kubeconfig), flag("dir", dir)]
}

fn flag(name: &str, value: impl AsRef<std::ffi::OsStr>) -> OsString {
    let mut flag = OsString::from(format!("--{name}="));
    flag.push(value);
    flag
}

//! A cluster that nobody asks: no event is wanted, but the playbooks want one to be configured.

/// A kubeconfig that leads nowhere.
pub const NOWHERE: &str = "\
apiVersion: v1
kind: Config
clusters: [{name: nowhere, cluster: {server: \"http://127.0.0.1:9\"}}]
users: [{name: nobody, user: {}}]
contexts: [{name: nowhere, context: {cluster: nowhere, user: nobody}}]
current-context: nowhere
";

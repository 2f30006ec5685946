//! The way into a cluster: clients and kubeconfigs.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::ServiceAccount,
    rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule},
};
use kube::{
    Api, Client, Config,
    api::{Patch, PatchParams, PostParams},
    config::{AuthInfo, KubeConfigOptions, Kubeconfig},
};
use serde_json::json;

use crate::{error::Error, scratch::Scratch};

/// A cluster as its administrator sees it.
#[derive(Debug)]
pub struct Access {
    kubeconfig: PathBuf,
    scratch: Scratch,
}

const NAMESPACE: &str = "default";
const RBAC: &str = "rbac.authorization.k8s.io";
const FIELD_MANAGER: &str = "stoop-testbed";

impl Access {
    pub(crate) fn new(kubeconfig: PathBuf, scratch: Scratch) -> Self {
        Self { kubeconfig, scratch }
    }

    /// The cluster that `KUBECONFIG` names, if `STOOP_TEST_CLUSTER=1` says that tests may use it.
    pub(crate) fn named() -> Option<Result<Self, Error>> {
        let kubeconfig = env::var_os("KUBECONFIG")?;
        env::var("STOOP_TEST_CLUSTER")
            .is_ok_and(|value| value == "1")
            .then(|| Ok(Self::new(kubeconfig.into(), Scratch::temporary()?)))
    }

    /// The administrator's kubeconfig.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// A new client of the administrator's. Each test makes its own: a client lives in the runtime
    /// that it was made in.
    ///
    /// # Errors
    /// If the kubeconfig can't be used.
    pub async fn client(&self) -> Result<Client, Error> {
        let config = self.config().await?;
        Client::try_from(config).map_err(Error::api("can't make a client"))
    }

    /// What a client of the administrator's is made from.
    ///
    /// # Errors
    /// If the kubeconfig can't be used.
    pub async fn config(&self) -> Result<Config, Error> {
        Config::from_custom_kubeconfig(self.read()?, &KubeConfigOptions::default())
            .await
            .map_err(Error::kubeconfig(format!("can't use {}", self.kubeconfig.display())))
    }

    fn read(&self) -> Result<Kubeconfig, Error> {
        Kubeconfig::read_from(&self.kubeconfig)
            .map_err(Error::kubeconfig(format!("can't read {}", self.kubeconfig.display())))
    }

    /// The kubeconfig of a ServiceAccount called `user` that may do what `rules` say, cluster-wide,
    /// and nothing else. Asking again with other rules replaces them.
    ///
    /// # Errors
    /// If the API server refuses.
    pub async fn kubeconfig_for(&self, user: &str, rules: &[PolicyRule]) -> Result<PathBuf, Error> {
        let client = self.client().await?;
        let metadata = json!({"name": user});
        let accounts = Api::<ServiceAccount>::namespaced(client.clone(), NAMESPACE);
        let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata});
        apply(&accounts, user, &account).await?;
        let role = json!({
            "apiVersion": format!("{RBAC}/v1"), "kind": "ClusterRole",
            "metadata": metadata, "rules": rules,
        });
        apply(&Api::<ClusterRole>::all(client.clone()), user, &role).await?;
        let binding = json!({
            "apiVersion": format!("{RBAC}/v1"), "kind": "ClusterRoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": user},
            "subjects": [{"kind": "ServiceAccount", "name": user, "namespace": NAMESPACE}],
        });
        apply(&Api::<ClusterRoleBinding>::all(client), user, &binding).await?;
        self.kubeconfig_of(NAMESPACE, user).await
    }

    /// The kubeconfig of a ServiceAccount that is there, with whatever rights it has.
    ///
    /// # Errors
    /// If the API server refuses.
    pub async fn kubeconfig_of(&self, namespace: &str, account: &str) -> Result<PathBuf, Error> {
        let accounts = Api::<ServiceAccount>::namespaced(self.client().await?, namespace);
        let request = TokenRequest {
            spec: TokenRequestSpec { expiration_seconds: Some(6 * 3600), ..Default::default() },
            ..Default::default()
        };
        let answer = accounts.create_token_request(account, &PostParams::default(), &request).await;
        let what = format!("can't get a token for {namespace}/{account}");
        let status = answer.map_err(Error::api(what.clone()))?.status;
        let status = status.ok_or_else(|| Error::io(what)(io::Error::other("none came")))?;
        self.write_kubeconfig(&format!("{namespace}-{account}"), &status.token)
    }

    fn write_kubeconfig(&self, user: &str, token: &str) -> Result<PathBuf, Error> {
        let mut kubeconfig = self.read()?;
        for named in &mut kubeconfig.auth_infos {
            named.auth_info = Some(AuthInfo { token: Some(token.into()), ..Default::default() });
        }
        let path = self.scratch.join(format!("user-{user}.kubeconfig"));
        // JSON is YAML.
        let text = serde_json::to_string(&kubeconfig)
            .map_err(|error| Error::file("write", &path)(error.into()))?;
        fs::write(&path, text).map_err(Error::file("write", &path))?;
        Ok(path)
    }
}

async fn apply<K>(api: &Api<K>, name: &str, object: &serde_json::Value) -> Result<K, Error>
where
    K: Clone + std::fmt::Debug + k8s_openapi::serde::de::DeserializeOwned,
{
    api.patch(name, &PatchParams::apply(FIELD_MANAGER).force(), &Patch::Apply(object))
        .await
        .map_err(Error::api(format!("can't apply {}", object["kind"])))
}

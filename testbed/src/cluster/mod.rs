//! A Kubernetes cluster on loopback that is real but for its containers: etcd, API server,
//! controllers, scheduler, and kubelets over a fake container runtime.
//!
//! [`Cluster::shared`] and [`Cluster::shared_api_server`] are what the tests of one binary share;
//! [`Cluster::start`] is one of your own, to kill and to pause.

mod access;
mod commands;
mod credentials;
mod definitions;
mod objects;
mod provision;
mod servers;

use std::{ops::Deref, path::Path};

use tokio::sync::OnceCell;

pub use access::Access;
pub use definitions::definitions;
pub use provision::provision;

use crate::{error::Error, scratch::Scratch};
use servers::Servers;

/// Of the shared cluster: two, so that a pod can be moved off one.
const SHARED_NODES: usize = 2;

/// How much of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// etcd and the API server: objects stay as they are written. Starts soonest.
    ApiServer,
    /// Controllers and scheduler too, and so many nodes: pods run, end and are replaced.
    Nodes(usize),
}

/// A cluster of one's own. It ends when this is dropped or this process ends, by SIGKILL too.
///
/// Field order is drop order: the servers end before their folder goes.
#[derive(Debug)]
pub struct Cluster {
    servers: Servers,
    access: Access,
}

impl Cluster {
    /// The cluster with controllers and nodes that everything in this process shares: the one that
    /// `KUBECONFIG` names if `STOOP_TEST_CLUSTER=1`, or else one started now. Give each test a
    /// namespace of its own.
    ///
    /// # Errors
    /// If it can't be had; the same error for everyone who asks.
    pub async fn shared() -> Result<&'static Access, Error> {
        static SHARED: OnceCell<Result<Shared, Error>> = OnceCell::const_new();
        Shared::get(&SHARED, Size::Nodes(SHARED_NODES)).await
    }

    /// As [`Self::shared`], but an API server is enough: one started now has no controllers and no
    /// nodes.
    ///
    /// # Errors
    /// If it can't be had; the same error for everyone who asks.
    pub async fn shared_api_server() -> Result<&'static Access, Error> {
        static SHARED: OnceCell<Result<Shared, Error>> = OnceCell::const_new();
        Shared::get(&SHARED, Size::ApiServer).await
    }

    /// Starts a cluster on free ports, its data in a temporary folder, and waits until its nodes
    /// are ready. It always is a new one, since what `KUBECONFIG` names is not ours to kill.
    ///
    /// # Errors
    /// If its servers can't be built or don't start.
    pub async fn start(size: Size) -> Result<Self, Error> {
        Self::start_on(Scratch::temporary()?, size).await
    }

    /// As [`Self::start`], with its data in `dir`, where it stays.
    ///
    /// # Errors
    /// If its servers can't be built or don't start.
    pub async fn start_in(dir: &Path, size: Size) -> Result<Self, Error> {
        Self::start_on(Scratch::kept(dir)?, size).await
    }

    async fn start_on(scratch: Scratch, size: Size) -> Result<Self, Error> {
        let mut servers = Servers::prepare(scratch.path().to_owned(), size).await?;
        let access = Access::new(servers.admin_kubeconfig(), scratch);
        servers.start_api_server(&access).await?;
        if let Size::Nodes(count) = size {
            servers.start_clients(count)?;
            servers.nodes_ready(&access, count).await?;
        }
        Ok(Self { servers, access })
    }

    /// Kills the API server (SIGKILL). Its port and what etcd has stay for
    /// [`Self::restart_api_server`].
    pub fn kill_api_server(&mut self) {
        self.servers.kill_api_server();
    }

    /// Starts the API server again, killing it first if it runs.
    ///
    /// # Errors
    /// If it does not start.
    pub async fn restart_api_server(&mut self) -> Result<(), Error> {
        self.servers.kill_api_server();
        self.servers.start_api_server(&self.access).await
    }

    /// Stops the API server in its tracks (SIGSTOP): connections stay, nothing is answered.
    ///
    /// # Errors
    /// If it was killed.
    pub fn pause_api_server(&self) -> Result<(), Error> {
        self.servers.running_api_server()?.pause()
    }

    /// Lets a paused API server go on.
    ///
    /// # Errors
    /// If it was killed.
    pub fn resume_api_server(&self) -> Result<(), Error> {
        self.servers.running_api_server()?.resume()
    }
}

impl Deref for Cluster {
    type Target = Access;

    fn deref(&self) -> &Access {
        &self.access
    }
}

/// What the tests of one binary share.
enum Shared {
    Named(Access),
    Started(Box<Cluster>),
}

impl Shared {
    async fn get(
        shared: &'static OnceCell<Result<Self, Error>>,
        size: Size,
    ) -> Result<&'static Access, Error> {
        let start = async || match Access::named() {
            Some(named) => named.map(Self::Named),
            None => Cluster::start(size).await.map(|cluster| Self::Started(Box::new(cluster))),
        };
        match shared.get_or_init(start).await {
            Ok(Self::Named(access)) => Ok(access),
            Ok(Self::Started(cluster)) => Ok(cluster),
            Err(error) => Err(Error::Shared(error)),
        }
    }
}

//! A Kubernetes cluster on loopback that is real but for its containers: etcd, API server,
//! controllers, scheduler, and kubelets over a fake container runtime.
//!
//! [`Cluster::shared`] and [`Cluster::shared_api_server`] are what the tests of one binary share;
//! [`Cluster::start`] is one of your own, to kill and to pause.

mod access;
mod commands;
mod credentials;
mod objects;
mod provision;

use std::{ffi::OsString, fs, io, ops::Deref, path::Path, path::PathBuf, time::Duration};

use http::Request;
use k8s_openapi::api::core::v1::Node;
use kube::{Api, api::ListParams};
use tokio::{sync::OnceCell, task::spawn_blocking};

pub use access::Access;
pub use provision::provision;

use crate::{error::Error, process::Process, scratch::Scratch, wait::until};
use commands::Ports;
use credentials::{Credentials, User};

const START: Duration = Duration::from_secs(120);
const ADMIN: &str = "admin";
const CONTROLLER_MANAGER: &str = "system:kube-controller-manager";
const SCHEDULER: &str = "system:kube-scheduler";
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
/// Field order is drop order: clients end before servers, and the folder goes last.
#[derive(Debug)]
pub struct Cluster {
    clients: Vec<Process>,
    api_server: Option<Process>,
    etcd: Process,
    ports: Ports,
    binaries: Binaries,
    credentials: Credentials,
    access: Access,
}

impl Cluster {
    /// The cluster with controllers and nodes that everything in this process shares: the one that
    /// `KUBECONFIG` names if `STOOP_TEST_CLUSTER=1`, or else one started now. Give each test a
    /// namespace of its own.
    ///
    /// # Errors
    /// If it can't be had; the same error for everyone who asks.
    pub async fn shared() -> Result<&'static Access, &'static Error> {
        static SHARED: OnceCell<Result<Shared, Error>> = OnceCell::const_new();
        Shared::get(&SHARED, Size::Nodes(SHARED_NODES)).await
    }

    /// As [`Self::shared`], but an API server is enough: one started now has no controllers and no
    /// nodes.
    ///
    /// # Errors
    /// If it can't be had; the same error for everyone who asks.
    pub async fn shared_api_server() -> Result<&'static Access, &'static Error> {
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
}

impl Cluster {
    async fn start_on(scratch: Scratch, size: Size) -> Result<Self, Error> {
        let mut cluster = Self::prepare(scratch, size).await?;
        cluster.start_api_server().await?;
        if let Size::Nodes(count) = size {
            cluster.start_clients(count)?;
            cluster.nodes_ready(count).await?;
        }
        Ok(cluster)
    }

    /// Everything but the API server and its clients.
    async fn prepare(scratch: Scratch, size: Size) -> Result<Self, Error> {
        let prepared = spawn_blocking(move || {
            let binaries = Binaries::provide(size)?;
            let ports = Ports::reserve()?;
            let server = format!("https://{}", ports.api.address());
            let credentials = Credentials::write(scratch.path().to_owned(), server, &users(size))?;
            let etcd = Process::spawn(
                "etcd",
                &binaries.control_plane.join("etcd"),
                commands::etcd(&ports, &scratch.join("etcd")),
                &scratch.join("etcd.log"),
            )?;
            let access = Access::new(credentials.kubeconfig(ADMIN), scratch);
            Ok(Self {
                clients: Vec::new(),
                api_server: None,
                etcd,
                ports,
                binaries,
                credentials,
                access,
            })
        });
        prepared.await.map_err(|error| Error::io("can't prepare a cluster")(error.into()))?
    }

    async fn start_api_server(&mut self) -> Result<(), Error> {
        let program = self.binaries.control_plane.join("kube-apiserver");
        let flags = commands::api_server(&self.ports, &self.credentials);
        let api_server = self.spawn("kube-apiserver", &program, flags)?;
        let api_server = self.api_server.insert(api_server);
        let client = self.access.client().await?;
        until("the API server is ready", START, async || {
            if let Err(error) = self.etcd.check().and_then(|()| api_server.check()) {
                return Ok(Err(error));
            }
            let ready = Request::get("/readyz").body(Vec::new()).map_err(|e| e.to_string())?;
            client.request_text(ready).await.map(|_| Ok(())).map_err(|error| error.to_string())
        })
        .await?
    }

    fn start_clients(&mut self, nodes: usize) -> Result<(), Error> {
        let kubeconfig = self.credentials.kubeconfig(CONTROLLER_MANAGER);
        let flags = commands::controller_manager(&kubeconfig, &self.credentials);
        self.start_client("kube-controller-manager", "kube-controller-manager", flags)?;
        let flags = commands::scheduler(&self.credentials.kubeconfig(SCHEDULER));
        self.start_client("kube-scheduler", "kube-scheduler", flags)?;
        for name in (1..=nodes).map(node_name) {
            let dir = self.access.scratch().join(&name);
            fs::create_dir_all(&dir).map_err(Error::file("make", &dir))?;
            let kubeconfig = self.credentials.kubeconfig(&node_user(&name));
            self.start_client(
                &name,
                "hollow-node",
                commands::hollow_node(&name, &kubeconfig, &dir),
            )?;
        }
        Ok(())
    }

    fn start_client(
        &mut self,
        name: &str,
        program: &str,
        flags: Vec<OsString>,
    ) -> Result<(), Error> {
        let program = self.binaries.clients.join(program);
        let client = self.spawn(name, &program, flags)?;
        self.clients.push(client);
        Ok(())
    }

    fn spawn(&self, name: &str, program: &Path, flags: Vec<OsString>) -> Result<Process, Error> {
        let log = self.access.scratch().join(format!("{name}.log"));
        Process::spawn(name, program, flags, &log)
    }

    async fn nodes_ready(&mut self, count: usize) -> Result<(), Error> {
        let nodes = Api::<Node>::all(self.access.client().await?);
        until(format!("{count} nodes are ready"), START, async || {
            if let Err(error) = self.clients.iter_mut().try_for_each(Process::check) {
                return Ok(Err(error));
            }
            let nodes =
                nodes.list(&ListParams::default()).await.map_err(|error| error.to_string())?;
            match nodes.iter().filter(|node| is_ready(node)).count() {
                ready if ready >= count => Ok(Ok(())),
                ready => Err(format!("{ready} of {} nodes are ready", nodes.items.len())),
            }
        })
        .await?
    }

    /// Kills the API server (SIGKILL). Its port and what etcd has stay for
    /// [`Self::restart_api_server`].
    pub fn kill_api_server(&mut self) {
        self.api_server = None;
    }

    /// Starts the API server again, killing it first if it runs.
    ///
    /// # Errors
    /// If it does not start.
    pub async fn restart_api_server(&mut self) -> Result<(), Error> {
        self.kill_api_server();
        self.start_api_server().await
    }

    /// Stops the API server in its tracks (SIGSTOP): connections stay, nothing is answered.
    ///
    /// # Errors
    /// If it was killed.
    pub fn pause_api_server(&self) -> Result<(), Error> {
        self.running_api_server()?.pause()
    }

    /// Lets a paused API server go on.
    ///
    /// # Errors
    /// If it was killed.
    pub fn resume_api_server(&self) -> Result<(), Error> {
        self.running_api_server()?.resume()
    }

    fn running_api_server(&self) -> Result<&Process, Error> {
        self.api_server.as_ref().ok_or_else(|| {
            Error::io("can't signal the API server")(io::Error::other("it was killed: restart it"))
        })
    }
}

/// The folders with what is started.
#[derive(Debug)]
struct Binaries {
    control_plane: PathBuf,
    clients: PathBuf,
}

impl Binaries {
    /// Builds nothing that `size` doesn't need. Blocks.
    fn provide(size: Size) -> Result<Self, Error> {
        let control_plane = provision::control_plane()?;
        let clients = match size {
            Size::ApiServer => control_plane.clone(),
            Size::Nodes(_) => provision()?,
        };
        Ok(Self { control_plane, clients })
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
    ) -> Result<&'static Access, &'static Error> {
        let start = async || match Access::named() {
            Some(named) => named.map(Self::Named),
            None => Cluster::start(size).await.map(|cluster| Self::Started(Box::new(cluster))),
        };
        match shared.get_or_init(start).await {
            Ok(Self::Named(access)) => Ok(access),
            Ok(Self::Started(cluster)) => Ok(cluster),
            Err(error) => Err(error),
        }
    }
}

fn users(size: Size) -> Vec<User> {
    let nodes = match size {
        Size::ApiServer => 0,
        Size::Nodes(count) => count,
    };
    let user = |name: &str, group| User { name: name.to_owned(), group };
    let mut users = vec![
        user(ADMIN, "system:masters"),
        user(CONTROLLER_MANAGER, "system:authenticated"),
        user(SCHEDULER, "system:authenticated"),
    ];
    users.extend((1..=nodes).map(|n| user(&node_user(&node_name(n)), "system:nodes")));
    users
}

fn node_name(number: usize) -> String {
    format!("node-{number}")
}

fn node_user(node: &str) -> String {
    format!("system:node:{node}")
}

fn is_ready(node: &Node) -> bool {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.is_some_and(|all| all.iter().any(|one| one.type_ == "Ready" && one.status == "True"))
}

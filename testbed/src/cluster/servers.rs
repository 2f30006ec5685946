//! The processes of a cluster: started in order, each once what it needs is there.

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use http::Request;
use k8s_openapi::api::core::v1::Node;
use kube::{Api, api::ListParams};
use tokio::task::spawn_blocking;

use super::{
    Access, Size,
    commands::{self, Ports},
    credentials::{Credentials, User},
    provision,
};
use crate::{error::Error, process::Process, wait::until};

const START: Duration = Duration::from_secs(120);
const ADMIN: &str = "admin";
const CONTROLLER_MANAGER: &str = "system:kube-controller-manager";
const SCHEDULER: &str = "system:kube-scheduler";

/// Field order is drop order: clients end before servers.
#[derive(Debug)]
pub(crate) struct Servers {
    clients: Vec<Process>,
    api_server: Option<Process>,
    etcd: Process,
    ports: Ports,
    binaries: Binaries,
    credentials: Credentials,
    dir: PathBuf,
}

impl Servers {
    /// Builds what is missing, and starts what needs no waiting for.
    pub(crate) async fn prepare(dir: PathBuf, size: Size) -> Result<Self, Error> {
        let prepared = spawn_blocking(move || {
            let binaries = Binaries::provide(size)?;
            let ports = Ports::reserve()?;
            let server = format!("https://{}", ports.api.address());
            let credentials = Credentials::write(dir.clone(), server, &users(size))?;
            let etcd = Process::spawn(
                "etcd",
                &binaries.control_plane.join("etcd"),
                commands::etcd(&ports, &dir.join("etcd")),
                &dir.join("etcd.log"),
            )?;
            Ok(Self {
                clients: Vec::new(),
                api_server: None,
                etcd,
                ports,
                binaries,
                credentials,
                dir,
            })
        });
        prepared.await.map_err(|error| Error::io("can't prepare a cluster")(error.into()))?
    }

    pub(crate) fn admin_kubeconfig(&self) -> PathBuf {
        self.credentials.kubeconfig(ADMIN)
    }

    /// Starts the API server and waits until it serves.
    pub(crate) async fn start_api_server(&mut self, access: &Access) -> Result<(), Error> {
        let program = self.binaries.control_plane.join("kube-apiserver");
        let flags = commands::api_server(&self.ports, &self.credentials);
        let api_server = self.spawn("kube-apiserver", &program, flags)?;
        let api_server = self.api_server.insert(api_server);
        let client = access.client().await?;
        until("the API server is ready", START, async || {
            if let Err(error) = self.etcd.check().and_then(|()| api_server.check()) {
                return Ok(Err(error));
            }
            let ready = Request::get("/readyz").body(Vec::new()).map_err(|e| e.to_string())?;
            client.request_text(ready).await.map(|_| Ok(())).map_err(|error| error.to_string())
        })
        .await?
    }

    pub(crate) fn kill_api_server(&mut self) {
        self.api_server = None;
    }

    pub(crate) fn running_api_server(&self) -> Result<&Process, Error> {
        self.api_server.as_ref().ok_or_else(|| {
            Error::io("can't signal the API server")(io::Error::other("it was killed: restart it"))
        })
    }

    /// Starts the controllers, the scheduler and the nodes.
    pub(crate) fn start_clients(&mut self, nodes: usize) -> Result<(), Error> {
        let kubeconfig = self.credentials.kubeconfig(CONTROLLER_MANAGER);
        let flags = commands::controller_manager(&kubeconfig, &self.credentials);
        self.start_client("kube-controller-manager", "kube-controller-manager", flags)?;
        let flags = commands::scheduler(&self.credentials.kubeconfig(SCHEDULER));
        self.start_client("kube-scheduler", "kube-scheduler", flags)?;
        for name in (1..=nodes).map(node_name) {
            let dir = self.dir.join(&name);
            fs::create_dir_all(&dir).map_err(Error::file("make", &dir))?;
            let kubeconfig = self.credentials.kubeconfig(&node_user(&name));
            let flags = commands::hollow_node(&name, &kubeconfig, &dir);
            self.start_client(&name, "hollow-node", flags)?;
        }
        Ok(())
    }

    fn start_client(
        &mut self,
        name: &str,
        program: &str,
        flags: Vec<OsString>,
    ) -> Result<(), Error> {
        let client = self.spawn(name, &self.binaries.clients.join(program), flags)?;
        self.clients.push(client);
        Ok(())
    }

    fn spawn(&self, name: &str, program: &Path, flags: Vec<OsString>) -> Result<Process, Error> {
        Process::spawn(name, program, flags, &self.dir.join(format!("{name}.log")))
    }

    /// Waits until so many nodes take pods.
    pub(crate) async fn nodes_ready(&mut self, access: &Access, count: usize) -> Result<(), Error> {
        let nodes = Api::<Node>::all(access.client().await?);
        until(format!("{count} nodes are ready"), START, async || {
            if let Err(error) = self.clients.iter_mut().try_for_each(Process::check) {
                return Ok(Err(error));
            }
            let all =
                nodes.list(&ListParams::default()).await.map_err(|error| error.to_string())?;
            match all.iter().filter(|node| is_ready(node)).count() {
                ready if ready >= count => Ok(Ok(())),
                ready => Err(format!("{ready} of {} nodes are ready", all.items.len())),
            }
        })
        .await?
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
            Size::Nodes(_) => provision::provision()?,
        };
        Ok(Self { control_plane, clients })
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

//! Ports for servers: free ones that nobody else takes, not even while the server is down.

use std::{
    fs::{self, File},
    io,
    net::{Ipv4Addr, SocketAddrV4, TcpListener},
    process,
};

use crate::{cache, error::Error};

/// Below the range that Linux, macOS and Windows give to outgoing connections: a client that keeps
/// trying a port from within that range can end up connected to itself, and then the server that
/// comes back finds its port taken.
const RANGE: std::ops::Range<u16> = 20_000..30_000;

/// A port on loopback. The lock keeps other testbeds off it for as long as this lives.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _lock: File,
}

impl Port {
    /// Takes a port that is free.
    ///
    /// # Errors
    /// There is none, or no place for its lock.
    pub fn reserve() -> Result<Self, Error> {
        let locks = cache::root()?.join("ports");
        fs::create_dir_all(&locks).map_err(Error::file("make", &locks))?;
        // Processes start searching at different places, so that they seldom meet.
        let start = process::id() as u16 % RANGE.len() as u16;
        for number in RANGE.skip(start.into()).chain(RANGE) {
            let path = locks.join(number.to_string());
            let lock = File::create(&path).map_err(Error::file("make", &path))?;
            if lock.try_lock().is_ok() && TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok() {
                return Ok(Self { number, _lock: lock });
            }
        }
        Err(Error::io("can't find a port")(io::Error::other(format!("none is free in {RANGE:?}"))))
    }

    /// Its number.
    #[must_use]
    pub fn number(&self) -> u16 {
        self.number
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> SocketAddrV4 {
        SocketAddrV4::new(Ipv4Addr::LOCALHOST, self.number)
    }
}

//! Listeners that advertise another port than their own: a proxy listens there.
//!
//! A Kafka client goes where the broker says it is, so a proxy that isn't advertised is left after the first answer.

use std::net::SocketAddr;

use crate::{error::Error, port::Port};

/// A plaintext listener, and where clients are told to find it.
#[derive(Debug)]
pub(crate) struct Detour {
    listens: Port,
    advertised: Port,
}

impl Detour {
    pub(crate) fn reserve() -> Result<Self, Error> {
        Ok(Self { listens: Port::reserve()?, advertised: Port::reserve()? })
    }

    pub(crate) fn listens(&self) -> SocketAddr {
        self.listens.address().into()
    }

    pub(crate) fn advertised(&self) -> SocketAddr {
        self.advertised.address().into()
    }
}

/// The properties with the detours among the listeners, whatever the others are.
pub(crate) fn add(properties: &str, detours: &[Detour]) -> String {
    let named = |address: fn(&Detour) -> SocketAddr| {
        let name = |(n, detour)| format!(",DETOUR{n}://{}", address(detour));
        detours.iter().enumerate().map(name).collect::<String>()
    };
    let protocols = (0..detours.len()).map(|n| format!(",DETOUR{n}:PLAINTEXT")).collect::<String>();
    let line = |line: &str| match line.split_once('=') {
        Some(("listeners", others)) => {
            let clients = others.split(',').filter(|name| !name.starts_with("CONTROLLER:"));
            let clients = clients.collect::<Vec<_>>().join(",");
            let (own, told) = (named(Detour::listens), named(Detour::advertised));
            format!("{line}{own}\nadvertised.listeners={clients}{told}\n")
        }
        Some(("listener.security.protocol.map", _)) => format!("{line}{protocols}\n"),
        _ => format!("{line}\n"),
    };
    properties.lines().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_told_of_the_proxys_port_and_of_no_controller() {
        let detours = [Detour::reserve().unwrap()];
        let (own, told) = (detours[0].listens(), detours[0].advertised());
        let properties = "listeners=PLAINTEXT://a:1,CONTROLLER://a:2\nlistener.security.protocol.map=PLAINTEXT:PLAINTEXT\nnode.id=1\n";
        assert_eq!(
            add(properties, &detours),
            format!(
                "listeners=PLAINTEXT://a:1,CONTROLLER://a:2,DETOUR0://{own}\n\
                 advertised.listeners=PLAINTEXT://a:1,DETOUR0://{told}\n\
                 listener.security.protocol.map=PLAINTEXT:PLAINTEXT,DETOUR0:PLAINTEXT\nnode.id=1\n"
            )
        );
    }
}

//! The faulty network does what it says, and only that.

#![allow(clippy::unwrap_used, reason = "helpers of tests unwrap as tests do")]

use std::{io::ErrorKind, time::Duration};

use testbed::proxy::{Flow, Proxy, Way};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// Both ends of a connection through a proxy.
async fn connected() -> (Proxy, TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = Proxy::to(listener.local_addr().unwrap()).await.unwrap();
    let client = TcpStream::connect(proxy.address()).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    (proxy, client, server)
}

async fn passes(from: &mut TcpStream, to: &mut TcpStream, byte: u8) {
    from.write_u8(byte).await.unwrap();
    assert_eq!(to.read_u8().await.unwrap(), byte);
}

/// Whether nothing comes, for as long as bytes that were sent before need to cross a proxy that lets them.
async fn is_silent(stream: &TcpStream) -> bool {
    tokio::time::timeout(Duration::from_millis(100), stream.peek(&mut [0])).await.is_err()
}

#[tokio::test]
async fn a_way_that_is_cut_is_silent_until_it_is_healed_and_the_other_is_not() {
    let (proxy, mut client, mut server) = connected().await;
    passes(&mut client, &mut server, 1).await;
    passes(&mut server, &mut client, 2).await;

    proxy.set(Way::ToServer, Flow::Cut);
    client.write_u8(3).await.unwrap();
    passes(&mut server, &mut client, 4).await;
    assert!(is_silent(&server).await);

    proxy.heal();
    assert_eq!(server.read_u8().await.unwrap(), 3);
}

#[tokio::test]
async fn the_other_way_can_be_cut_too() {
    let (proxy, mut client, mut server) = connected().await;
    proxy.set(Way::ToClient, Flow::Cut);
    server.write_u8(1).await.unwrap();
    passes(&mut client, &mut server, 2).await;
    assert!(is_silent(&client).await);
    proxy.set(Way::ToClient, Flow::Slow(Duration::from_millis(1)));
    assert_eq!(client.read_u8().await.unwrap(), 1);
}

#[tokio::test]
async fn a_reset_reaches_both_sides_and_spares_who_comes_after() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = Proxy::to(listener.local_addr().unwrap()).await.unwrap();
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    let (mut server, _) = listener.accept().await.unwrap();
    passes(&mut client, &mut server, 1).await;
    proxy.reset();
    assert_eq!(client.read_u8().await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(server.read_u8().await.unwrap_err().kind(), ErrorKind::ConnectionReset);

    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    let (mut server, _) = listener.accept().await.unwrap();
    passes(&mut client, &mut server, 2).await;
}

#[tokio::test]
async fn an_end_is_passed_on() {
    let (_proxy, mut client, mut server) = connected().await;
    client.shutdown().await.unwrap();
    assert_eq!(server.read(&mut [0]).await.unwrap(), 0);
    passes(&mut server, &mut client, 1).await;
    drop(server);
    assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
}
